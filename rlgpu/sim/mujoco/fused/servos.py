"""Which actuators follow a setpoint that is an angle, if what they act on turns."""

from __future__ import annotations

import mujoco

from rlgpu.sim.mujoco.specials import is_disabled


def is_servo(model: mujoco.MjModel, actuator: int) -> bool:
    """Returns whether an actuator follows a setpoint.

    Source: MuJoCo, wrapPeriod in engine_forward.c; MuJoCo 4.0.0 also wraps filtered setpoints.
    """
    return bool(
        not is_disabled(model, "ACTUATION")
        and model.actuator_gaintype[actuator] == int(mujoco.mjtGain.mjGAIN_FIXED)
        and model.actuator_biastype[actuator] == int(mujoco.mjtBias.mjBIAS_AFFINE)
        and model.actuator_gainprm[actuator, 0] == -model.actuator_biasprm[actuator, 1]
    )
