"""Upper bounds on the contacts and constraint rows that one world of a model can have."""

from __future__ import annotations

from typing import NamedTuple

import mujoco


class Bounds(NamedTuple):
    """Upper bounds for one world of a model, at any one time."""

    contacts: int
    contact_rows: int
    """Constraint rows of the contacts."""
    other_rows: int
    """Rows of joint limits, friction losses and equalities."""


def bounds(model: mujoco.MjModel) -> Bounds:
    """Returns upper bounds on the contacts and constraint rows of one world.

    Contacts are counted over the pairs of geoms that pass MuJoCo's collision filter.
    """
    contacts = rows = 0
    pyramidal = model.opt.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL
    for a in range(model.ngeom):
        for b in range(a + 1, model.ngeom):
            if _may_collide(model, a, b):
                count = _contacts_of(model.geom_type[a], model.geom_type[b])
                condim = max(model.geom_condim[a], model.geom_condim[b])
                contacts += count
                rows += count * (2 * (condim - 1) if pyramidal and condim > 1 else condim)
    limited = int(model.jnt_limited.sum() + 2 * model.tendon_limited.sum())
    lossy = int((model.dof_frictionloss > 0).sum() + (model.tendon_frictionloss > 0).sum())
    return Bounds(contacts, int(rows), limited + lossy + 6 * model.neq)


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


def _contacts_of(first: int, second: int) -> int:
    """Returns the maximum number of contacts between two geoms of the given types.

    Source: MuJoCo's collision table, engine_collision_driver.c.
    """
    plane, sphere = int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_SPHERE)
    capsule, box = int(mujoco.mjtGeom.mjGEOM_CAPSULE), int(mujoco.mjtGeom.mjGEOM_BOX)
    low, high = sorted((int(first), int(second)))
    if sphere in (low, high):
        return 1
    if high == capsule:
        return 2
    return 8 if (low, high) == (box, box) else 4 if low in (plane, capsule, box) else 5
