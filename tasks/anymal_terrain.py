"""ANYmal C walks as commanded on uneven ground, of which it sees the heights around it.

Source: IsaacGymEnvs, tasks/anymal_terrain.py; values in cfg/task/AnymalTerrain.yaml. Differences in
rlgpu:

* Four physics steps in a control step; the source takes a fifth (IsaacGymEnvs, issue 60).
* The map's tiles are legged_gym's, as rlgpu/terrain.py has them. At difficulty d, from 0 on the
  first of 10 levels to 0.9 on the last, steps are 5 + 18 d cm high (there 5 + 17.5 d), 20 blocks
  5 + 20 d cm (40 of 2.5 + 15 d), and rough slopes have 5 cm of unevenness (10 cm).
* Observed heights are interpolated between samples.
* A robot that has mastered the last level goes to any level, as in legged_gym.
* The base's height in ``base_height`` is above the ground, not above 0.
* An episode that ends is reset within the step.

Kept from the source: observed joint positions are not relative to the default ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rlgpu.envs import Columns, Deployment, TaskConfig
from rlgpu.sim import SimState, Simulator
from rlgpu.tasks.anymal import LEGS, Anymal
from rlgpu.tasks.deployed import deployment_of
from rlgpu.tasks.legged_config import LeggedConfig
from rlgpu.tasks.legged_terrain import MEASURED, around

OBSERVATION = Columns(
    lin_vel_b=3,
    ang_vel_b=3,
    gravity_b=3,
    commands=3,
    joint_pos=12,
    joint_vel=12,
    heights=len(MEASURED),
    actions=12,
)


@dataclass(frozen=True)
class AnymalTerrainConfig(LeggedConfig):
    """Configuration of AnymalTerrain."""

    height_scale: float = 5.0
    """Factor on the measured heights [1/m] that are observed."""


class AnymalTerrain(Anymal):
    """Walk on four legs over slopes, stairs and blocks."""

    Config: ClassVar[type[TaskConfig]] = AnymalTerrainConfig
    columns = OBSERVATION
    num_observations = OBSERVATION.width
    failing_bodies = ("base",)
    colliding_bodies = tuple(f"{leg}_THIGH" for leg in LEGS)
    config: AnymalTerrainConfig

    def bind(self, sim: Simulator) -> None:
        """Places the points at which heights are measured."""
        self._points = MEASURED.to(sim.device)
        super().bind(sim)

    def _noise_of(self, column: str) -> float:
        noise, scale = self.config.noise.heights, self.config.height_scale
        return noise * scale if column == "heights" else super()._noise_of(column)

    def observed(self, state: SimState, actions: Tensor) -> dict[str, Tensor]:
        """Returns what the robot may observe; heights are of the base less 0.5 m, cut at 1 m."""
        ground = self.ground.below(around(state.root_quat_w, state.root_pos_w, self._points))
        below = (state.root_pos_w[:, 2:] - 0.5 - ground).clamp(-1.0, 1.0)
        own = {"joint_pos": state.joint_pos, "heights": self.config.height_scale * below}
        return super().observed(state, actions) | own

    def deployment(self) -> Deployment:
        """Returns what surrounds a policy on this robot; joint positions are absolute."""
        columns, scale = OBSERVATION.parts(), self.config.height_scale
        return deployment_of(
            self.config, self.walker, columns, base="base", height_scale=scale, absolute=True
        )
