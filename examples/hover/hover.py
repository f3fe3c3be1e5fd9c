"""Hover: hold a mass at a height of 1 m, by a force that lifts it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from rlgpu.envs import Outcome, Task, TaskConfig, uniform
from rlgpu.sim import Drive, ResetState, SceneSpec


@dataclass(frozen=True)
class HoverConfig(TaskConfig):
    """Settings of the task; values in Hover.yaml, or task.force=30 on the command line."""

    force: float = 20.0
    """Force for an action of 1 [N]."""


class Hover(Task):
    Config = HoverConfig
    num_observations = 2
    num_actions = 1

    def scene(self):
        asset = Path(__file__).parent / "hover.xml"
        return SceneSpec(asset=asset, drives={"lift": Drive("effort")})

    def targets(self, actions):  # [N, A] -> [N, J], here newtons
        return self.config.force * actions

    def observe(self, state, actions):  # [N, O]
        return torch.cat((state.joint_pos, state.joint_vel), dim=-1)

    def evaluate(self, state, actions, observations):  # rewards and failures, [N] each
        error = (state.joint_pos[:, 0] - 1.0).abs()
        return Outcome(rewards=1.0 - error, terminated=error > 2.0)

    def reset_state(self, generator):  # of all N; only those being reset take it
        start = uniform((self.num_envs, 1), 0.5, 1.5, generator)
        return ResetState(joint_pos=start, joint_vel=torch.zeros_like(start))
