"""A robot from a file gets up, from any pose in which it was dropped.

    python train.py task=StandUp robot=path/to/robot.xml headless=True

Observations and actions are those of Walk, with a command of 0, so that both policies can drive one
robot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from rlgpu.config import Positive
from rlgpu.envs import TaskConfig, uniform
from rlgpu.sim import ResetState, SimState
from rlgpu.tasks.walk import Walk, WalkConfig
from rlgpu.tasks.walker import Walker


@dataclass(frozen=True)
class StandUpConfig(WalkConfig):
    """Settings of StandUp."""

    action_factor: Positive = 3.0
    """Factor on the robot's action scales: getting up takes larger motions than walking."""


class StandUp(Walk):
    """Get up and stand."""

    Config: ClassVar[type[TaskConfig]] = StandUpConfig
    config: StandUpConfig

    @cached_property
    def walker(self) -> Walker:
        """The robot, with larger actions."""
        walker, factor = super().walker, self.config.action_factor
        scales = {name: factor * scale for name, scale in walker.action_scale.items()}
        return replace(walker, action_scale=scales)

    def _failed(self, state: SimState, gravity_b: Tensor) -> Tensor:
        """Nothing is a failure: lying is where episodes begin."""
        return torch.zeros_like(gravity_b[:, 0], dtype=torch.bool)

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns robots above the ground, turned anyhow, joints anywhere within their limits."""
        n, joints = self.num_envs, len(self._default)
        states = super().reset_state(generator)
        # Of an unlimited joint, half a turn about its default position.
        low = self._lower.clamp(min=-1e6).maximum(self._default - 0.5 * math.pi)
        high = self._upper.clamp(max=1e6).minimum(self._default + 0.5 * math.pi)
        quat = torch.randn((n, 4), generator=generator, device=generator.device)
        above = torch.zeros(n, 3, device=generator.device)
        above[:, 2] = self.walker.base_height
        return states._replace(
            joint_pos=low + (high - low) * uniform((n, joints), 0.0, 1.0, generator),
            root_pos_w=self.ground.origins + 2.2 * above,
            root_quat_w=quat / quat.norm(dim=-1, keepdim=True),
        )
