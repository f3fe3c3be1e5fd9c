"""Pairs of geoms that may collide, after MuJoCo's filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import mujoco

from rlgpu.sim.mujoco.specials import is_disabled


class Pair(NamedTuple):
    """Two geoms that may collide, in the order of MuJoCo's collision functions: by type."""

    geom1: int
    geom2: int
    kind: tuple[mujoco.mjtGeom, mujoco.mjtGeom]
    """Types of the two."""
    explicit: int = -1
    """Number of the model's ``pair`` element that they are from; -1 if from none."""


def colliding_pairs(model: mujoco.MjModel) -> list[Pair]:
    """Returns the pairs that pass MuJoCo's filters, or are explicit ``pair`` elements.

    None if the model's flags disable contacts.

    Source: engine_collision_driver.c, filterBodyPair, filterBitmask, filterCollisionPair.
    """
    if is_disabled(model, "CONTACT", "CONSTRAINT"):
        return []
    explicit = list(_explicit_pairs(model))
    replaced = {frozenset((pair.geom1, pair.geom2)) for pair in explicit}
    excluded = {int(signature) for signature in model.exclude_signature}
    found = []
    for a in range(model.ngeom):
        for b in range(a + 1, model.ngeom):
            first, second = sorted((int(model.geom_bodyid[a]), int(model.geom_bodyid[b])))
            if (first << 16) + second in excluded or not _may_collide(model, a, b):
                continue
            if frozenset((a, b)) not in replaced:
                found.append(_ordered(model, a, b))
    return found + explicit


def solved_order(model: mujoco.MjModel, pairs: list[Pair]) -> list[Pair]:
    """Returns pairs in the order in which MuJoCo's noslip solver treats their contacts.

    By their bodies, explicit ones first. Without that solver, the order does not matter.
    """
    if model.opt.noslip_iterations <= 0:
        return pairs

    def key(pair: Pair) -> tuple[object, ...]:
        bodies = sorted(int(model.geom_bodyid[geom]) for geom in (pair.geom1, pair.geom2))
        return (*bodies, pair.explicit < 0, pair.explicit, pair.geom1, pair.geom2)

    return sorted(pairs, key=key)


def _explicit_pairs(model: mujoco.MjModel) -> Iterator[Pair]:
    """Yields the ``pair`` elements whose geoms can move relative to each other."""
    for number in range(model.npair):
        a, b = int(model.pair_geom1[number]), int(model.pair_geom2[number])
        if not _are_fixed(model, a, b):
            yield _ordered(model, a, b, number)


def _ordered(model: mujoco.MjModel, a: int, b: int, explicit: int = -1) -> Pair:
    one, two = (a, b) if model.geom_type[a] <= model.geom_type[b] else (b, a)
    kind = mujoco.mjtGeom(model.geom_type[one]), mujoco.mjtGeom(model.geom_type[two])
    return Pair(one, two, kind, explicit)


def _are_fixed(model: mujoco.MjModel, a: int, b: int) -> bool:
    """Returns whether no joint moves two geoms relative to each other."""
    welds = model.body_weldid[model.geom_bodyid[[a, b]]]
    return bool(welds[0] == welds[1] or not model.body_dofnum[welds].any())


def _may_collide(model: mujoco.MjModel, a: int, b: int) -> bool:
    type_a, type_b = model.geom_contype[[a, b]]
    affinity_a, affinity_b = model.geom_conaffinity[[a, b]]
    if not (type_a & affinity_b or type_b & affinity_a) or _are_fixed(model, a, b):
        return False
    if is_disabled(model, "FILTERPARENT"):
        return True
    # Parent and child never collide, unless the parent is the world.
    weld_a, weld_b = model.body_weldid[model.geom_bodyid[[a, b]]]
    parent_a = model.body_weldid[model.body_parentid[weld_a]]
    parent_b = model.body_weldid[model.body_parentid[weld_b]]
    related = (weld_a == parent_b and weld_a != 0) or (weld_b == parent_a and weld_b != 0)
    return not related
