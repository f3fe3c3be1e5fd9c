"""Adds a scene's actuators to a robot's specification."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import mujoco
import numpy as np

from rlgpu.sim.scene import Drive

_IDENTITY = ("id", "name", "classname", "compiler", "info", "plugin", "signature", "userdata")
"""Attributes that say which actuator it is, not how it acts."""


def _plain_attributes() -> dict[str, Any]:
    """Returns MuJoCo's own defaults of an actuator's attributes."""
    spec = mujoco.MjSpec()  # owns the memory that the values are views of
    plain = spec.default.actuator
    names = [name for name in dir(plain) if not name.startswith("_") and name not in _IDENTITY]
    values = {name: getattr(plain, name) for name in names}
    return {name: deepcopy(value) for name, value in values.items() if not callable(value)}


_PLAIN = _plain_attributes()


def add_joint_actuator(spec: mujoco.MjSpec, name: str, joint: str) -> mujoco.MjsActuator:
    """Adds an actuator on a joint with MuJoCo's own defaults, whatever the file's defaults are."""
    actuator = spec.add_actuator()
    for attribute, value in _PLAIN.items():
        setattr(actuator, attribute, value)
    actuator.name, actuator.target = name, joint
    actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
    return actuator


def add_drive(spec: mujoco.MjSpec, joint: str, drive: Drive) -> None:
    """Adds the actuator of a drive, named like its joint."""
    actuator = add_joint_actuator(spec, joint, joint)
    if drive.mode == "effort":
        actuator.set_to_motor()
    else:
        actuator.set_to_position(kp=drive.stiffness, kv=drive.damping)
    if np.isfinite(drive.effort_limit):
        actuator.forcelimited = True
        actuator.forcerange = [-drive.effort_limit, drive.effort_limit]
