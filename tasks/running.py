"""What the tasks that run towards a far target share: Ant and Humanoid.

Source: IsaacGymEnvs, tasks/ant.py and tasks/humanoid.py. Differences in rlgpu:

* The progress reward is computed exactly, from the displacement. The difference of two float32
  potentials near -60 000, as in the source, is quantised at 0.004.
* Foot sensors read the contact wrench on the foot; PhysX adds gravity and dynamics terms.
* An episode that ends is reset within the step, so no filler row follows it.

Kept from the source: the angle to the target uses the height difference instead of the sideways one
(left over from y-up).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from rlgpu.envs import Task, TaskConfig, uniform
from rlgpu.rotations import quat_rotate_inverse
from rlgpu.sim import ResetState, SimState, Simulator

TARGET = (1000.0, 0.0)
"""Horizontal position of the target [m]."""


@dataclass(frozen=True)
class RunningConfig(TaskConfig):
    """Settings that the tasks share; the defaults are IsaacGymEnvs' for the Ant."""

    start_height: float = 0.44
    """Height of the torso at reset [m]."""
    termination_height: float = 0.31
    """Height of the torso below which an episode fails [m]."""
    alive_reward: float = 0.5
    """Reward of every step that is not a failure."""
    up_weight: float = 0.1
    """Reward while the torso's up axis is within 21 degrees of the world's."""
    heading_weight: float = 0.5
    """Reward while the robot faces the target, less in proportion beyond 37 degrees."""
    actions_cost: float = 0.005
    """Cost of the squared actions."""
    energy_cost: float = 0.05
    """Cost of the joints' scaled power."""
    joints_at_limit_cost: float = 0.1
    """Cost of each joint near its limit."""
    death_cost: float = -2.0
    """Reward of a step that ends in failure."""
    joint_vel_scale: float = 0.2
    """Factor on the joint velocities that are observed."""
    contact_force_scale: float = 0.1
    """Factor on the foot wrenches that are observed."""


class Torso(NamedTuple):
    """What is observed of the torso, each of shape [N] unless noted."""

    height: Tensor
    velocities_b: Tensor
    """Linear and angular velocity in the body's axes [m/s and rad/s], shape [N, 2, 3]."""
    yaw: Tensor
    """Heading of the body's x axis, in (-pi, pi] [rad]."""
    roll: Tensor
    """Sideways tilt of the body's z axis, in (-pi, pi] [rad]."""
    to_target: Tensor
    """Angle to the target in the world, by the height difference (see above) [rad]."""
    up: Tensor
    """Height of the tip of the body's z axis."""
    heading: Tensor
    """Cosine of the angle between the body's x axis and the target."""


class Runner(Task):
    """Run towards the target without falling."""

    joints: ClassVar[tuple[str, ...]]
    """Joints in the asset's order, all driven by torques."""
    config: RunningConfig

    def bind(self, sim: Simulator) -> None:
        """Reads joint limits and allocates the previous position."""
        super().bind(sim)
        if sim.joint_names != self.joints:
            raise ValueError(
                f"{type(self).__name__} expects joints {self.joints}, the asset has "
                f"{sim.joint_names}"
            )
        self._lower, self._upper = sim.joint_lower, sim.joint_upper
        self._centre = (self._lower + self._upper) / 2
        self._half_range = (self._upper - self._lower) / 2
        self._initial_joint_pos = torch.zeros_like(self._lower).clamp(self._lower, self._upper)
        start = torch.tensor([0.0, 0.0, self.config.start_height], device=sim.device)
        self._root_pos = start.expand(sim.num_envs, 3)
        upright = torch.tensor([0.0, 0.0, 0.0, 1.0], device=sim.device)
        self._root_quat = upright.expand(sim.num_envs, 4)
        self.buffers["previous_pos_w"] = torch.zeros(sim.num_envs, 3, device=sim.device)

    def torso(self, state: SimState) -> Torso:
        """Returns what is observed of the torso."""
        pos, quat = state.root_pos_w, state.root_quat_w
        forward_x, forward_y, up, roll_sine = body_axes(quat)
        to_x, to_y = TARGET[0] - pos[:, 0], TARGET[1] - pos[:, 1]
        velocities_w = torch.stack((state.root_lin_vel_w, state.root_ang_vel_w), dim=1)
        return Torso(
            height=pos[:, 2],
            velocities_b=quat_rotate_inverse(quat[:, None].expand(-1, 2, -1), velocities_w),
            yaw=torch.atan2(forward_y, forward_x),
            roll=torch.atan2(roll_sine, up),
            to_target=torch.atan2(-pos[:, 2], to_x),
            up=up,
            heading=(forward_x * to_x + forward_y * to_y) / torch.hypot(to_x, to_y),
        )

    def joint_columns(self, state: SimState) -> tuple[Tensor, Tensor]:
        """Returns joint positions scaled to [-1, 1] between the limits, and scaled velocities."""
        scaled = (state.joint_pos - self._centre) / self._half_range
        return scaled, self.config.joint_vel_scale * state.joint_vel

    def take_speed(self, state: SimState) -> Tensor:
        """Returns the mean speed towards the target since the last call [m/s], shape [N]."""
        progress = progress_to_target(self.buffers["previous_pos_w"], state.root_pos_w)
        self.buffers["previous_pos_w"].copy_(state.root_pos_w)
        return progress / self.config.timing().step_dt

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


def heading_reward(heading: Tensor, weight: float) -> Tensor:
    """Returns the weight while the robot faces the target, less in proportion beyond 37 degrees."""
    return weight * (heading / 0.8).clamp(max=1.0)


def body_axes(quat: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns world x and y of the body's x axis, and world z of its z and y axes, each [N]."""
    products = quat[:, :, None] * (2.0 * quat)[:, None, :]  # [N, 4, 4]: twice q_i q_j
    xx, yy, zz = products[:, 0, 0], products[:, 1, 1], products[:, 2, 2]
    xy, zw = products[:, 0, 1], products[:, 2, 3]
    xw, yz = products[:, 0, 3], products[:, 1, 2]
    return 1.0 - (yy + zz), xy + zw, 1.0 - (xx + yy), xw + yz


def progress_to_target(previous_pos_w: Tensor, pos_w: Tensor) -> Tensor:
    """Returns the decrease in horizontal distance to the target [m], shape [N].

    Computes |a| - |b| as (a - b).(a + b) / (|a| + |b|), so no numbers near 1000 are subtracted.

    Args:
        previous_pos_w: Torso position one step ago [m], shape [N, 3].
        pos_w: Torso position now [m], shape [N, 3].
    """
    before_x, before_y = TARGET[0] - previous_pos_w[:, 0], TARGET[1] - previous_pos_w[:, 1]
    after_x, after_y = TARGET[0] - pos_w[:, 0], TARGET[1] - pos_w[:, 1]
    moved = pos_w - previous_pos_w
    along = moved[:, 0] * (before_x + after_x) + moved[:, 1] * (before_y + after_y)
    return along / (torch.hypot(before_x, before_y) + torch.hypot(after_x, after_y))
