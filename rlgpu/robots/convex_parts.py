"""Splits triangle meshes into convex parts, by planes along the axes.

The part that is least convex is cut first, where its halves become most convex. A part is as convex
as its surface is near to its hull: how far one can go from a triangle outwards before leaving the
hull. Cuts need no lids, because a part stands for the hull of its triangles.

Source: the measure and the greedy cuts follow Wei et al., Approximate Convex Decomposition for 3D
Meshes with Collision-Aware Concavity and Tree Search (2022), without its tree search.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.robots.frames import mesh_vertices

_MOST_TRIANGLES = 600
"""Triangles of a part that are looked at."""
_MOST_COMPARED = 2000
"""Triangles of a part that are cut when cuts are compared."""
_DIRECTIONS = 256
"""Directions whose outermost points stand for a part when cuts are compared."""


class _Mesh(NamedTuple):
    """Triangles that share their corners."""

    points: np.ndarray
    """Corners [m], each of one triangle or more, shape [P, 3]."""
    faces: np.ndarray
    """Indices of the corners of each triangle, shape [T, 3]."""

    @property
    def triangles(self) -> np.ndarray:
        """Corners of each triangle [m], shape [T, 3, 3]."""
        return self.points[self.faces]


class _Part(NamedTuple):
    """A mesh, how far it is from convex, and where it is farthest."""

    mesh: _Mesh
    depth: float
    place: np.ndarray
    """Shape [3]."""
    total: float
    """Depth times area over all triangles: a cut that only halves a part leaves it as it is."""


def convex_parts(
    vertices: np.ndarray, faces: np.ndarray, tolerance: float, most: int
) -> list[np.ndarray]:
    """Returns the points of convex parts, each of shape [P, 3].

    Args:
        vertices: Points of a closed mesh [m], shape [V, 3].
        faces: Triangles, all counter-clockwise from outside or all from inside, shape [T, 3].
        tolerance: Depth of a hollow that may be filled [m].
        most: Largest number of parts.
    """
    count = itertools.count()  # orders parts of equal depth
    mesh = _weld(np.asarray(vertices, float), faces)
    triangles = mesh.triangles
    if np.linalg.det(triangles - triangles.mean(axis=(0, 1))).sum() < 0:
        mesh = mesh._replace(faces=mesh.faces[:, ::-1])  # inside out
    whole = _part(mesh)
    if whole is None:
        return []
    queue = [(-whole.depth, next(count), whole)]
    done: list[_Part] = []
    while queue and len(queue) + len(done) < most and -queue[0][0] > tolerance:
        part = heapq.heappop(queue)[2]
        halves = _best_halves(part)
        if halves is None:
            done.append(part)
        for half in halves or ():
            heapq.heappush(queue, (-half.depth, next(count), half))
    parts = [*done, *(part for _, _, part in queue)]
    return [np.unique(part.mesh.points, axis=0) for part in parts]


def _weld(points: np.ndarray, faces: np.ndarray) -> _Mesh:
    """Returns triangles with each of their corners once."""
    places, index = np.unique(points, axis=0, return_inverse=True)
    return _compact(places, index.reshape(-1)[faces])


def _compact(points: np.ndarray, faces: np.ndarray) -> _Mesh:
    """Returns triangles without the points that belong to none of them."""
    used = np.zeros(len(points), bool)
    used[faces] = True
    return _Mesh(points[used], (np.cumsum(used) - 1)[faces])


def _best_halves(part: _Part) -> list[_Part] | None:
    """Returns the halves of the cut that leaves the least depth, None without a useful cut.

    Cuts are compared on a sample of the triangles; only the best one cuts all of them.
    """
    sample = _sampled(part.mesh)
    whole = part if sample is part.mesh else _part(sample)
    if whole is None:
        return None
    best, found, cut = np.inf, None, None
    for axis, place in _cuts(part):
        halves = _halves(sample, axis, place)
        depths = [half.depth for half in halves]
        # A side without volume is air: the cut is along a wall.
        left = sum(half.total for half in halves) / whole.total
        score = (max(depths, default=np.inf) + 0.1 * sum(depths)) / whole.depth + 0.1 * left
        if score < best and (len(halves) == 2 or max(depths, default=np.inf) < whole.depth):
            best, found, cut = score, halves, (axis, place)
    if cut is None or whole is part:
        return found
    return _halves(part.mesh, *cut)


def _cuts(part: _Part) -> Iterator[tuple[int, float]]:
    """Yields the cuts of a part that are compared, each as an axis and a place along it [m]."""
    low, high = part.mesh.points.min(axis=0), part.mesh.points.max(axis=0)
    for axis in range(3):
        margin = 0.02 * (high[axis] - low[axis])
        for place in {0.5 * (low[axis] + high[axis]), float(part.place[axis])}:
            if low[axis] + margin < place < high[axis] - margin:
                yield axis, place


def _halves(mesh: _Mesh, axis: int, place: float) -> list[_Part]:
    """Returns the parts on both sides of a plane, without those that have no volume."""
    sides = [_part(_clip(mesh, axis, place, sign)) for sign in (1.0, -1.0)]
    return [side for side in sides if side is not None]


def _sampled(mesh: _Mesh) -> _Mesh:
    """Returns triangles to compare cuts on: half of them the largest, half others."""
    if len(mesh.faces) <= _MOST_COMPARED:
        return mesh
    a, b, c = mesh.triangles.transpose(1, 0, 2)
    largest = np.argsort(-np.linalg.norm(np.cross(b - a, c - a), axis=1), kind="stable")
    few = _MOST_COMPARED // 2
    chosen = np.concatenate((largest[:few], _some(largest[few:], few)))
    return _compact(mesh.points, mesh.faces[chosen])


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """Returns rows at random places, always the same; even steps may fall in with a pattern."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(0).choice(len(rows), most, replace=False))]


def _clip(mesh: _Mesh, axis: int, place: float, sign: float) -> _Mesh:
    """Returns what of a mesh is on one side of a plane, cut into triangles."""
    points, faces = mesh
    height = sign * (points[:, axis] - place)  # [P]
    # Rounding must not leave slivers of triangles in the plane; these belong to the solid's side.
    height[np.abs(height) < 1e-6 * np.ptp(height)] = 0.0
    beyond = height[faces]  # [T, 3]
    flat = (beyond == 0).all(axis=1)
    a, b, c = points[faces[flat]].transpose(1, 0, 2)
    beyond[flat] = -sign * np.sign(np.cross(b - a, c - a)[:, axis])[:, None]
    inside = beyond >= 0
    count = inside.sum(axis=1)
    kept, added, num_points = [faces[count == 3]], [points], len(points)
    for number in (1, 2):
        chosen = count == number
        own, away = faces[chosen], beyond[chosen]
        # The corner that is alone on its side comes first.
        alone = np.argmax(inside[chosen] == (number == 1), axis=1)
        order = (alone[:, None] + np.arange(3)) % 3
        own = np.take_along_axis(own, order, axis=1)
        away = np.take_along_axis(away, order, axis=1)
        share = away[:, :1] / (away[:, :1] - away[:, 1:])  # [C, 2]
        first, others = points[own[:, :1]], points[own[:, 1:]]
        added.append((first + share[:, :, None] * (others - first)).reshape(-1, 3))
        cuts = num_points + np.arange(2 * len(own)).reshape(-1, 2)
        num_points += 2 * len(own)
        if number == 1:
            kept.append(np.column_stack((own[:, 0], cuts)))
        else:
            kept.append(np.column_stack((cuts[:, 0], own[:, 1:])))
            kept.append(np.column_stack((cuts[:, 0], own[:, 2], cuts[:, 1])))
    return _compact(np.concatenate(added), np.concatenate(kept))


def _part(mesh: _Mesh) -> _Part | None:
    """Returns a part with its depth, None for one without volume."""
    hull = _hull(mesh.points) if len(mesh.faces) else None
    if hull is None:
        return None
    normals, offsets = hull
    num_triangles = len(mesh.faces)
    shown = mesh.points[_some(mesh.faces, _MOST_TRIANGLES)]
    outwards = np.cross(shown[:, 1] - shown[:, 0], shown[:, 2] - shown[:, 0])
    length = np.linalg.norm(outwards, axis=1)
    # Slivers of cuts point anywhere.
    whole = length > 1e-6 * np.ptp(mesh.points, axis=0).max() ** 2
    shown, outwards = shown[whole], outwards[whole] / length[whole, None]
    if not len(shown):
        return None
    middle = shown.mean(axis=1)
    slope = outwards @ normals.T  # [T, F]
    gap = np.maximum(offsets - middle @ normals.T, 0.0)
    way = np.where(slope > 1e-6, gap / np.maximum(slope, 1e-6), np.inf).min(axis=1)
    worst = int(np.argmax(way))
    total = float((way * length[whole]).sum()) * num_triangles / len(whole)
    return _Part(mesh, float(way[worst]), middle[worst], total)


def _hull(points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns normals and offsets of the faces of a hull, None for points without volume."""
    points = points[np.unique((_SPHERE @ points.T.astype(np.float32)).argmax(axis=1))]
    size = np.ptp(points, axis=0).max() if len(points) else 0.0
    if len(points) < 4 or size == 0:
        return None
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if spread[-1] < 1e-4 * spread[0]:
        return None
    spec = mujoco.MjSpec()
    # Tiny hulls count as flat in MuJoCo.
    spec.add_mesh(name="hull", uservert=((points - points[0]) / size).astype(np.float32).flatten())
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="hull")
    try:
        model = spec.compile()
    except ValueError:
        return None
    corners = mesh_vertices(model)
    graph = model.mesh_graph
    faces = graph[2 + 3 * graph[0] + 3 * graph[1] :][: 3 * graph[1]].reshape(-1, 3)
    a, b, c = corners[faces].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1)
    normals, a = normals[length > 1e-12] / length[length > 1e-12, None], a[length > 1e-12]
    # Outwards, whichever way MuJoCo lists the corners.
    normals *= np.sign(((a - corners.mean(axis=0)) * normals).sum(axis=1, keepdims=True))
    return normals, (normals * (a * size + points[0])).sum(axis=1)


def _sphere() -> np.ndarray:
    """Returns directions spread evenly over a sphere and along the axes, shape [D, 3]."""
    i = np.arange(_DIRECTIONS)
    z = 1 - (2 * i + 1) / _DIRECTIONS
    angle, radius = i * np.pi * (3 - 5**0.5), np.sqrt(1 - z * z)
    spread = np.stack((radius * np.cos(angle), radius * np.sin(angle), z), axis=1)
    corners = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3)))
    every = np.concatenate((spread, corners[np.abs(corners).sum(axis=1) > 0]))
    return every.astype(np.float32)


_SPHERE = _sphere()
