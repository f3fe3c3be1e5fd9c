"""Hover at a point with four rotors that tilt.

Source: IsaacGymEnvs, tasks/quadcopter.py; values in cfg/task/Quadcopter.yaml. Differences in rlgpu:

* The tilting drives follow their targets within about 10 ms (gains 5 and 0.05, reflected inertia
  1e-4 kg m^2). PhysX holds them there by a stiffness of 1000 without damping, which is a
  constraint rather than a drive.
* Thrusts keep their direction in the world during a control step of 10 ms.
* The angular velocity is not limited to 4 pi rad/s.
* An episode that ends is reset within the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from rlgpu.envs import Columns, Mark, Outcome, Task, TaskConfig, uniform
from rlgpu.rotations import quat_rotate
from rlgpu.sim import Drive, ResetState, SceneSpec, SimState, Simulator
from rlgpu.tasks.hovering import hover_reward, observe_root

JOINTS = tuple(f"rotor_{axis}{i}" for i in range(4) for axis in ("pitch", "roll"))
ROTORS = tuple(f"rotor{i}" for i in range(4))
ARMS = tuple(math.radians(angle) for angle in (45.0, 135.0, 225.0, 315.0))
"""Where the arms point to from ahead [rad], as in the asset."""
TARGET = (0.0, 0.0, 1.0)
OBSERVATION = Columns(to_target=3, quat_w=4, lin_vel_w=3, ang_vel_w=3, joint_pos=8)


@dataclass(frozen=True)
class QuadcopterConfig(TaskConfig):
    """Configuration of the Quadcopter."""

    tilt_speed: float = 25.132741
    """Speed at which a rotor's target tilts for an action of 1 [rad/s]."""
    thrust_speed: float = 200.0
    """Rate at which a rotor's thrust changes for an action of 1 [N/s]."""
    max_thrust: float = 2.0
    """Largest thrust of a rotor [N]."""
    max_distance: float = 3.0
    """Distance from the target beyond which an episode fails [m]."""
    min_height: float = 0.3
    """Height below which an episode fails [m]."""


class Quadcopter(Task):
    """Hover 1 m above the ground."""

    Config: ClassVar[type[TaskConfig]] = QuadcopterConfig
    columns = OBSERVATION
    num_observations = OBSERVATION.width
    num_actions = 12
    config: QuadcopterConfig

    def scene(self) -> SceneSpec:
        """Returns the copter; its rotors tilt and are pushed."""
        return SceneSpec(
            asset=Path(__file__).parent / "assets" / "quadcopter.xml",
            drives={name: Drive("position", stiffness=5.0, damping=0.05) for name in JOINTS},
            force_bodies=ROTORS,
        )

    def bind(self, sim: Simulator) -> None:
        """Allocates targets and thrusts."""
        super().bind(sim)
        n, device = sim.num_envs, sim.device
        arms = torch.tensor(ARMS, device=device)
        self._arm_cos, self._arm_sin = arms.cos(), arms.sin()
        self._lower, self._upper = sim.joint_lower, sim.joint_upper
        self._target = torch.tensor(TARGET, device=device).expand(n, 3)
        self._upright = torch.tensor([0.0, 0.0, 0.0, 1.0], device=device).expand(n, 4)
        self._low = torch.tensor([-1.5, -1.5, -0.2], device=device)
        self._high = torch.tensor([1.5, 1.5, 1.5], device=device)
        self.buffers["targets"] = torch.zeros(n, 8, device=device)
        self.buffers["thrusts"] = torch.zeros(n, 4, device=device)

    def targets(self, actions: Tensor) -> Tensor:
        """Tilts the rotors' targets and returns them [rad]; changes the thrusts."""
        config, step_dt = self.config, self.config.timing().step_dt
        targets, thrusts = self.buffers["targets"], self.buffers["thrusts"]
        moved = targets + step_dt * config.tilt_speed * actions[:, :8]
        targets.copy_(moved.clamp(self._lower, self._upper))
        changed = thrusts + step_dt * config.thrust_speed * actions[:, 8:]
        thrusts.copy_(changed.clamp(0.0, config.max_thrust))
        return targets.clone()

    def forces(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the thrusts along the rotors' axes [N], shape [N, 4, 3]."""
        pitch, roll = state.joint_pos.view(-1, 4, 2).unbind(-1)
        # The arm's z axis after the pitch about its y and the roll about the new x, in the arm.
        along, across, up = roll.cos() * pitch.sin(), -roll.sin(), roll.cos() * pitch.cos()
        cos, sin = self._arm_cos, self._arm_sin
        axes_b = torch.stack((cos * along - sin * across, sin * along + cos * across, up), dim=-1)
        thrusts_b = self.buffers["thrusts"][..., None] * axes_b
        return quat_rotate(state.root_quat_w[:, None].expand(-1, 4, -1), thrusts_b)

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the columns of ``OBSERVATION``, in its order, shape [N, 21]."""
        return torch.cat((observe_root(state, self._target), state.joint_pos), dim=-1)

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the reward, and whether the copter is lost."""
        reward, distance = hover_reward(state, self._target, up_weight=1.0)
        config = self.config
        lost = (distance > config.max_distance) | (state.root_pos_w[:, 2] < config.min_height)
        return Outcome(reward, lost)

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns a random place, rotors tilted by up to 0.2 rad."""
        n = self.num_envs
        away = self._low + uniform((n, 3), 0.0, 1.0, generator) * (self._high - self._low)
        joint_pos = uniform((n, 8), -0.2, 0.2, generator)
        return ResetState(
            joint_pos=joint_pos,
            joint_vel=torch.zeros_like(joint_pos),
            root_pos_w=self._target + away,
            root_quat_w=self._upright,
        )

    def marks(self, state: SimState, env_id: int) -> list[Mark]:
        """Returns the target as a sphere."""
        return [Mark(TARGET, size=0.03)]

    def after_reset(self, state: SimState, mask: Tensor) -> None:
        """Begins with the rotors as they are, and no thrust."""
        targets = self.buffers["targets"]
        targets.copy_(torch.where(mask[:, None], state.joint_pos, targets))
        self.buffers["thrusts"].masked_fill_(mask[:, None], 0.0)
