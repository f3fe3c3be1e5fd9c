"""Writes the properties of an actor's tendons into the specification of its environment."""

from __future__ import annotations

from typing import Any

import mujoco

from rlgpu.isaacgym.records.asset import TendonPath, tendon_path
from rlgpu.isaacgym.records.scene import Actor

_OWN = {"name", "path", "id", "signature", "compiler", "default"}
"""Attributes that each tendon has to itself."""


def set_tendons(spec: mujoco.MjSpec, actor: Actor, prefix: str) -> None:
    """Writes what a script set of an actor's tendons.

    Args:
        spec: The environment, to which the actor is attached.
        actor: Its tendons' properties, coefficients and offsets are written.
        prefix: Begins the names of the actor's parts.
    """
    model = actor.asset.model
    for i, (tendon, given, path) in enumerate(
        zip(actor.asset.tendons, actor.tendon_properties, actor.tendon_paths, strict=True)
    ):
        made = spec.tendon(prefix + tendon)
        if path.coefficients != tendon_path(model, i).coefficients:
            made = _with_path(spec, made, path, prefix)
        made.stiffness[0], made.damping[0] = given.stiffness, given.damping
        # MuJoCo's tendons have no offset: their lengths are shorter by it, and so are the bounds.
        rest = given.fixed_spring_rest_length
        if path.offset or rest != model.tendon_lengthspring[i, 0]:
            made.springlength = [rest - path.offset] * 2
        if given.is_fixed_limited:
            bounds = given.fixed_lower_limit, given.fixed_upper_limit
            made.range = [bound - path.offset for bound in bounds]


def _with_path(spec: mujoco.MjSpec, tendon: Any, path: TendonPath, prefix: str) -> Any:
    """Replaces a tendon by one with other coefficients, which MuJoCo cannot change."""
    made = spec.add_tendon()
    for field in dir(tendon):
        value = None if field.startswith("_") or field in _OWN else getattr(tendon, field)
        if value is not None and not callable(value):
            setattr(made, field, value)
    name = tendon.name
    spec.delete(tendon)
    made.name = name
    for joint, coefficient in zip(path.joints, path.coefficients, strict=True):
        made.wrap_joint(prefix + joint, coefficient)
    return made
