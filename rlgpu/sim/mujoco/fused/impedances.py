"""Curves of constraint impedances, as the kernels read them (csrc/kernels/physics/rows.h)."""

from __future__ import annotations

import mujoco
import numpy as np

from rlgpu.sim.mujoco.contact_parameters import ContactParameters
from rlgpu.sim.mujoco.fused.parameter_tables import has_elliptic_cones
from rlgpu.sim.mujoco.specials import is_disabled

_MIN_VALUE = 1e-15
_IMPEDANCE_RANGE = (0.0001, 0.9999)


def safe_timestep(model: mujoco.MjModel) -> float:
    """Returns the timestep that bounds time constants [s]; 0 if the model's flags forbid that."""
    return 0.0 if is_disabled(model, "REFSAFE") else float(model.opt.timestep)


def impedance(solref: np.ndarray, solimp: np.ndarray, timestep: float) -> list[float]:
    """Returns (stiffness, damping, least, most, 1 / width, midpoint, power) of a constraint.

    Args:
        solref: Time constant [s] and damping ratio, or negative stiffness and damping.
        solimp: Impedance.
        timestep: Half of the smallest time constant [s], ``safe_timestep``.

    Source: MuJoCo, getsolparam and mj_makeImpedance in engine_core_constraint.c.
    """
    least, most = (float(x) for x in np.clip(solimp[:2], *_IMPEDANCE_RANGE))
    width, midpoint = max(0.0, float(solimp[2])), float(np.clip(solimp[3], *_IMPEDANCE_RANGE))
    first, second = (float(x) for x in solref)
    if (first > 0) != (second > 0):
        first, second = 0.02, 1.0  # mixed formats: MuJoCo takes its default
    if first > 0:
        constant = max(first, 2 * timestep)
        stiffness = 1.0 / max(_MIN_VALUE, (most * constant * second) ** 2)
        damping = 2.0 / max(_MIN_VALUE, most * constant)
    else:
        stiffness, damping = -first / max(_MIN_VALUE, most * most), -second / max(_MIN_VALUE, most)
    if least == most or width <= _MIN_VALUE:
        least = most = 0.5 * (least + most)
        width = 1.0
    return [stiffness, damping, least, most, 1.0 / width, midpoint, max(1.0, float(solimp[4]))]


def friction_damping(model: mujoco.MjModel, contact: ContactParameters) -> float:
    """Returns the damping of a contact's friction, that of its normal unless it has its own."""
    own = contact.solreffriction
    has_own = has_elliptic_cones(model) and own.any() and (own[0] > 0) == (own[1] > 0)
    solref = own if has_own else contact.solref
    return impedance(solref, contact.solimp, safe_timestep(model))[1]
