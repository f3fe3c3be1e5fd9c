"""Run an ant towards a far target.

Source: IsaacGymEnvs, tasks/ant.py; values in cfg/task/Ant.yaml; tasks/running.py says what differs.

Oddities kept from the source: yaw and roll jump at 2 pi, and only upper joint limits are penalised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from rlgpu.envs import Columns, Outcome, TaskConfig
from rlgpu.sim import Drive, SceneSpec, SimState, Simulator
from rlgpu.tasks.running import Runner, RunningConfig, heading_reward

FEET = ("front_left_foot", "front_right_foot", "left_back_foot", "right_back_foot")
JOINTS = tuple(f"{kind}_{leg}" for leg in (1, 2, 3, 4) for kind in ("hip", "ankle"))
OBSERVATION = Columns(
    height=1,
    lin_vel_b=3,
    ang_vel_b=3,
    yaw=1,
    roll=1,
    angle_to_target=1,
    up=1,
    heading=1,
    joint_pos=8,  # scaled to [-1, 1] between the limits
    joint_vel=8,
    foot_wrenches_b=24,
    actions=8,
)


@dataclass(frozen=True)
class AntConfig(RunningConfig):
    """Configuration of the Ant; weights as in IsaacGymEnvs' Ant.yaml."""

    gear: float = 15.0
    """Torque of every joint for an action of 1 [N m]."""


class Ant(Runner):
    """Run forward on four legs without falling."""

    Config: ClassVar[type[TaskConfig]] = AntConfig
    columns = OBSERVATION
    num_observations = OBSERVATION.width
    num_actions = 8
    joints = JOINTS
    config: AntConfig

    def scene(self) -> SceneSpec:
        """Returns the ant, torque-driven, with contact wrenches on its feet."""
        return SceneSpec(
            asset=Path(__file__).parent / "assets" / "ant.xml",
            drives={name: Drive("effort") for name in JOINTS},
            wrench_bodies=FEET,
        )

    def bind(self, sim: Simulator) -> None:
        """Makes what mirroring needs here, as a CUDA graph cannot."""
        super().bind(sim)
        # Signs of a vector, and of a leg's hip and ankle.
        signs = ((1.0, -1.0, 1.0), (-1.0, 1.0))
        self._mirrored = [torch.tensor(values, device=sim.device) for values in signs]

    def targets(self, actions: Tensor) -> Tensor:
        """Returns the joint torques [N m]."""
        return self.config.gear * actions

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the columns of ``OBSERVATION``, in its order, shape [N, 60]."""
        torso = self.torso(state)
        yaw = torso.yaw.remainder(2 * math.pi)
        roll = torso.roll.remainder(2 * math.pi)
        columns = (yaw, roll, torso.to_target - yaw, torso.up, torso.heading)
        return torch.cat(
            (
                torso.height[:, None],
                torso.velocities_b.flatten(1),
                torch.stack(columns, dim=-1),
                *self.joint_columns(state),
                self.config.contact_force_scale * state.contact_wrench_b.flatten(1),
                actions,
            ),
            dim=-1,
        )

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the reward and whether the ant fell."""
        return ant_reward(self.take_speed(state), observations, self.config)

    def mirror(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Returns left and right exchanged: legs 1 and 4 and legs 2 and 3 change places.

        Of vectors the y component changes its sign, of rotations the other two; an ankle turns the
        same way in both. The reward is symmetric too, but for its penalty at upper joint limits.
        """
        names = {name: observations[:, OBSERVATION[name]] for name in OBSERVATION.parts()}
        vector, joints = (signs.to(observations.device) for signs in self._mirrored)

        def exchanged(rows: Tensor, signs: Tensor) -> Tensor:
            """Returns what is per leg, [B, 4 * k], for the legs in their new places."""
            return (rows.view(len(rows), 4, -1).flip(1) * signs).flatten(1)

        full_turn = 2.0 * math.pi
        yaw = (-names["yaw"]).remainder(full_turn)
        columns = names | {
            "lin_vel_b": names["lin_vel_b"] * vector,
            "ang_vel_b": names["ang_vel_b"] * -vector,
            "yaw": yaw,
            "roll": (-names["roll"]).remainder(full_turn),
            "angle_to_target": names["angle_to_target"] + names["yaw"] - yaw,
            "joint_pos": exchanged(names["joint_pos"], joints),
            "joint_vel": exchanged(names["joint_vel"], joints),
            "foot_wrenches_b": exchanged(names["foot_wrenches_b"], torch.cat((vector, -vector))),
            "actions": exchanged(names["actions"], joints),
        }
        rows = [x if x.dim() == 2 else x[:, None] for x in columns.values()]
        return torch.cat(rows, dim=-1), exchanged(actions, joints)


def ant_reward(speed: Tensor, observations: Tensor, config: AntConfig) -> Outcome:
    """Returns the reward of a step and which ants fell.

    Args:
        speed: Mean speed towards the target over the step [m/s], shape [N].
        observations: The Ant's observations after the step, shape [N, 60].
        config: Weights.
    """
    names = ("height", "up", "heading", "joint_pos", "joint_vel", "actions")
    height, up, heading, joint_pos, joint_vel, actions = (
        observations[:, OBSERVATION[name]] for name in names
    )
    reward = (
        speed
        + config.alive_reward
        + config.up_weight * (up > 0.93)
        + heading_reward(heading, config.heading_weight)
        - config.actions_cost * actions.square().sum(-1)
        - config.energy_cost * (actions * joint_vel).abs().sum(-1)
        - config.joints_at_limit_cost * (joint_pos > 0.99).sum(-1)
    )
    fell = height < config.termination_height
    return Outcome(torch.where(fell, config.death_cost, reward), fell)
