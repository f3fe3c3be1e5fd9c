"""Run a humanoid towards a far target.

Source: IsaacGymEnvs, tasks/humanoid.py; values in cfg/task/Humanoid.yaml. Differences in rlgpu:

* The progress reward is computed exactly, from the displacement (tasks/ant.py says why).
* The measured joint forces are the drives' torques. What else PhysX's sensors read is not known.
* Foot sensors read the contact wrench on the foot; PhysX adds gravity and dynamics terms.
* Contacts within the body have friction, as those with the ground.
* An episode that ends is reset within the step, so no filler row follows it.

Kept from the source: the angle to the target uses the height difference instead of the sideways
one (left over from y-up).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from rlgpu.envs import Columns, Outcome, Task, TaskConfig, uniform
from rlgpu.rotations import quat_rotate_inverse
from rlgpu.sim import Drive, ResetState, SceneSpec, SimState, Simulator
from tasks.running import TARGET, body_axes, progress_to_target

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
class HumanoidConfig(TaskConfig):
    """Configuration of the Humanoid; weights as in IsaacGymEnvs' Humanoid.yaml."""

    power_scale: float = 1.0
    """Factor on the torques."""
    start_height: float = 1.34
    """Height of the torso at reset [m]."""
    termination_height: float = 0.8
    """Height of the torso below which an episode fails [m]."""
    alive_reward: float = 2.0
    """Reward of every step that is not a failure."""
    up_weight: float = 0.1
    """Reward while the torso's up axis is within 21 degrees of the world's."""
    heading_weight: float = 0.5
    """Reward while the humanoid faces the target, less in proportion beyond 37 degrees."""
    actions_cost: float = 0.01
    """Cost of the squared actions."""
    energy_cost: float = 0.05
    """Cost of the joints' scaled power."""
    joints_at_limit_cost: float = 0.25
    """Cost of a joint of the largest gear at either limit; it begins at 98 % of the range."""
    death_cost: float = -1.0
    """Reward of a step that ends in failure."""
    joint_vel_scale: float = 0.1
    """Factor on the joint velocities that are observed."""
    ang_vel_scale: float = 0.25
    """Factor on the torso's angular velocity that is observed."""
    contact_force_scale: float = 0.01
    """Factor on the joint forces and foot wrenches that are observed."""


class Humanoid(Task):
    """Run forward on two legs without falling."""

    Config: ClassVar[type[TaskConfig]] = HumanoidConfig
    columns = OBSERVATION
    num_observations = OBSERVATION.width
    num_actions = NUM_JOINTS
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
        """Reads joint limits and allocates the previous position."""
        super().bind(sim)
        if sim.joint_names != tuple(GEARS):
            raise ValueError(f"the Humanoid expects joints {tuple(GEARS)}, not {sim.joint_names}")
        self._gears = torch.tensor(list(GEARS.values()), device=sim.device)
        self._lower, self._upper = sim.joint_lower, sim.joint_upper
        self._centre = (self._lower + self._upper) / 2
        self._half_range = (self._upper - self._lower) / 2
        self._initial_joint_pos = torch.zeros_like(self._lower).clamp(self._lower, self._upper)
        start = torch.tensor([0.0, 0.0, self.config.start_height], device=sim.device)
        self._root_pos = start.expand(sim.num_envs, 3)
        upright = torch.tensor([0.0, 0.0, 0.0, 1.0], device=sim.device)
        self._root_quat = upright.expand(sim.num_envs, 4)
        self.buffers["previous_pos_w"] = torch.zeros(sim.num_envs, 3, device=sim.device)

    def targets(self, actions: Tensor) -> Tensor:
        """Returns the joint torques [N m]."""
        return self.config.power_scale * self._gears * actions

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the columns of ``OBSERVATION``, in its order, shape [N, 108]."""
        config, pos, quat = self.config, state.root_pos_w, state.root_quat_w
        forward_x, forward_y, up, roll_sine = body_axes(quat)
        # Yaw is the heading of the body's x axis, roll the sideways tilt of its z axis.
        yaw = torch.atan2(forward_y, forward_x)
        roll = torch.atan2(roll_sine, up)
        to_x, to_y = TARGET[0] - pos[:, 0], TARGET[1] - pos[:, 1]
        angle_to_target = _wrapped(torch.atan2(-pos[:, 2], to_x) - yaw)
        heading = (forward_x * to_x + forward_y * to_y) / torch.hypot(to_x, to_y)
        velocities_w = torch.stack((state.root_lin_vel_w, state.root_ang_vel_w), dim=1)
        velocities_b = quat_rotate_inverse(quat[:, None].expand(-1, 2, -1), velocities_w)
        columns = (yaw, roll, angle_to_target, up, heading)
        return torch.cat(
            (
                pos[:, 2:3],
                velocities_b[:, 0],
                config.ang_vel_scale * velocities_b[:, 1],
                torch.stack(columns, dim=-1),
                (state.joint_pos - self._centre) / self._half_range,
                config.joint_vel_scale * state.joint_vel,
                config.contact_force_scale * state.drive_force,
                config.contact_force_scale * state.contact_wrench_b.flatten(1),
                actions,
            ),
            dim=-1,
        )

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the reward and whether the humanoid fell."""
        progress = progress_to_target(self.buffers["previous_pos_w"], state.root_pos_w)
        self.buffers["previous_pos_w"].copy_(state.root_pos_w)
        speed = progress / self.config.timing().step_dt
        return humanoid_reward(speed, observations, self._gears / self._gears.max(), self.config)

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns the start pose with joints jittered by 0.2 rad and 0.1 rad/s."""
        shape = (self.num_envs, self.num_actions)
        joint_pos = self._initial_joint_pos + uniform(shape, -0.2, 0.2, generator)
        return ResetState(
            joint_pos=joint_pos.clamp(self._lower, self._upper),
            joint_vel=uniform(shape, -0.1, 0.1, generator),
            root_pos_w=self._root_pos,
            root_quat_w=self._root_quat,
        )

    def after_reset(self, state: SimState, mask: Tensor) -> None:
        """Sets the previous position of reset environments to their new position."""
        previous = self.buffers["previous_pos_w"]
        previous.copy_(torch.where(mask[:, None], state.root_pos_w, previous))


def _wrapped(angle: Tensor) -> Tensor:
    """Returns angles in [-pi, pi)."""
    return (angle + math.pi).remainder(2 * math.pi) - math.pi


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
        + config.heading_weight * (heading / 0.8).clamp(max=1.0)
        - config.actions_cost * actions.square().sum(-1)
        - config.energy_cost * ((actions * joint_vel).abs() * gear_shares).sum(-1)
        - config.joints_at_limit_cost * (beyond * gear_shares).sum(-1)
    )
    fell = height < config.termination_height
    return Outcome(torch.where(fell, config.death_cost, reward), fell)
