"""Wireframes that scripts draw in the viewer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rlgpu.isaacgym.records.geometry import Transform, Vec3

_COLOR = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4")])


class LineGeometry:
    """Line segments: two vertices and a colour each."""

    def __init__(self, segments: Any = (), color: Any = (1, 0, 0)) -> None:
        """Stores segments [m], shape [L, 2, 3], and colours, shape [3] or [L, 3]."""
        points = np.asarray(segments, dtype=np.float32).reshape(-1, 3)
        self.verts = np.array([tuple(point) for point in points], dtype=Vec3.dtype)
        self._colors = np.empty(len(points) // 2, dtype=_COLOR)
        for name, column in zip(
            "xyz", np.broadcast_to(color, (len(self._colors), 3)).T, strict=True
        ):
            self._colors[name] = column

    def vertices(self) -> np.ndarray:
        """Returns the vertices, two a line."""
        return self.verts

    def colors(self) -> np.ndarray:
        """Returns the colours, one a line."""
        return self._colors

    def num_lines(self) -> int:
        """Returns the number of lines."""
        return len(self._colors)

    def instance_verts(self, pose: Transform | None = None) -> np.ndarray:
        """Returns the vertices at a pose."""
        return self.vertices().copy() if pose is None else pose.transform_points(self.vertices())


def _posed(points: np.ndarray, pose: Transform | None) -> np.ndarray:
    if pose is None:
        return points
    return np.array([list(pose.transform_point(Vec3(*map(float, p)))) for p in points])


class AxesGeometry(LineGeometry):
    """Axes x, y, z in red, green and blue."""

    def __init__(self, scale: float = 1.0, pose: Transform | None = None) -> None:
        """Builds axes of a length [m]."""
        ends = _posed(np.concatenate((np.zeros((1, 3)), np.eye(3) * scale)), pose)
        super().__init__([[ends[0], ends[i]] for i in (1, 2, 3)], np.eye(3))


class WireframeBoxGeometry(LineGeometry):
    """The edges of a box about the origin."""

    def __init__(
        self,
        xdim: float = 1,
        ydim: float = 1,
        zdim: float = 1,
        pose: Transform | None = None,
        color: Any = None,
    ) -> None:
        """Builds a box of side lengths [m]."""
        signs = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)]) - 0.5
        corners = _posed(signs * np.array([xdim, ydim, zdim]), pose)
        edges = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
        segments = [[corners[a], corners[b]] for a, b in edges]
        super().__init__(segments, (1, 0, 0) if color is None else color)


class WireframeBBoxGeometry(WireframeBoxGeometry):
    """The edges of a box between two corners."""

    def __init__(self, bbox: Any, pose: Transform | None = None, color: Any = None) -> None:
        """Builds the box from its least and its largest corner, shape [2, 3] [m]."""
        low, high = np.asarray(bbox, dtype=float)
        middle = Transform(Vec3(*((low + high) / 2).tolist()))
        where = middle if pose is None else pose * middle
        x, y, z = (high - low).tolist()
        super().__init__(x, y, z, where, color)


class WireframeSphereGeometry(LineGeometry):
    """Circles of latitude and longitude on a sphere."""

    def __init__(
        self,
        radius: float = 1.0,
        num_lats: int = 8,
        num_lons: int = 8,
        pose: Transform | None = None,
        color: Any = None,
        color2: Any = None,
    ) -> None:
        """Builds a sphere of a radius [m]; ``color2`` is that of the circles of longitude."""

        def point(lat: int, lon: int) -> list[float]:
            polar, azimuth = math.pi * lat / num_lats, 2 * math.pi * lon / num_lons
            ring = radius * math.sin(polar)
            return [ring * math.cos(azimuth), ring * math.sin(azimuth), radius * math.cos(polar)]

        across = [(i, j, i, j + 1) for i in range(1, num_lats) for j in range(num_lons)]
        down = [(i, j, i + 1, j) for i in range(num_lats) for j in range(num_lons)]
        ends = np.array([[point(a, b), point(c, d)] for a, b, c, d in [*across, *down]])
        first = (1, 0, 0) if color is None else color
        colors = [first] * len(across) + [first if color2 is None else color2] * len(down)
        super().__init__(_posed(ends.reshape(-1, 3), pose), colors)


def draw_lines(geom: LineGeometry, gym: Any, viewer: Any, env: Any, pose: Any) -> None:
    """Draws a wireframe at a pose of an environment."""
    gym.add_lines(viewer, env, geom.num_lines(), geom.instance_verts(pose), geom.colors())


def draw_line(p1: Vec3, p2: Vec3, color: Vec3, gym: Any, viewer: Any, env: Any) -> None:
    """Draws a line between two points of an environment."""
    line = LineGeometry([[list(p1), list(p2)]], list(color))
    gym.add_lines(viewer, env, 1, line.vertices(), line.colors())
