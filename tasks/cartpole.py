"""Balance a pole on a cart by pushing the cart.

Source: IsaacGymEnvs, tasks/cartpole.py; values in cfg/task/Cartpole.yaml.
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


@dataclass(frozen=True)
class CartpoleConfig(TaskConfig):
    """Configuration of Cartpole."""

    max_push_effort: float = 400.0
    """Force on the cart for an action of 1 [N]."""
    reset_dist: float = 3.0
    """Distance from the middle at which an episode fails [m]."""
    failure_reward: float = -2.0
    """Reward of a step that ends in failure."""


class Cartpole(Task):
    """Keep a free pole upright for 500 steps."""

    Config: ClassVar[type[TaskConfig]] = CartpoleConfig
    columns = Columns(cart_pos=1, cart_vel=1, pole_angle=1, pole_vel=1)
    num_observations = 4
    num_actions = 1
    config: CartpoleConfig

    def scene(self) -> SceneSpec:
        """Returns the cart and pole, the cart driven by a force."""
        return SceneSpec(
            asset=Path(__file__).parent / "assets" / "cartpole.xml",
            drives={"slider_to_cart": Drive("effort")},
        )

    def bind(self, sim: Simulator) -> None:
        """Looks up the two joints."""
        super().bind(sim)
        self._cart = sim.joint_names.index("slider_to_cart")
        self._pole = sim.joint_names.index("cart_to_pole")
        self._targets = torch.zeros(sim.num_envs, 2, device=sim.device)

    def targets(self, actions: Tensor) -> Tensor:
        """Returns the cart's force [N]; the pole is passive."""
        self._targets[:, self._cart] = self.config.max_push_effort * actions[:, 0]
        return self._targets

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns cart position, cart velocity, pole angle and pole velocity, shape [N, 4]."""
        return torch.stack(self._read(state), dim=-1)

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the reward and whether the cart left the track or the pole fell."""
        return cartpole_reward(*self._read(state), self.config)

    def _read(self, state: SimState) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns position and velocity of the cart, angle and velocity of the pole, each [N]."""
        pos, vel = state.joint_pos, state.joint_vel
        cart, pole = self._cart, self._pole
        return pos[:, cart], vel[:, cart], pos[:, pole], vel[:, pole]

    def mirror(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Returns left and right exchanged: every sign changes."""
        return -observations, -actions

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns small random positions and velocities."""
        shape = self._targets.shape
        joint_pos = uniform(shape, -0.1, 0.1, generator)
        return ResetState(joint_pos, uniform(shape, -0.25, 0.25, generator))


def cartpole_reward(
    cart_pos: Tensor, cart_vel: Tensor, pole_angle: Tensor, pole_vel: Tensor, config: CartpoleConfig
) -> Outcome:
    """Returns the reward, 1 minus penalties for tilt and speed, and the failures.

    Args:
        cart_pos: Distance of the cart from the middle [m], shape [N].
        cart_vel: Its velocity [m/s], shape [N].
        pole_angle: Angle of the pole from upright [rad], shape [N].
        pole_vel: Its angular velocity [rad/s], shape [N].
        config: Limits, and the reward for a failure.
    """
    failed = (cart_pos.abs() > config.reset_dist) | (pole_angle.abs() > math.pi / 2)
    reward = 1.0 - pole_angle.square() - 0.01 * cart_vel.abs() - 0.005 * pole_vel.abs()
    return Outcome(torch.where(failed, config.failure_reward, reward), failed)
