"""Which pairs of geoms the fused engine collides, how, and with how many contacts at most."""

from __future__ import annotations

import math
from enum import IntEnum

import mujoco

from rlgpu.sim.mujoco.pairs import Pair

_GEOM = mujoco.mjtGeom
_PLANE, _HFIELD, _SPHERE, _CAPSULE, _ELLIPSOID, _CYLINDER, _BOX, _MESH = (
    _GEOM.mjGEOM_PLANE,
    _GEOM.mjGEOM_HFIELD,
    _GEOM.mjGEOM_SPHERE,
    _GEOM.mjGEOM_CAPSULE,
    _GEOM.mjGEOM_ELLIPSOID,
    _GEOM.mjGEOM_CYLINDER,
    _GEOM.mjGEOM_BOX,
    _GEOM.mjGEOM_MESH,
)


class PairKind(IntEnum):
    """How a pair is collided, ``PairKind`` in csrc."""

    PLANE_SPHERE = 0
    PLANE_CAPSULE = 1
    PLANE_BOX = 2
    TERRAIN_SPHERE = 3
    TERRAIN_CAPSULE = 4
    TERRAIN_BOX = 5
    SPHERE_SPHERE = 6
    SPHERE_CAPSULE = 7
    CAPSULE_CAPSULE = 8
    PLANE_CYLINDER = 9
    PLANE_ELLIPSOID = 10
    PLANE_HULL = 11
    SPHERE_CYLINDER = 12
    SPHERE_BOX = 13
    CAPSULE_BOX = 14
    BOX_BOX = 15
    CONVEX = 16
    TERRAIN_CONVEX = 17


class ShapeKind(IntEnum):
    """How a convex geom is described, ``ShapeKind`` in csrc."""

    POINT = 0
    SEGMENT = 1
    ELLIPSOID = 2
    CYLINDER = 3
    BLOCK = 4
    HULL = 5


_KINDS = {
    (_PLANE, _SPHERE): PairKind.PLANE_SPHERE,
    (_PLANE, _CAPSULE): PairKind.PLANE_CAPSULE,
    (_PLANE, _BOX): PairKind.PLANE_BOX,
    (_PLANE, _CYLINDER): PairKind.PLANE_CYLINDER,
    (_PLANE, _ELLIPSOID): PairKind.PLANE_ELLIPSOID,
    (_PLANE, _MESH): PairKind.PLANE_HULL,
    (_HFIELD, _SPHERE): PairKind.TERRAIN_SPHERE,
    (_HFIELD, _CAPSULE): PairKind.TERRAIN_CAPSULE,
    (_HFIELD, _BOX): PairKind.TERRAIN_BOX,
    (_HFIELD, _CYLINDER): PairKind.TERRAIN_CONVEX,
    (_HFIELD, _ELLIPSOID): PairKind.TERRAIN_CONVEX,
    (_HFIELD, _MESH): PairKind.TERRAIN_CONVEX,
    (_SPHERE, _SPHERE): PairKind.SPHERE_SPHERE,
    (_SPHERE, _CAPSULE): PairKind.SPHERE_CAPSULE,
    (_SPHERE, _CYLINDER): PairKind.SPHERE_CYLINDER,
    (_SPHERE, _BOX): PairKind.SPHERE_BOX,
    (_CAPSULE, _CAPSULE): PairKind.CAPSULE_CAPSULE,
    (_CAPSULE, _BOX): PairKind.CAPSULE_BOX,
    (_BOX, _BOX): PairKind.BOX_BOX,
}
SHAPES = {
    _SPHERE: ShapeKind.POINT,
    _CAPSULE: ShapeKind.SEGMENT,
    _ELLIPSOID: ShapeKind.ELLIPSOID,
    _CYLINDER: ShapeKind.CYLINDER,
    _BOX: ShapeKind.BLOCK,
    _MESH: ShapeKind.HULL,
}
"""Convex geoms, each of which may meet each other one."""
_SLOTS = (1, 2, 8, 1, 4, 12, 1, 1, 2, 4, 1, 4, 1, 1, 2, 8)
"""Possible contacts of a pair, by its kind, but for convex ones."""
_MOST_OF_CONVEX = 4
_HAS_FACES = (_BOX, _MESH, _CYLINDER)


def kind_of(pair: Pair) -> PairKind | None:
    """Returns how a pair is collided; None if it cannot be."""
    if pair.kind in _KINDS:
        return _KINDS[pair.kind]
    return PairKind.CONVEX if all(geom in SHAPES for geom in pair.kind) else None


def slots_of(model: mujoco.MjModel, pair: Pair) -> int:
    """Returns how many contacts a pair can have that is collided."""
    kind = kind_of(pair)
    assert kind is not None
    if kind is PairKind.TERRAIN_CONVEX:
        return _prisms_below(model, pair)
    if kind is not PairKind.CONVEX:
        return _SLOTS[kind]
    if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_MULTICCD:
        return 1
    # As MuJoCo's multicontact: faces that meet, or a capsule on a face.
    has_faces = [geom in _HAS_FACES for geom in pair.kind]
    is_flat = any(has_faces) and all(geom in (*_HAS_FACES, _CAPSULE) for geom in pair.kind)
    return _MOST_OF_CONVEX if is_flat else 1


def steps_of(model: mujoco.MjModel, geom: int) -> tuple[float, float]:
    """Returns the distances of a height field's samples along x and y [m]."""
    field = int(model.geom_dataid[geom])
    size, columns, rows = (
        model.hfield_size[field],
        model.hfield_ncol[field],
        model.hfield_nrow[field],
    )
    return 2.0 * float(size[0]) / (int(columns) - 1), 2.0 * float(size[1]) / (int(rows) - 1)


def _prisms_below(model: mujoco.MjModel, pair: Pair) -> int:
    """Returns how many prisms of a height field a geom can touch, at most MuJoCo's number."""
    field, reach = int(model.geom_dataid[pair.geom1]), float(model.geom_rbound[pair.geom2])
    counts = int(model.hfield_ncol[field]), int(model.hfield_nrow[field])
    cells = [
        min(math.ceil(2.0 * reach / step) + 1, count - 1)
        for step, count in zip(steps_of(model, pair.geom1), counts, strict=True)
    ]
    return min(2 * cells[0] * cells[1], int(mujoco.mjMAXCONPAIR))
