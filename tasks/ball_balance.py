"""Keep a ball in the middle of a tray on three legs.

Source: IsaacGymEnvs, tasks/ball_balance.py; values in cfg/task/BallBalance.yaml. Differences in
rlgpu:

* The feet are held by constraints, where PhysX has attractors. MuJoCo integrates a drive's
  stiffness explicitly, so the gains are 2000 and 50 instead of 4000 and 100, which follow a target
  in the same 25 ms, and the joints have a reflected inertia of 0.1 kg m^2 and some damping.
* The sensors read the contact wrench on the tray, about three points of it; PhysX adds gravity and
  dynamics terms.
* An episode that ends is reset within the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from rlgpu.envs import Columns, Outcome, Task, TaskConfig, uniform
from rlgpu.sim import Drive, ResetState, SceneSpec, SimState, Simulator

DRIVEN = tuple(f"lower_leg_joint{i}" for i in range(3))
SENSOR_RADIUS = 0.4
"""Distance of the three sensors from the tray's middle [m]."""
WANTED = (0.0, 0.0, 0.7)
"""Where the ball should be [m]."""
OBSERVATION = Columns(
    joint_pos=3,
    joint_vel=3,
    ball_pos_w=3,
    ball_lin_vel_w=3,
    sensor_force_x=3,
    sensor_torque_x=3,
    sensor_torque_y=3,
    sensor_torque_z=3,
)


@dataclass(frozen=True)
class BallBalanceConfig(TaskConfig):
    """Configuration of BallBalance."""

    action_speed: float = 20.0
    """Speed at which a leg's target turns for an action of 1 [rad/s]."""
    stiffness: float = 2000.0
    """Proportional gain of the drives [N m/rad]."""
    damping: float = 50.0
    """Derivative gain of the drives [N m s/rad]."""
    sensor_scale: float = 0.05
    """Factor on forces and torques that are observed."""
    min_ball_height: float = 0.15
    """Height of the ball below which an episode fails [m]."""


class BallBalance(Task):
    """Balance the ball by turning three legs."""

    Config: ClassVar[type[TaskConfig]] = BallBalanceConfig
    columns = OBSERVATION
    num_observations = OBSERVATION.width
    num_actions = 3
    config: BallBalanceConfig

    def scene(self) -> SceneSpec:
        """Returns the tray on its legs, and the ball."""
        drive = Drive("position", stiffness=self.config.stiffness, damping=self.config.damping)
        return SceneSpec(
            asset=Path(__file__).parent / "assets" / "ball_balance.xml",
            drives=dict.fromkeys(DRIVEN, drive),
            objects=("ball",),
            wrench_bodies=("tray",),
        )

    def bind(self, sim: Simulator) -> None:
        """Finds the driven joints, and places the sensors."""
        super().bind(sim)
        device = sim.device
        self._driven = torch.tensor([sim.joint_names.index(x) for x in DRIVEN], device=device)
        self._lower, self._upper = (x[self._driven] for x in (sim.joint_lower, sim.joint_upper))
        angles = [i * 2.0 * math.pi / 3.0 for i in range(3)]
        places = [[SENSOR_RADIUS * math.cos(a), SENSOR_RADIUS * math.sin(a), 0.0] for a in angles]
        self._sensors = torch.tensor(places, device=device)
        self._wanted = torch.tensor(WANTED, device=device)
        self._still = torch.zeros(sim.num_envs, len(sim.joint_names), device=device)
        self.buffers["targets"] = torch.zeros(sim.num_envs, len(sim.joint_names), device=device)

    def targets(self, actions: Tensor) -> Tensor:
        """Turns the legs' targets and returns those of all joints [rad]."""
        targets, step_dt = self.buffers["targets"], self.config.timing().step_dt
        moved = targets[:, self._driven] + step_dt * self.config.action_speed * actions
        targets[:, self._driven] = moved.clamp(self._lower, self._upper)
        return targets.clone()

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the columns of ``OBSERVATION``, in its order, shape [N, 24]."""
        force_b, torque_b = state.contact_wrench_b[:, 0].split(3, dim=-1)
        force_b = force_b[:, None].expand(-1, 3, -1)
        arms_b = self._sensors.expand_as(force_b)
        torques_b = torque_b[:, None] - torch.linalg.cross(arms_b, force_b)  # [N, sensor, axis]
        sensed = torch.cat((force_b[..., :1], torques_b), dim=-1).transpose(1, 2).flatten(1)
        return torch.cat(
            (
                state.joint_pos[:, self._driven],
                state.joint_vel[:, self._driven],
                state.object_pos_w[:, 0],
                state.object_lin_vel_w[:, 0],
                self.config.sensor_scale * sensed,
            ),
            dim=-1,
        )

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the reward, and whether the ball fell off."""
        ball = state.object_pos_w[:, 0]
        distance = (ball - self._wanted).norm(dim=-1)
        speed = state.object_lin_vel_w[:, 0].norm(dim=-1)
        return Outcome(
            1.0 / (1.0 + distance) / (1.0 + speed), ball[:, 2] < self.config.min_ball_height
        )

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns the tray at rest, and the ball thrown at it, inwards faster if farther out."""
        n = self.num_envs
        drawn = uniform((n, 4), 0.0, 1.0, generator)
        radius = 0.001 + 0.499 * drawn[:, 0]
        angle = 2.0 * math.pi * drawn[:, 1]
        outwards = torch.stack((angle.cos(), angle.sin()), dim=-1)
        inward_speed = 5.0 * drawn[:, 2] * (radius - 0.001) / 0.499
        height = 1.0 + drawn[:, 3:]
        down = torch.full_like(height, -5.0)
        ball_pos = torch.cat((radius[:, None] * outwards, height), dim=-1)
        ball_vel = torch.cat((-inward_speed[:, None] * outwards, down), dim=-1)
        return ResetState(
            joint_pos=self._still,
            joint_vel=self._still,
            object_pos_w=ball_pos[:, None],
            object_lin_vel_w=ball_vel[:, None],
        )

    def after_reset(self, state: SimState, mask: Tensor) -> None:
        """Begins with the legs' targets at 0."""
        self.buffers["targets"].masked_fill_(mask[:, None], 0.0)
