"""The fused engine's tables of a fluid around the bodies, by MuJoCo's boxes of equal inertia."""

from __future__ import annotations

from typing import Any

import mujoco
import torch
from torch import Tensor

from rlgpu.sim.mujoco.fused.packing import matrix_of
from rlgpu.sim.mujoco.fused.pattern import chain_of
from rlgpu.sim.mujoco.specials import has_passive_forces


def has_fluid(model: mujoco.MjModel) -> bool:
    """Returns whether the model is in a fluid: one without density and viscosity does nothing."""
    return has_passive_forces(model) and bool(model.opt.density > 0 or model.opt.viscosity > 0)


def wet_bodies(model: mujoco.MjModel) -> list[int]:
    """Returns the bodies that move in a fluid."""
    bodies = range(model.nbody) if has_fluid(model) else ()
    return [body for body in bodies if chain_of(model, body)]


def fluid_tables(model: mujoco.MjModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the tables of indices and those of constants."""
    wet = wet_bodies(model)
    matrices = [matrix_of(model.body_iquat[body]) for body in wet]
    return {"wet_body": wet}, {"wet_mat": matrices, "wind": model.opt.wind}


def drag_of(mass: Tensor, inertia: Tensor, density: Tensor, viscosity: Tensor) -> Tensor:
    """Returns the drag of bodies, shape [N, W, 8], float64: ``kDrag`` in csrc says of what.

    Args:
        mass: Masses [kg], shape [1 or N, W], float64. A body without mass has no drag.
        inertia: Principal moments [kg m^2], shape [1 or N, W, 3], float64.
        density: Of the fluid [kg/m^3], shape [].
        viscosity: Of the fluid [Pa s], shape [].

    Source: MuJoCo, mj_inertiaBoxFluidModel.
    """
    others = inertia.sum(-1, keepdim=True) - 2.0 * inertia
    some = mass >= mujoco.mjMINVAL
    per_mass = 6.0 / mass.where(some, 1.0)
    box = (others.clamp(min=mujoco.mjMINVAL) * per_mass[..., None]).sqrt()
    diameter = box.mean(-1, keepdim=True)
    linear = torch.pi * viscosity * torch.cat((diameter**3, 3.0 * diameter), dim=-1)
    fourth = box**4
    about = density * box * (fourth.sum(-1, keepdim=True) - fourth) / 64.0
    along = 0.5 * density * box.roll(1, -1) * box.roll(-1, -1)
    return torch.cat((linear, about, along), dim=-1) * some[..., None]
