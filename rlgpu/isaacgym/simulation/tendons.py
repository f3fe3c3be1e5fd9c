"""Properties of tendons: in the specification of an environment, and in the worlds' fields.

Worlds of some engines share springs and dampers of tendons, but not actuators. There an actuator on
the tendon exerts their force, ``stiffness * (rest - length) - damping * velocity``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from rlgpu.isaacgym.records.asset import Asset, TendonPath, tendon_path
from rlgpu.isaacgym.records.properties import TendonProperties
from rlgpu.isaacgym.records.scene import Actor, Env, Sim
from rlgpu.sim.mujoco.actuators import add_joint_actuator

_SPRING = ":spring"
"""Ends the name of the actuator that is a tendon's spring and damper."""
_FIELDS = ("tendon_stiffness", "tendon_damping", "tendon_lengthspring", "tendon_range")
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
        if _has_actuator(actor.env.sim, actor.asset, i):
            made.stiffness[0] = made.damping[0] = 0.0
            spring = add_joint_actuator(spec, prefix + tendon + _SPRING, prefix + tendon)
            spring.trntype, spring.gainprm[0] = mujoco.mjtTrn.mjTRN_TENDON, 0.0
            spring.biastype = mujoco.mjtBias.mjBIAS_AFFINE
            spring.biasprm[:3] = _force_terms(given, path)
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


def late_changes(actor: Actor, values: Sequence[TendonProperties]) -> list[str]:
    """Returns the changed properties of tendons that a running simulation cannot take over."""
    able = actor.env.sim.capabilities.varying_fields
    fixed = {"is_fixed_limited"}
    if able is not None and "tendon_range" not in able:
        fixed |= {"fixed_lower_limit", "fixed_upper_limit"}
    springs = {"stiffness", "damping", "fixed_spring_rest_length"}
    found = set()
    for i, (new, old) in enumerate(zip(values, actor.tendon_properties, strict=True)):
        varies = able is None or "tendon_stiffness" in able
        varies = varies or _has_actuator(actor.env.sim, actor.asset, i)
        names = fixed if varies else fixed | springs
        found |= {name for name in names if getattr(new, name) != getattr(old, name)}
    return sorted(found)


def tendon_fields(
    model: mujoco.MjModel,
    envs: Sequence[Env],
    seats: Sequence[Sequence[int]],
    actuators: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Returns model fields that hold the tendons of N environments, each of shape [N, ...].

    Args:
        model: The model of one environment.
        envs: The environments.
        seats: The handles that their actors have in the model; empty if they are the actors' own.
        actuators: ``actuator_biasprm`` of all environments, written in place if it holds springs.
    """
    if not any(actor.asset.tendons for actor in envs[0].actors):
        return {}
    wide = {name: np.repeat(getattr(model, name)[None], len(envs), axis=0) for name in _FIELDS}
    places: dict[str, tuple[int, int]] = {}
    for world, env in enumerate(envs):
        for actor in (actor for actor in env.actors if actor.asset.tendons):
            slot = seats[world][actor.handle] if seats else actor.handle
            for i, tendon in enumerate(actor.asset.tendons):
                name = f"{slot}/{tendon}"
                if name not in places:
                    places[name] = _places(model, name)
                rows = {field: values[world] for field, values in wide.items()}
                _write(rows, actuators["actuator_biasprm"][world], actor, i, places[name])
    return wide


def _places(model: mujoco.MjModel, name: str) -> tuple[int, int]:
    """Returns a tendon's index and that of the actuator that is its spring, -1 without one."""
    kind = mujoco.mjtObj.mjOBJ_ACTUATOR
    return model.tendon(name).id, mujoco.mj_name2id(model, kind, name + _SPRING)


def _write(
    rows: Mapping[str, np.ndarray],
    bias: np.ndarray,
    actor: Actor,
    tendon: int,
    places: tuple[int, int],
) -> None:
    """Writes a tendon of an actor into the rows of its environment."""
    given, path = actor.tendon_properties[tendon], actor.tendon_paths[tendon]
    place, spring = places
    if spring >= 0:
        bias[spring, :3] = _force_terms(given, path)
    else:
        rows["tendon_stiffness"][place] = given.stiffness
        rows["tendon_damping"][place] = given.damping
        rest, slack = given.fixed_spring_rest_length, actor.asset.model.tendon_lengthspring[tendon]
        is_set = bool(path.offset) or rest != slack[0]
        rows["tendon_lengthspring"][place] = rest - path.offset if is_set else slack
    if given.is_fixed_limited:
        bounds = given.fixed_lower_limit, given.fixed_upper_limit
        rows["tendon_range"][place] = [bound - path.offset for bound in bounds]


def _force_terms(given: TendonProperties, path: TendonPath) -> list[float]:
    """Returns a spring's force at length zero, and its slopes along length and velocity."""
    rest = given.fixed_spring_rest_length - path.offset
    return [given.stiffness * rest, -given.stiffness, -given.damping]


def _has_actuator(sim: Sim, asset: Asset, tendon: int) -> bool:
    """Returns whether an actuator exerts a tendon's force; none has the slack of some springs."""
    able = sim.capabilities.varying_fields
    low, high = asset.model.tendon_lengthspring[tendon]
    return able is not None and "tendon_stiffness" not in able and bool(low == high)
