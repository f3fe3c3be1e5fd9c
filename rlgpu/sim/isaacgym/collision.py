"""MuJoCo's rules of which shapes touch, in Isaac Gym's terms: a ground plane and filter bits."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.pairs import colliding_pairs

_MOST_BITS = 31


class Ground(NamedTuple):
    """The plane that robots stand on: points p with normal . p + distance = 0."""

    normal: list[float]
    distance: float
    """[m]"""
    friction: float
    """In the model."""
    plane_friction: float
    """In PhysX, which averages it with a shape's; 0 where friction varies, for no shape's friction
    to become negative."""
    geom: int
    """Its index in the model."""


def solid_geoms(model: mujoco.MjModel) -> list[int]:
    """Returns the robot's geoms that can touch anything."""
    touching = {geom for pair in colliding_pairs(model) for geom in (pair.geom1, pair.geom2)}
    return sorted(geom for geom in touching if model.geom_bodyid[geom])


def ground_of(model: mujoco.MjModel, *, varies: bool = False) -> Ground | None:
    """Returns the plane that the robot can touch, or None.

    Args:
        model: The compiled model.
        varies: Whether environments have their own friction.

    Raises:
        ValueError: Something else of the world can be touched, it is not level, or not every solid
            geom can touch it.
    """
    touched: dict[int, set[int]] = {}
    for pair in colliding_pairs(model):
        for one, other in ((pair.geom1, pair.geom2), (pair.geom2, pair.geom1)):
            if model.geom_bodyid[one] == 0:
                touched.setdefault(one, set()).add(other)
    if not touched:
        return None
    kinds = [mujoco.mjtGeom(model.geom_type[geom]) for geom in touched]
    if kinds != [mujoco.mjtGeom.mjGEOM_PLANE]:
        names = ", ".join(kind.name[7:].lower() for kind in kinds)
        raise ValueError(f"its world has more to touch than one plane: {names}")
    geom = next(iter(touched))
    if touched[geom] != set(solid_geoms(model)):
        raise ValueError("some of its shapes touch each other and not the ground")
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
    normal = turn.reshape(3, 3)[:, 2]
    if normal[2] < 1.0 - 1e-6:
        raise ValueError("its ground is not level, and Isaac Gym has one for all environments")
    distance = -float(model.geom_pos[geom][2])
    friction = float(model.geom_friction[geom][0])
    return Ground([0.0, 0.0, 1.0], distance, friction, 0.0 if varies else friction, geom)


def friction_of(model: mujoco.MjModel, geom: int, ground: Ground | None) -> float:
    """Returns what a shape has in PhysX, so that averaged with the ground's the larger acts."""
    own = float(model.geom_friction[geom][0])
    return 2.0 * max(own, ground.friction) - ground.plane_friction if ground else own


def filters_of(model: mujoco.MjModel) -> dict[int, int]:
    """Returns the filter bits of each solid geom: those that share a bit do not touch.

    Geoms of one body, or of parent and child, never touch in PhysX, whatever their bits.

    Raises:
        ValueError: The rules need more bits than there are.
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
            raise ValueError("its rules of which shapes touch need more than 31 filter bits")
        for geom in group:
            filters[geom] |= 1 << bit
        bit += 1
    return filters


def _are_related(model: mujoco.MjModel, a: int, b: int) -> bool:
    """Returns whether two geoms are of one body, or of bodies that a joint connects."""
    first, second = int(model.geom_bodyid[a]), int(model.geom_bodyid[b])
    parents = model.body_parentid
    return first == second or parents[first] == second or parents[second] == first
