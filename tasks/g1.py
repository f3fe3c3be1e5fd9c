"""Unitree's G1 walks as commanded, on its legs' 12 drives.

Source: unitree_rl_gym, envs/g1; values in cfg/task/G1.yaml.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from rlgpu.config import NonNegative
from rlgpu.envs import Columns, TaskConfig
from rlgpu.sim import SimState
from rlgpu.tasks.legged import Legged
from rlgpu.tasks.legged_config import Gains, LeggedConfig
from rlgpu.tasks.walker import GAIT_PERIOD

SIDES = ("left", "right")
LEG = {
    "hip_pitch": -0.1,
    "hip_roll": 0.0,
    "hip_yaw": 0.0,
    "knee": 0.3,
    "ankle_pitch": -0.2,
    "ankle_roll": 0.0,
}
OBSERVATION = Columns(
    lin_vel_b=3,
    ang_vel_b=3,
    gravity_b=3,
    commands=3,
    joint_pos=12,
    joint_vel=12,
    actions=12,
    phase=2,
)


@dataclass(frozen=True)
class G1Gains(Gains):
    """Gains of the drives: a field counts for every joint whose name contains the field's."""

    hip: NonNegative = 0.0
    """Gain of the hips' three joints."""
    knee: NonNegative = 0.0
    """Gain of the knees."""
    ankle: NonNegative = 0.0
    """Gain of the ankles' two joints."""


@dataclass(frozen=True)
class G1Config(LeggedConfig):
    """Configuration of the G1."""

    stiffness: G1Gains = field(default_factory=G1Gains)
    """Proportional gains of the drives [N m/rad]."""
    damping: G1Gains = field(default_factory=G1Gains)
    """Derivative gains of the drives [N m s/rad]."""


class G1(Legged):
    """Walk on two legs; only the critic sees the base's velocity."""

    Config: ClassVar[type[TaskConfig]] = G1Config
    asset = "g1.xml"
    columns = OBSERVATION
    privileged = ("lin_vel_b",)
    num_observations = OBSERVATION.width
    num_actions = 12
    default_joint_pos: ClassVar = {
        f"{side}_{joint}_joint": angle for side in SIDES for joint, angle in LEG.items()
    }
    effort_limits: ClassVar = {"hip_roll": 139.0, "knee": 139.0, "hip": 88.0, "ankle": 50.0}
    feet = tuple(f"{side}_ankle_roll_link" for side in SIDES)
    failing_bodies = ("pelvis",)
    colliding_bodies = tuple(
        f"{side}_{part}_link"
        for side in SIDES
        for part in ("hip_pitch", "hip_roll", "hip_yaw", "knee")
    )
    hip_joints = tuple(f"{side}_hip_{axis}_joint" for side in SIDES for axis in ("roll", "yaw"))

    def observed(self, state: SimState, actions: Tensor) -> dict[str, Tensor]:
        """Returns what the robot may observe; of its phase, sine and cosine."""
        angle = self.buffers["age"] * (2.0 * math.pi * self._step_dt / GAIT_PERIOD)
        phase = torch.stack((angle.sin(), angle.cos()), dim=-1)
        return super().observed(state, actions) | {"phase": phase}
