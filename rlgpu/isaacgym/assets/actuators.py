"""Actuators of MJCF files and the drives that they give their joints."""

from __future__ import annotations

import mujoco

from rlgpu.isaacgym.assets.asset import Actuator, Drive
from rlgpu.isaacgym.properties import FLOAT_MAX, ActuatorProperties

_POSITION, _VELOCITY = 1, 2


def take_actuators(spec: mujoco.MjSpec, moving: mujoco.MjModel) -> tuple[Actuator, ...]:
    """Removes a specification's actuators and returns those of joints, as Isaac Gym describes them.

    Args:
        spec: Changed in place.
        moving: Its model, as it moves; gains may follow from the inertia.
    """
    found = []
    for i, actuator in enumerate(list(spec.actuators)):
        if actuator.trntype == mujoco.mjtTrn.mjTRN_JOINT:
            found.append(Actuator(actuator.name, actuator.target, _properties(moving, i)))
        spec.delete(actuator)
    return tuple(found)


def _properties(model: mujoco.MjModel, actuator: int) -> ActuatorProperties:
    properties = ActuatorProperties()
    # Parameters of other types of gain and bias mean something else, or nothing.
    fixed = model.actuator_gaintype[actuator] == mujoco.mjtGain.mjGAIN_FIXED
    affine = model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_AFFINE
    gain = float(model.actuator_gainprm[actuator, 0]) if fixed else 0.0
    bias = model.actuator_biasprm[actuator].tolist() if affine else [0.0, 0.0, 0.0]
    gear = float(model.actuator_gear[actuator, 0])
    if bias[1]:
        properties.type, properties.kp, properties.kv = "position", -bias[1], -bias[2]
    elif bias[2]:
        properties.type, properties.kv = "velocity", -bias[2]
    else:
        properties.type, properties.motor_effort = "motor", gear * gain
    for name, limited, limit in (
        ("control", model.actuator_ctrllimited, model.actuator_ctrlrange),
        ("force", model.actuator_forcelimited, model.actuator_forcerange),
    ):
        setattr(properties, f"{name}_limited", bool(limited[actuator]))
        if limited[actuator]:
            setattr(properties, f"lower_{name}_limit", float(limit[actuator, 0]))
            setattr(properties, f"upper_{name}_limit", float(limit[actuator, 1]))
    return properties


def drives_of(actuators: tuple[Actuator, ...]) -> dict[str, Drive]:
    """Returns the drives that actuators give their joints."""
    drives = {}
    for _, joint, properties in actuators:
        limit = properties.upper_force_limit if properties.force_limited else FLOAT_MAX
        if properties.type == "position":
            drives[joint] = Drive(mode=_POSITION, stiffness=properties.kp, effort=limit)
        elif properties.type == "velocity":
            drives[joint] = Drive(mode=_VELOCITY, effort=limit)
        else:
            effort = properties.motor_effort if properties.control_limited else FLOAT_MAX
            drives[joint] = Drive(effort=min(limit, abs(effort)) if effort else limit)
    return drives
