"""The fused engine's tables of actuators: what they act on, their ranges and their dynamics."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.parameter_tables import is_in_disabled_group
from rlgpu.sim.mujoco.fused.servos import is_servo
from rlgpu.sim.mujoco.fused.tendon_tables import TendonTables
from rlgpu.sim.mujoco.specials import is_disabled

_DYN, _JOINT, _TRN = mujoco.mjtDyn, mujoco.mjtJoint, mujoco.mjtTrn
ON_JOINTS = (int(_TRN.mjTRN_JOINT), int(_TRN.mjTRN_JOINTINPARENT))
"""Transmissions whose target is a joint."""
_ON_BODY = int(_TRN.mjTRN_BODY)
STATEFUL = (int(_DYN.mjDYN_INTEGRATOR), int(_DYN.mjDYN_FILTER), int(_DYN.mjDYN_FILTEREXACT))
"""Dynamics of one activation that the engine has."""


def actuator_tables(
    model: mujoco.MjModel, tendons: TendonTables
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the tables of indices and those of constants, by their names.

    Args:
        model: A compiled model.
        tendons: The model's tendons, actuators at sites included.
    """
    clamped = model.actuator_ctrllimited & (not is_disabled(model, "CLAMPCTRL"))
    ctrl = _range_or_infinite(clamped, model.actuator_ctrlrange)
    acts = not is_disabled(model, "ACTUATION")
    act = _range_or_infinite(model.actuator_actlimited & acts, model.actuator_actrange)
    leak, advance = _dynamics(model)
    on_body = model.actuator_trntype == _ON_BODY  # MuJoCo ignores the gear there
    ints, constants = _on_balls(model)
    ints |= {
        "actuator_dof": [_moved(model, i, tendons) for i in range(model.nu)],
        "actuator_act": model.actuator_actadr,
        "actuator_early": model.actuator_actearly,
    }
    constants |= {
        "actuator_gear": np.where(on_body, 1.0, model.actuator_gear[:, 0]),
        "actuator_ctrl_low": ctrl[:, 0],
        "actuator_ctrl_high": ctrl[:, 1],
        "act_leak": leak,
        "act_advance": advance,
        "act_low": act[:, 0],
        "act_high": act[:, 1],
    }
    return ints, constants


def _moved(model: mujoco.MjModel, actuator: int, tendons: TendonTables) -> int:
    """Returns the dof on which an actuator acts, or -1 - i of tendon i."""
    target = int(model.actuator_trnid[actuator, 0])
    if model.actuator_trntype[actuator] == int(_TRN.mjTRN_TENDON):
        return -1 - tendons.number[target]
    if actuator in tendons.of_actuator:
        return -1 - tendons.of_actuator[actuator]
    return int(model.jnt_dofadr[target])


def _on_balls(model: mujoco.MjModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the tables of the actuators on ball joints."""
    joints = model.actuator_trnid[:, 0]
    on_ball = [
        i
        for i in np.flatnonzero(np.isin(model.actuator_trntype, ON_JOINTS)).tolist()
        if model.jnt_type[joints[i]] == int(_JOINT.mjJNT_BALL)
    ]
    numbers = {actuator: number for number, actuator in enumerate(on_ball)}
    gear = model.actuator_gear[on_ball, :3]
    ints = {
        "actuator_ball": [numbers.get(i, -1) for i in range(model.nu)],
        "ball_in_parent": model.actuator_trntype[on_ball] == int(_TRN.mjTRN_JOINTINPARENT),
    }
    turns = [is_servo(model, i) for i in on_ball]
    period = 2.0 * np.pi * np.linalg.norm(gear, axis=1)
    return ints, {"ball_gear": gear, "ball_period": np.where(turns, period, 0.0)}


def _dynamics(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Returns leak and advance of each actuator: act += advance (ctrl - leak act) in a step.

    Source: MuJoCo, mj_fwdActuation and mj_nextActivation.
    """
    kinds, step = model.actuator_dyntype, model.opt.timestep
    constant = np.maximum(model.actuator_dynprm[:, 0], mujoco.mjMINVAL)
    is_integrator = kinds == int(_DYN.mjDYN_INTEGRATOR)
    is_exact = kinds == int(_DYN.mjDYN_FILTEREXACT)
    share = np.where(is_exact, -np.expm1(-step / constant), step / constant)
    advance = np.where(is_integrator, step, share)
    # What is disabled keeps its activation.
    keeps = is_in_disabled_group(model) | is_disabled(model, "ACTUATION")
    advance[keeps | ~np.isin(kinds, STATEFUL)] = 0.0
    return np.where(is_integrator, 0.0, 1.0), advance


def _range_or_infinite(limited: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    return np.where(limited[:, None].astype(bool), ranges, [-np.inf, np.inf])
