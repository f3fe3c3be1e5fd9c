"""Drives of joints: PhysX's implicit springs and dampers on MuJoCo's actuators.

A drive's force is ``stiffness * (target - q) - damping * (v - target_velocity)``, at the end of the
step: q there is q + dt * v, so the spring also damps by ``stiffness * dt``. MuJoCo's integrator
takes damping at the end of the step too, which makes both drives the same and stable at any
stiffness.

Position and velocity drives are actuators with that force and the drive's limit. MuJoCo compares
the limit with the force at the start of the step, though. Where damping would stop the joint within
a step, that force is far above the one that acts, and limiting it makes the joint chatter. Such a
drive has a second actuator that carries spring and damper, and that ``Holds`` switches off in steps
in which the limit is reached.

MuJoCo solves constraints as if that damping were not implicit, so that contacts and attractors
would shake stiff drives. Those without a limit are carried: the actuator's armature holds what the
damping adds to the inertia of a step, ``dt * damping``, and ``Holds`` computes the force. That is
the same implicit step, and the solver knows of it. Beside attractors, which close loops, all drives
are carried. One that exceeded its limit at the end of a step is limited in the next, with that
armature: slower than without it.

Without a drive, stiffness and damping act towards zero as passive springs, and the actuator
carries the effort alone.

Which actuators a drive has is settled for all actors of an asset before the first step. So
environments with randomised gains share a model, and gains that change later fit the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.isaacgym.records.asset import Asset, DriveTraits
from rlgpu.isaacgym.records.enums import DofDriveMode
from rlgpu.isaacgym.records.properties import FLOAT_MAX
from rlgpu.isaacgym.records.scene import Actor
from rlgpu.sim.mujoco.actuators import add_joint_actuator

HOLD = ":hold"
"""Ends the name of the actuator that holds a joint."""
FIELDS = (
    "jnt_range",
    "dof_armature",
    "dof_frictionloss",
    "dof_damping",
    "jnt_stiffness",
    "actuator_biasprm",
    "actuator_gainprm",
    "actuator_forcerange",
    "actuator_armature",
)
"""Model fields that the properties of degrees of freedom decide."""
_CARRIED = mujoco.mjtBias.mjBIAS_NONE
"""Bias of the actuators of carried drives; others have an affine one."""
UNLIMITED = 1e20
"""Limits of efforts and velocities from here on are none [N m, N, rad/s or m/s]."""


class DriveTerms(NamedTuple):
    """The numbers of the drives of degrees of freedom, each of shape [..., D]."""

    target_gain: np.ndarray
    """Of the position target in ``ctrl``."""
    velocity_gain: np.ndarray
    """Of the velocity target in ``ctrl``."""
    bias_q: np.ndarray
    """Of the position in the actuator's force."""
    bias_v: np.ndarray
    """Of the velocity in the actuator's force."""
    spring: np.ndarray
    """Passive stiffness of the joint."""
    damper: np.ndarray
    """Passive damping of the joint."""
    limit: np.ndarray
    """Largest force of the actuator."""


def drive_terms(properties: np.ndarray, step: float) -> DriveTerms:
    """Returns what DOF properties make of the drives.

    Args:
        properties: Layout ``DOF_PROPERTIES``, shape [..., D].
        step: Duration of a physics step [s].
    """
    mode = properties["driveMode"]
    stiffness, damping = properties["stiffness"].astype(float), properties["damping"].astype(float)
    position = (mode == DofDriveMode.DOF_MODE_POS).astype(float)
    driven = position + (mode == DofDriveMode.DOF_MODE_VEL)
    # A velocity drive has no spring, whatever its stiffness.
    kp, spring = stiffness * position, stiffness * (driven == 0)
    return DriveTerms(
        target_gain=kp,
        velocity_gain=damping * driven,
        bias_q=-kp,
        bias_v=-(damping * driven + kp * step),
        spring=spring,
        damper=damping * (1 - driven) + spring * step,
        limit=np.minimum(properties["effort"].astype(float), FLOAT_MAX),
    )


def are_limited(properties: np.ndarray) -> np.ndarray:
    """Returns which drives have a largest force, shape [..., D]."""
    return np.asarray(properties["effort"] < UNLIMITED)


def settle_drives(actors: Sequence[Actor], step: float) -> None:
    """Settles the kinds of drives of all assets, by the properties of their actors.

    Args:
        actors: All actors of a simulation.
        step: Duration of a physics step [s].
    """
    properties: dict[int, tuple[Asset, list[np.ndarray]]] = {}
    for actor in actors:
        own = properties.setdefault(id(actor.asset), (actor.asset, []))[1]
        # Actors without properties of their own hold the asset's, once is enough.
        if not own or actor.dof_properties is not own[-1]:
            own.append(actor.dof_properties)
    for asset, rows in properties.values():
        asset.drive_traits = _traits_of(asset, np.stack(rows), step)


def _traits_of(asset: Asset, properties: np.ndarray, step: float) -> DriveTraits:
    """Returns what any actor's drives need, by DOF properties of shape [N, D]."""
    terms = drive_terms(properties, step)
    inverse_inertia = asset.model.dof_invweight0[asset.model.jnt_dofadr]
    return DriveTraits(
        np.any(terms.bias_v < 0, axis=0),
        np.any(-terms.bias_v * inverse_inertia * step > 1.0, axis=0),
    )


def add_drives(
    spec: mujoco.MjSpec, actor: Actor, prefix: str, *, is_tied: bool, by_joint: bool
) -> None:
    """Gives every degree of freedom of an actor its actuators and its limits.

    Args:
        spec: Changed in place.
        actor: The actor.
        prefix: What the names of its parts begin with.
        is_tied: Whether attractors may close loops of its drives.
        by_joint: As ``drive_fields`` takes it.
    """
    step = spec.option.timestep
    terms, limits = drive_terms(actor.dof_properties, step), are_limited(actor.dof_properties)
    traits = actor.asset.drive_traits or _traits_of(actor.asset, actor.dof_properties[None], step)
    for i, name in enumerate(actor.asset.dofs):
        row, joint, limit = actor.dof_properties[i], spec.joint(prefix + name), terms.limit[i]
        joint.limited = bool(row["hasLimits"])
        if joint.limited:
            joint.range = [float(row["lower"]), float(row["upper"])]
        joint.armature, joint.frictionloss = float(row["armature"]), float(row["friction"])
        stops, is_limited = bool(traits.stops[i]), bool(limits[i])
        is_carried = bool(traits.driven[i]) and (is_tied or (stops and not is_limited))
        held = stops and not is_carried
        actuator = add_joint_actuator(spec, prefix + name, prefix + name)
        if is_carried:
            holder = joint if by_joint else actuator
            holder.armature = holder.armature - float(terms.bias_v[i]) * step
        actuator.biastype = _CARRIED if is_carried else mujoco.mjtBias.mjBIAS_AFFINE
        actuator.gainprm[0] = 1.0
        # A drive without a limit has a huge one, so that a script can set another.
        actuator.forcelimited = not held and not is_carried
        if actuator.forcelimited:
            actuator.forcerange = [-limit, limit]
        if held:
            hold = add_joint_actuator(spec, prefix + name + HOLD, prefix + name)
            hold.gaintype = mujoco.mjtGain.mjGAIN_AFFINE
            hold.gainprm[0] = 0.0


def are_carried(model: mujoco.MjModel, motors: np.ndarray) -> np.ndarray:
    """Returns which drives are carried by armature, shape [D].

    Args:
        model: A composed model.
        motors: The drives' actuators, shape [D].
    """
    return np.asarray(model.actuator_biastype[motors] == int(_CARRIED))


def actuators_of(model: mujoco.MjModel, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the actuator of each joint and that which holds it, -1 without one, shape [D]."""
    names = [model.joint(int(joint)).name for joint in joints]
    kind = mujoco.mjtObj.mjOBJ_ACTUATOR
    first = [mujoco.mj_name2id(model, kind, name) for name in names]
    second = [mujoco.mj_name2id(model, kind, name + HOLD) for name in names]
    return np.array(first, dtype=int), np.array(second, dtype=int)


def drive_fields(
    model: mujoco.MjModel, joints: np.ndarray, properties: np.ndarray, *, by_joint: bool
) -> dict[str, np.ndarray]:
    """Returns model fields that hold the drives of N environments, each of shape [N, ...].

    Args:
        model: The model of one environment.
        joints: Its joint of each degree of freedom, shape [D].
        properties: DOF properties, shape [N, D].
        by_joint: Whether joints hold the armature of carried drives, for engines whose actuators
            have none.
    """
    dofs = model.jnt_dofadr[joints]
    terms = drive_terms(properties, float(model.opt.timestep))
    wide = {name: np.repeat(getattr(model, name)[None], len(properties), axis=0) for name in FIELDS}
    limited = properties["hasLimits"][0]
    for side, name in enumerate(("lower", "upper")):
        wide["jnt_range"][:, joints[limited], side] = properties[name][:, limited]
    wide["dof_frictionloss"][:, dofs] = properties["friction"]
    wide["dof_damping"][:, dofs], wide["jnt_stiffness"][:, joints] = terms.damper, terms.spring
    motors, holds = actuators_of(model, joints)
    held, carried = holds >= 0, are_carried(model, motors)
    added = -terms.bias_v * model.opt.timestep * carried
    wide["dof_armature"][:, dofs] = properties["armature"] + added * by_joint
    wide["actuator_armature"][:, motors] = added * (not by_joint)
    for column, bias in ((1, terms.bias_q), (2, terms.bias_v)):
        wide["actuator_biasprm"][:, motors, column] = bias * ~(held | carried)
        wide["actuator_gainprm"][:, holds[held], column] = bias[:, held]
    bound = model.actuator_forcelimited[motors].astype(bool)
    for side, sign in enumerate((-1, 1)):
        wide["actuator_forcerange"][:, motors[bound], side] = sign * terms.limit[:, bound]
    return wide
