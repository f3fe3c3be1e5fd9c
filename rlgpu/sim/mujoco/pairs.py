"""Pairs of geoms that may collide, after MuJoCo's filters."""

from __future__ import annotations

from typing import NamedTuple

import mujoco

from rlgpu.sim.mujoco.specials import is_disabled


class Pair(NamedTuple):
    """Two geoms that may collide, in the order of MuJoCo's collision functions: by type."""

    geom1: int
    geom2: int
    kind: tuple[mujoco.mjtGeom, mujoco.mjtGeom]
    """Types of the two."""


def colliding_pairs(model: mujoco.MjModel) -> list[Pair]:
    """Returns the pairs that pass MuJoCo's filters, explicit ``pair`` elements left out.

    None if the model's flags disable contacts.

    Source: engine_collision_driver.c, filterBodyPair, filterBitmask.
    """
    if is_disabled(model, "CONTACT", "CONSTRAINT"):
        return []
    excluded = {int(signature) for signature in model.exclude_signature}
    found = []
    for a in range(model.ngeom):
        for b in range(a + 1, model.ngeom):
            first, second = sorted((int(model.geom_bodyid[a]), int(model.geom_bodyid[b])))
            if (first << 16) + second not in excluded and _may_collide(model, a, b):
                one, two = (a, b) if model.geom_type[a] <= model.geom_type[b] else (b, a)
                kind = mujoco.mjtGeom(model.geom_type[one]), mujoco.mjtGeom(model.geom_type[two])
                found.append(Pair(one, two, kind))
    return found


def _may_collide(model: mujoco.MjModel, a: int, b: int) -> bool:
    type_a, type_b = model.geom_contype[[a, b]]
    affinity_a, affinity_b = model.geom_conaffinity[[a, b]]
    if not (type_a & affinity_b or type_b & affinity_a):
        return False
    # Bodies welded together never collide; nor do parent and child, unless the parent is the world.
    weld_a, weld_b = model.body_weldid[model.geom_bodyid[[a, b]]]
    parent_a = model.body_weldid[model.body_parentid[weld_a]]
    parent_b = model.body_weldid[model.body_parentid[weld_b]]
    related = (weld_a == parent_b and weld_a != 0) or (weld_b == parent_a and weld_b != 0)
    return bool(weld_a != weld_b and not related)
