"""Actuators of MJCF files and the drives that they give their joints."""

from __future__ import annotations

import math

import mujoco

from rlgpu.robots.robot import Actuator, Drive


def take_actuators(spec: mujoco.MjSpec, moving: mujoco.MjModel) -> tuple[Actuator, ...]:
    """Removes a specification's actuators and returns those of joints.

    Args:
        spec: Changed in place.
        moving: Its model, as it moves; gains may follow from the inertia.
    """
    found = []
    for i, actuator in enumerate(list(spec.actuators)):
        if actuator.trntype == mujoco.mjtTrn.mjTRN_JOINT:
            found.append(_described(Actuator(actuator.name, actuator.target, "motor"), moving, i))
        spec.delete(actuator)
    return tuple(found)


def _described(actuator: Actuator, model: mujoco.MjModel, row: int) -> Actuator:
    """Returns an actuator with the gains and limits of a row of a model."""
    # Parameters of other types of gain and bias mean something else, or nothing.
    actuator = actuator._replace(gear=float(model.actuator_gear[row, 0]))
    fixed = model.actuator_gaintype[row] == mujoco.mjtGain.mjGAIN_FIXED
    affine = model.actuator_biastype[row] == mujoco.mjtBias.mjBIAS_AFFINE
    gain = float(model.actuator_gainprm[row, 0]) if fixed else 0.0
    bias = model.actuator_biasprm[row].tolist() if affine else [0.0, 0.0, 0.0]
    if bias[1]:
        actuator = actuator._replace(kind="position", stiffness=-bias[1], damping=-bias[2])
    elif bias[2]:
        actuator = actuator._replace(kind="velocity", damping=-bias[2])
    else:
        actuator = actuator._replace(effort=float(model.actuator_gear[row, 0]) * gain)
    if model.actuator_ctrllimited[row]:
        actuator = actuator._replace(control_range=tuple(model.actuator_ctrlrange[row].tolist()))
    if model.actuator_forcelimited[row]:
        actuator = actuator._replace(force_range=tuple(model.actuator_forcerange[row].tolist()))
    return actuator


def drives_of(actuators: tuple[Actuator, ...]) -> dict[str, Drive]:
    """Returns the drives that actuators give their joints."""
    drives = {}
    for actuator in actuators:
        limit = actuator.force_range[1] if actuator.force_range else math.inf
        if actuator.kind == "position":
            drive = Drive("position", actuator.stiffness, limit)
        elif actuator.kind == "velocity":
            drive = Drive("velocity", effort=limit)
        else:
            effort = abs(actuator.effort) if actuator.control_range else math.inf
            drive = Drive(effort=min(limit, effort) if effort else limit)
        drives[actuator.joint] = drive
    return drives
