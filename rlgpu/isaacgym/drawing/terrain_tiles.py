"""Cuts height fields into tiles, of which a camera draws only the ones in view.

OpenGL holds a height field as one list of triangles. A model for OpenGL alone has further height
fields, the tiles; in the scene of a view they take the place of the whole field.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.isaacgym.records.geometry import Vec3

_CELLS = 32
"""Cells of a tile along a side, at least."""
_MOST_TILES = 1000
"""Tiles of a height field; each costs a little in every view that sees it."""
_FEW = 2 * _CELLS
"""Height fields with fewer cells along both sides are drawn as a whole."""
_SHARED = ("category", "objtype", "objid", "segid", "matid", "emission", "specular", "shininess")
"""Attributes that a tile shares with the geom of its height field."""


class Frustum(NamedTuple):
    """The volume in view of a camera."""

    position: Vec3
    forward: Vec3
    up: Vec3
    far: float
    """Distance of the far plane [m]."""
    across: float
    """Tangent of half the horizontal angle of view."""
    along: float
    """Tangent of half the vertical angle of view."""

    def may_see(self, centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
        """Returns whether some of each ball is in view, or nearly, shape [T].

        Args:
            centers: Centres of the balls [m], shape [T, 3].
            radii: Their radii [m], shape [T].
        """
        right = self.forward.cross(self.up)
        axes = np.array([list(self.forward), list(right), list(self.up)])
        ahead, side, above = axes @ (centers - list(self.position)).T
        seen = (ahead > -radii) & (ahead < self.far + radii)
        for offset, tangent in ((side, self.across), (above, self.along)):
            # The ball's distance from the plane through the eye that bounds the view.
            seen &= np.abs(offset) - ahead * tangent < radii * math.hypot(1.0, tangent)
        return np.asarray(seen)


class _Tiles(NamedTuple):
    """The tiles of a height field, in the frame of its geom."""

    fields: np.ndarray
    """Their height fields in the model for OpenGL, shape [T]."""
    places: np.ndarray
    """Their frames' positions [m], shape [T, 3]."""
    centers: np.ndarray
    """Centres of the balls around them [m], shape [T, 3]."""
    radii: np.ndarray
    """Radii of the balls around them [m], shape [T]."""


class TerrainTiles:
    """The tiles of a model's height fields."""

    def __init__(self, model: mujoco.MjModel, spec: mujoco.MjSpec) -> None:
        """Cuts the height fields.

        Args:
            model: The model whose scenes will be drawn.
            spec: Its specification; tiles are added to it.
        """
        self._tiles: dict[int, _Tiles] = {}
        self.model = model
        """The model for OpenGL."""
        large = [i for i in range(model.nhfield) if _is_large(model, i)]
        first = model.nhfield
        for field in large:
            self._tiles[field] = _cut(spec, model, field, first)
            first += len(self._tiles[field].fields)
        if large:
            self.model = spec.compile()

    def show(self, scene: mujoco.MjvScene, frustum: Frustum) -> None:
        """Puts the tiles that a camera may see in the place of their height fields.

        A height field whose tiles do not fit in the scene is drawn as a whole.
        """
        for number in range(scene.ngeom):
            geom = scene.geoms[number]
            if geom.type != mujoco.mjtGeom.mjGEOM_HFIELD or geom.dataid not in self._tiles:
                continue
            tiles = self._tiles[geom.dataid]
            turn, at = np.array(geom.mat).reshape(3, 3), np.array(geom.pos)
            seen = np.flatnonzero(frustum.may_see(at + tiles.centers @ turn.T, tiles.radii))
            if len(seen) - 1 > scene.maxgeom - scene.ngeom:
                continue
            places = at + tiles.places @ turn.T
            # One is drawn in any case, out of view.
            for tile in seen[1:]:
                _add(scene, geom, int(tiles.fields[tile]), places[tile])
            chosen = int(seen[0]) if len(seen) else 0
            geom.dataid, geom.pos[:] = int(tiles.fields[chosen]), places[chosen]


def _is_large(model: mujoco.MjModel, field: int) -> bool:
    return bool(max(model.hfield_nrow[field], model.hfield_ncol[field]) > _FEW)


def _cut(spec: mujoco.MjSpec, model: mujoco.MjModel, field: int, first: int) -> _Tiles:
    """Adds the tiles of a height field to a specification and returns where they are.

    Args:
        spec: The specification.
        model: The model.
        field: The height field.
        first: Number of the first tile among the height fields.
    """
    rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    half_x, half_y, rise, base = model.hfield_size[field].tolist()
    start = int(model.hfield_adr[field])
    heights = model.hfield_data[start : start + rows * columns].reshape(rows, columns) * rise
    step_x, step_y = 2 * half_x / (columns - 1), 2 * half_y / (rows - 1)
    places: list[list[float]] = []
    centers: list[list[float]] = []
    radii: list[float] = []
    cells = max(_CELLS, math.ceil(math.sqrt((rows - 1) * (columns - 1) / _MOST_TILES)))
    for row in range(0, rows - 1, cells):
        for column in range(0, columns - 1, cells):
            # Neighbours share their edges.
            part = heights[row : row + cells + 1, column : column + cells + 1]
            low, high = float(part.min()), float(part.max())
            size = [(part.shape[1] - 1) * step_x / 2, (part.shape[0] - 1) * step_y / 2]
            own_rise = max(high - low, 1e-3)
            spec.add_hfield(
                name=f"tile_{field}_{len(places)}",
                nrow=part.shape[0],
                ncol=part.shape[1],
                size=[*size, own_rise, base],
                userdata=((part - low) / own_rise).astype(np.float32).flatten(),
            )
            x, y = column * step_x - half_x + size[0], row * step_y - half_y + size[1]
            places.append([x, y, low])
            # From the base to the highest sample.
            centers.append([x, y, low + (own_rise - base) / 2])
            radii.append(math.hypot(*size, (own_rise + base) / 2))
    fields = first + np.arange(len(places))
    return _Tiles(fields, np.array(places), np.array(centers), np.array(radii))


def _add(scene: mujoco.MjvScene, like: mujoco.MjvGeom, field: int, place: np.ndarray) -> None:
    """Adds a tile to a scene that looks like the geom of its height field."""
    geom = scene.geoms[scene.ngeom]
    mujoco.mjv_initGeom(geom, like.type, like.size, place, like.mat.flatten(), like.rgba)
    for name in _SHARED:
        setattr(geom, name, getattr(like, name))
    geom.dataid = field
    scene.ngeom += 1
