"""Fly a helicopter on Mars to targets that change.

Source: IsaacGymEnvs, tasks/ingenuity.py; values in cfg/task/Ingenuity.yaml. Differences in rlgpu:

* The rotors do not turn; their spin is only seen in the source, and their mass is part of the body.
* Thrusts keep their direction in the world during a control step of 10 ms.
* The angular velocity is not limited to 4 pi rad/s.
* An episode that ends is reset within the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from rlgpu.config import Count
from rlgpu.envs import Columns, Mark, Outcome, Task, TaskConfig, uniform
from rlgpu.rotations import quat_rotate
from rlgpu.sim import ResetState, SceneSpec, SimState, Simulator
from rlgpu.tasks.hovering import hover_reward, observe_root

ROTORS = ("lower_rotor", "upper_rotor")
OBSERVATION = Columns(to_target=3, quat_w=4, lin_vel_w=3, ang_vel_w=3)


@dataclass(frozen=True)
class IngenuityConfig(TaskConfig):
    """Configuration of Ingenuity."""

    max_thrust: float = 20.0
    """Thrust of a rotor for an action of 1 [N]."""
    max_lateral: float = 0.2
    """Largest share of the thrust that acts sideways, along x and along y."""
    target_steps: Count = 500
    """Control steps between targets."""
    max_distance: float = 8.0
    """Distance from the target beyond which an episode fails [m]."""
    min_height: float = 0.5
    """Height below which an episode fails [m]."""


class Ingenuity(Task):
    """Fly to the target and hover there."""

    Config: ClassVar[type[TaskConfig]] = IngenuityConfig
    columns = OBSERVATION
    num_observations = OBSERVATION.width
    num_actions = 6
    config: IngenuityConfig

    def scene(self) -> SceneSpec:
        """Returns the helicopter; its rotors are pushed."""
        return SceneSpec(
            asset=Path(__file__).parent / "assets" / "ingenuity.xml",
            drives={},
            force_bodies=ROTORS,
        )

    def bind(self, sim: Simulator) -> None:
        """Allocates targets."""
        super().bind(sim)
        n, device = sim.num_envs, sim.device

        def row(*values: float) -> Tensor:
            return torch.tensor(values, device=device)

        self._start, self._upright = row(0.0, 0.0, 1.0), row(0.0, 0.0, 0.0, 1.0).expand(n, 4)
        self._start_low, self._start_high = row(-1.5, -1.5, -0.2), row(1.5, 1.5, 1.5)
        self._target_low, self._target_high = row(-5.0, -5.0, 1.0), row(5.0, 5.0, 2.0)
        self._drawn = torch.zeros(n, 3, device=device)
        self.buffers["target"] = self._start.repeat(n, 1)
        self.buffers["age"] = torch.zeros(n, dtype=torch.int64, device=device)

    def targets(self, actions: Tensor) -> Tensor:
        """Returns nothing: there are no joints."""
        return actions[:, :0]

    def forces(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the rotors' thrusts [N]: of three actions each, two of them sideways."""
        share, limit = actions.view(-1, 2, 3), self.config.max_lateral
        thrust = self.config.max_thrust * share[..., 2:]
        sideways = thrust * share[..., :2].clamp(-limit, limit)
        thrusts_b = torch.cat((sideways, thrust), dim=-1)
        return quat_rotate(state.root_quat_w[:, None].expand(-1, 2, -1), thrusts_b)

    def draw(self, generator: torch.Generator) -> None:
        """Draws targets, uniform in [0, 1)."""
        self._drawn.uniform_(0.0, 1.0, generator=generator)

    def advance(self, state: SimState) -> None:
        """Moves targets whose time is up."""
        age = self.buffers["age"]
        age += 1
        self._move(age % self.config.target_steps == 0)

    def _move(self, mask: Tensor) -> None:
        low, high, target = self._target_low, self._target_high, self.buffers["target"]
        target.copy_(torch.where(mask[:, None], low + self._drawn * (high - low), target))

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the columns of ``OBSERVATION``, in its order, shape [N, 13]."""
        return observe_root(state, self.buffers["target"])

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the reward, and whether the helicopter is lost."""
        reward, distance = hover_reward(state, self.buffers["target"], up_weight=5.0)
        config = self.config
        lost = (distance > config.max_distance) | (state.root_pos_w[:, 2] < config.min_height)
        return Outcome(reward, lost, {"target_distance": distance})

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns a random place, upright and at rest."""
        n, low, high = self.num_envs, self._start_low, self._start_high
        away = low + uniform((n, 3), 0.0, 1.0, generator) * (high - low)
        self._drawn.uniform_(0.0, 1.0, generator=generator)
        none = away[:, :0]
        return ResetState(none, none, self._start + away, self._upright)

    def marks(self, state: SimState, env_id: int) -> list[Mark]:
        """Returns the target as a sphere."""
        return [Mark(tuple(self.buffers["target"][env_id].tolist()), size=0.1)]

    def after_reset(self, state: SimState, mask: Tensor) -> None:
        """Begins with a new target."""
        self.buffers["age"].masked_fill_(mask, 0)
        self._move(mask)
