"""Springs, limits and friction of joints, limits of actuators, gravity compensation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.sim.mujoco.fused.ball_tables import joints_of, moving_dofs
from rlgpu.sim.mujoco.layout import SCALAR_JOINTS
from rlgpu.sim.mujoco.specials import has_passive_forces, is_disabled


class JointParameters(NamedTuple):
    """Which of a model's joints, dofs and actuators have them; indices are int64."""

    sprung: Tensor
    """Joint of each dof, shape [V]."""
    springs: Tensor
    """1 for dofs whose spring acts on a number, else 0, shape [V], float64."""
    limited: Tensor
    """Joints with limits, those of ball joints last, shape [L]."""
    turns: Tensor
    """Whether these are ball joints, whose only limit is the larger number, shape [L]."""
    lossy: Tensor
    """Dofs with dry friction, shape [D]."""
    bounded: Tensor
    """Whether each actuator's force has limits, shape [A]."""
    lifted: Tensor
    """Bodies with gravity compensation, shape [C]."""

    @classmethod
    def of(cls, model: mujoco.MjModel, fields: Collection[str]) -> JointParameters:
        """Looks them up in a model.

        Args:
            model: The model.
            fields: Fields of the model that will differ between worlds; all joints or bodies have
                friction or compensation in some world if it does.
        """
        springs = np.zeros(model.nv)
        springs[moving_dofs(model)[1]] = not is_disabled(model, "SPRING")
        limited = _limited_joints(model)
        kinds = model.jnt_type[limited]
        bounded = model.actuator_forcelimited.astype(bool) & (not is_disabled(model, "ACTUATION"))
        return cls(
            _ids(model.dof_jntid),
            torch.from_numpy(springs),
            _ids(limited),
            torch.from_numpy(kinds == int(mujoco.mjtJoint.mjJNT_BALL)),
            _ids(_lossy_dofs(model, vary="dof_frictionloss" in fields)),
            torch.from_numpy(bounded),
            _ids(_lifted_bodies(model, vary="body_gravcomp" in fields)),
        )

    def tables(self, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the tables by name, each of shape [1 or N, width], float64.

        Args:
            fields: The model's fields, each of shape [1 or N, ...], float64.
        """
        low, high = fields["jnt_range"][:, self.limited].unbind(-1)
        least, most = fields["actuator_forcerange"].unbind(-1)
        return {
            "dof_stiffness": fields["jnt_stiffness"][:, self.sprung] * self.springs,
            "limit_low": low,
            "limit_high": torch.where(self.turns, torch.maximum(low, high), high),
            "loss_force": fields["dof_frictionloss"][:, self.lossy],
            "actuator_force_low": least.masked_fill(~self.bounded, -torch.inf),
            "actuator_force_high": most.masked_fill(~self.bounded, torch.inf),
            "lifted_share": fields["body_gravcomp"][:, self.lifted],
        }

    def to(self, device: torch.device) -> JointParameters:
        """Returns the same on a device."""
        return JointParameters(*(part.to(device) for part in self))


def _limited_joints(model: mujoco.MjModel) -> list[int]:
    if is_disabled(model, "LIMIT", "CONSTRAINT"):
        return []
    joints = (*joints_of(model, *SCALAR_JOINTS), *joints_of(model, mujoco.mjtJoint.mjJNT_BALL))
    return [joint for joint in joints if model.jnt_limited[joint]]


def _lossy_dofs(model: mujoco.MjModel, *, vary: bool) -> np.ndarray:
    if is_disabled(model, "FRICTIONLOSS", "CONSTRAINT"):
        return np.zeros(0, np.int64)
    may_rub = np.isin(model.jnt_type[model.dof_jntid], [int(kind) for kind in SCALAR_JOINTS])
    return np.flatnonzero((model.dof_frictionloss > 0) | (may_rub & vary))


def _lifted_bodies(model: mujoco.MjModel, *, vary: bool) -> np.ndarray:
    if not has_passive_forces(model):
        return np.zeros(0, np.int64)
    moves = np.arange(model.nbody) > 0
    return np.flatnonzero((model.body_gravcomp != 0) | (moves & vary))


def _ids(values: np.ndarray | list[int]) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.int64))
