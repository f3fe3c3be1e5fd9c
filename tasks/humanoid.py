"""Run a humanoid towards a far target.

Source: IsaacGymEnvs, tasks/humanoid.py; values in cfg/task/Humanoid.yaml. Differences in rlgpu,
beside those of tasks/running.py:

* The measured joint forces are the drives' torques. What else PhysX's sensors read is not known.
* Contacts within the body have friction, as those with the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from rlgpu.envs import Columns, Outcome, TaskConfig
from rlgpu.rotations import wrap_angle
from rlgpu.sim import Drive, SceneSpec, SimState, Simulator
from rlgpu.tasks.running import Runner, RunningConfig, heading_reward

FEET = ("right_foot", "left_foot")
_LEG = {
    "hip_x": 45.0,
    "hip_z": 45.0,
    "hip_y": 135.0,
    "knee": 90.0,
    "ankle_y": 22.5,
    "ankle_x": 22.5,
}
_ARM = {"shoulder1": 67.5, "shoulder2": 67.5, "elbow": 45.0}
GEARS = {
    **{f"abdomen_{axis}": 67.5 for axis in "zyx"},
    **{f"{side}_{name}": gear for side in ("right", "left") for name, gear in _LEG.items()},
    **{f"{side}_{name}": gear for side in ("right", "left") for name, gear in _ARM.items()},
}
"""Torque of every joint for an action of 1 [N m], in the asset's order."""
NUM_JOINTS = len(GEARS)
OBSERVATION = Columns(
    height=1,
    lin_vel_b=3,
    ang_vel_b=3,
    yaw=1,
    roll=1,
    angle_to_target=1,
    up=1,
    heading=1,
    joint_pos=NUM_JOINTS,  # scaled to [-1, 1] between the limits
    joint_vel=NUM_JOINTS,
    joint_force=NUM_JOINTS,
    foot_wrenches_b=12,
    actions=NUM_JOINTS,
)


@dataclass(frozen=True)
class HumanoidConfig(RunningConfig):
    """Configuration of the Humanoid; weights as in IsaacGymEnvs' Humanoid.yaml."""

    power_scale: float = 1.0
    """Factor on the torques."""
    ang_vel_scale: float = 0.25
    """Factor on the torso's angular velocity that is observed."""


class Humanoid(Runner):
    """Run forward on two legs without falling."""

    Config: ClassVar[type[TaskConfig]] = HumanoidConfig
    columns = OBSERVATION
    num_observations = OBSERVATION.width
    num_actions = NUM_JOINTS
    joints = tuple(GEARS)
    config: HumanoidConfig

    def scene(self) -> SceneSpec:
        """Returns the humanoid, torque-driven, with contact wrenches on its feet."""
        return SceneSpec(
            asset=Path(__file__).parent / "assets" / "humanoid.xml",
            drives={name: Drive("effort") for name in GEARS},
            wrench_bodies=FEET,
            drive_forces=True,
        )

    def bind(self, sim: Simulator) -> None:
        """Places the gears."""
        super().bind(sim)
        self._gears = torch.tensor(list(GEARS.values()), device=sim.device)

    def targets(self, actions: Tensor) -> Tensor:
        """Returns the joint torques [N m]."""
        return self.config.power_scale * self._gears * actions

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the columns of ``OBSERVATION``, in its order, shape [N, 108]."""
        config, torso = self.config, self.torso(state)
        angle = wrap_angle(torso.to_target - torso.yaw)
        columns = (torso.yaw, torso.roll, angle, torso.up, torso.heading)
        return torch.cat(
            (
                torso.height[:, None],
                torso.velocities_b[:, 0],
                config.ang_vel_scale * torso.velocities_b[:, 1],
                torch.stack(columns, dim=-1),
                *self.joint_columns(state),
                config.contact_force_scale * state.drive_force,
                config.contact_force_scale * state.contact_wrench_b.flatten(1),
                actions,
            ),
            dim=-1,
        )

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the reward and whether the humanoid fell."""
        shares = self._gears / self._gears.max()
        return humanoid_reward(self.take_speed(state), observations, shares, self.config)


def humanoid_reward(
    speed: Tensor, observations: Tensor, gear_shares: Tensor, config: HumanoidConfig
) -> Outcome:
    """Returns the reward of a step and which humanoids fell.

    Args:
        speed: Mean speed towards the target over the step [m/s], shape [N].
        observations: The Humanoid's observations after the step, shape [N, 108].
        gear_shares: Gears of the joints, as shares of the largest, shape [21].
        config: Weights.
    """
    names = ("height", "up", "heading", "joint_pos", "joint_vel", "actions")
    height, up, heading, joint_pos, joint_vel, actions = (
        observations[:, OBSERVATION[name]] for name in names
    )
    beyond = (joint_pos.abs() - 0.98).clamp(min=0.0) / 0.02
    reward = (
        speed
        + config.alive_reward
        + config.up_weight * (up > 0.93)
        + heading_reward(heading, config.heading_weight)
        - config.actions_cost * actions.square().sum(-1)
        - config.energy_cost * ((actions * joint_vel).abs() * gear_shares).sum(-1)
        - config.joints_at_limit_cost * (beyond * gear_shares).sum(-1)
    )
    fell = height < config.termination_height
    return Outcome(torch.where(fell, config.death_cost, reward), fell)
