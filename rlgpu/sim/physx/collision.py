"""MuJoCo's rules of which shapes touch, in Isaac Gym's terms: a ground and filter bits."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.errors import Reason, UnsupportedModel
from rlgpu.sim.mujoco.pairs import colliding_pairs

FURNITURE = "rlgpu_furniture"
"""Name of the actor, and of its body, that has the world's shapes other than the ground."""
_MOST_BITS = 31
_GROUNDS = (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD)


class Ground(NamedTuple):
    """What robots stand on: a level plane, or the scene's terrain."""

    height: float
    """Of the plane [m]."""
    is_plane: bool
    friction: float
    """In the model."""
    own_friction: float
    """In PhysX, which averages it with a shape's; 0 where friction varies, for no shape's friction
    to become negative."""
    geom: int
    """Its index in the model."""


def solid_geoms(model: mujoco.MjModel) -> list[int]:
    """Returns the geoms that can touch anything, the ground left out."""
    touching = {geom for pair in colliding_pairs(model) for geom in (pair.geom1, pair.geom2)}
    return sorted(touching - set(_grounds(model)))


def furniture_of(model: mujoco.MjModel) -> list[int]:
    """Returns the solid geoms of the world itself."""
    return [geom for geom in solid_geoms(model) if model.geom_bodyid[geom] == 0]


def owner_of(model: mujoco.MjModel, geom: int) -> str:
    """Returns the name of the body that has a geom in Isaac Gym."""
    body = int(model.geom_bodyid[geom])
    return str(model.body(body).name) if body else FURNITURE


def _grounds(model: mujoco.MjModel) -> list[int]:
    """Returns the world's planes and height fields."""
    kinds = [mujoco.mjtGeom(kind) in _GROUNDS for kind in model.geom_type]
    return [geom for geom in range(model.ngeom) if kinds[geom] and model.geom_bodyid[geom] == 0]


def _unsupported(phrase: str, kind: str) -> UnsupportedModel:
    return UnsupportedModel(phrase, [Reason(phrase, kind)])


def ground_of(model: mujoco.MjModel, *, varies: bool = False) -> Ground | None:
    """Returns the ground that anything can touch, or None.

    Args:
        model: The compiled model.
        varies: Whether environments have their own friction.

    Raises:
        UnsupportedModel: There are several, it is not level, or not every movable solid geom can
            touch it.
    """
    touched: dict[int, set[int]] = {geom: set() for geom in _grounds(model)}
    for pair in colliding_pairs(model):
        for one, other in ((pair.geom1, pair.geom2), (pair.geom2, pair.geom1)):
            if one in touched:
                touched[one].add(other)
    grounds = [geom for geom, others in touched.items() if others]
    if not grounds:
        return None
    if len(grounds) > 1:
        raise _unsupported(
            f"it has {len(grounds)} planes or height fields to touch, not one", "grounds"
        )
    geom = grounds[0]
    movable = {g for g in solid_geoms(model) if model.body_weldid[model.geom_bodyid[g]] != 0}
    if movable - touched[geom]:
        raise _unsupported("some of its shapes touch each other and not the ground", "no_ground")
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
    if turn.reshape(3, 3)[2, 2] < 1.0 - 1e-6:
        said = "its ground is not level, and Isaac Gym has one for all environments"
        raise _unsupported(said, "slope")
    friction = float(model.geom_friction[geom][0])
    return Ground(
        height=float(model.geom_pos[geom][2]),
        is_plane=bool(model.geom_type[geom] == int(mujoco.mjtGeom.mjGEOM_PLANE)),
        friction=friction,
        own_friction=0.0 if varies else friction,
        geom=geom,
    )


def friction_of(model: mujoco.MjModel, geom: int, ground: Ground | None) -> float:
    """Returns what a shape has in PhysX, so that averaged with the ground's the larger acts."""
    own = float(model.geom_friction[geom][0])
    return 2.0 * max(own, ground.friction) - ground.own_friction if ground else own


def filters_of(model: mujoco.MjModel) -> dict[int, int]:
    """Returns the filter bits of each solid geom: those that share a bit do not touch.

    Geoms of one body, or of parent and child, never touch in PhysX, whatever their bits.

    Raises:
        UnsupportedModel: The rules need more bits than there are.
    """
    solid = solid_geoms(model)
    touching = {frozenset((pair.geom1, pair.geom2)) for pair in colliding_pairs(model)}
    apart = {
        frozenset((a, b))
        for a in solid
        for b in solid
        if a < b and frozenset((a, b)) not in touching and not _are_related(model, a, b)
    }
    free = {frozenset((a, b)) for a in solid for b in solid if a < b and _are_related(model, a, b)}
    filters = dict.fromkeys(solid, 0)
    bit = 0
    while apart:
        # A bit for a set of geoms of which no two touch, as large as it grows.
        group: list[int] = []
        for geom in sorted(next(iter(sorted(apart, key=sorted)))) + solid:
            pairs = [frozenset((geom, other)) for other in group]
            if geom not in group and all(pair in apart or pair in free for pair in pairs):
                group.append(geom)
        covered = {frozenset((a, b)) for a in group for b in group if a != b}
        # Pairs of earlier bits may be covered again.
        apart -= covered
        if bit == _MOST_BITS:
            said = "its rules of which shapes touch need more than 31 filter bits"
            raise _unsupported(said, "filter_bits")
        for geom in group:
            filters[geom] |= 1 << bit
        bit += 1
    return filters


def _are_related(model: mujoco.MjModel, a: int, b: int) -> bool:
    """Returns whether two geoms are of one body, or of bodies that a joint connects."""
    first, second = int(model.geom_bodyid[a]), int(model.geom_bodyid[b])
    if first == second:
        return True
    parents = model.body_parentid
    return bool(first and second and (parents[first] == second or parents[second] == first))
