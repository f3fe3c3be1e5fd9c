"""Upper bounds on the contacts and constraint rows that one world of a model can have."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import NamedTuple

import mujoco

from rlgpu.sim.mujoco.contact_parameters import contact_parameters
from rlgpu.sim.mujoco.pairs import colliding_pairs


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
    for pair in colliding_pairs(model):
        count = _contacts_of(*pair.kind)
        condim = contact_parameters(model, pair).condim
        contacts += count
        rows += count * (2 * (condim - 1) if pyramidal and condim > 1 else condim)
    limited = int(model.jnt_limited.sum() + 2 * model.tendon_limited.sum())
    lossy = int((model.dof_frictionloss > 0).sum() + (model.tendon_frictionloss > 0).sum())
    return Bounds(contacts, int(rows), limited + lossy + 6 * model.neq)


def add_possible_friction(model: mujoco.MjModel, fields: Collection[str]) -> mujoco.MjModel:
    """Returns a model with friction loss wherever a world may have it, to count rows by.

    Args:
        model: The model that all worlds share; it stays as it is.
        fields: Model fields that differ between worlds.
    """
    varying = {"dof_frictionloss", "tendon_frictionloss"} & set(fields)
    if not varying:
        return model
    model = copy.copy(model)
    for name in varying:
        getattr(model, name)[:] = 1.0
    return model


def _contacts_of(low: mujoco.mjtGeom, high: mujoco.mjtGeom) -> int:
    """Returns the maximum number of contacts between two geoms of the given types, in order.

    Source: MuJoCo's collision table, engine_collision_driver.c.
    """
    if low == mujoco.mjtGeom.mjGEOM_HFIELD:
        return mujoco.mjMAXCONPAIR
    plane, sphere = mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_SPHERE
    capsule, box = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_BOX
    if sphere in (low, high):
        return 1
    if high == capsule:
        return 2
    return 8 if (low, high) == (box, box) else 4 if low in (plane, capsule, box) else 5
