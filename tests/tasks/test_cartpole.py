"""Cartpole: rewards, failures, observations and resets, against IsaacGymEnvs' values."""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.envs import VecEnv
from rlgpu.sim import make_simulator
from rlgpu.tasks.cartpole import Cartpole, CartpoleConfig, cartpole_reward


def make_env(n: int = 4, **changes) -> VecEnv:
    config = CartpoleConfig(name="Cartpole", episode_length=500, **changes)
    task = Cartpole(config)
    return VecEnv(task, make_simulator("mujoco", task.scene(), config.timing(), n), seed=0)


@pytest.mark.parametrize(
    ("state", "reward", "failed"),
    [
        ((0.0, 0.0, 0.0, 0.0), 1.0, False),
        ((2.9, 0.0, 0.0, 0.0), 1.0, False),
        # 1 - 0.5^2 - 0.01 * 2 - 0.005 * 4 = 0.71
        ((0.0, -2.0, 0.5, 4.0), 0.71, False),
        ((-3.1, 0.0, 0.0, 0.0), -2.0, True),
        ((0.0, 0.0, -1.58, 0.0), -2.0, True),
        ((0.0, 0.0, 1.57, 0.0), 1 - 1.57**2, False),
    ],
)
def test_reward_and_failure_match_the_formula(state, reward, failed) -> None:
    """Worked by hand from the task's definition."""
    outcome = cartpole_reward(*(torch.tensor([x]) for x in state), CartpoleConfig())
    assert outcome.rewards.item() == pytest.approx(reward, abs=1e-6)
    assert outcome.terminated.item() == failed


def test_the_force_accelerates_cart_and_pole_as_rigid_bodies_do() -> None:
    """400 N on two 1 kg bodies, the pole upright and at rest, for one control step of 0.1 ms."""
    # Upright pole (COM at l = 0.47, I = (0.06^2 + 1^2) / 12 about it), cart acceleration a:
    # a = F / (m_c + m_p - m_p^2 l^2 / (I + m_p l^2)), pole: m_p l a / (I + m_p l^2) about +x
    # for a push along +y: the hinge axis is x and the tip lags towards -y, a positive angle.
    inertia, arm = (0.06**2 + 1.0) / 12, 0.47
    total = inertia + arm**2
    cart = 400.0 / (2.0 - arm**2 / total)
    env = make_env(1, physics_dt=1e-5, decimation=10)
    env.sim.reset(
        torch.tensor([True]),
        env.task.reset_state(env.generator)._replace(
            joint_pos=torch.zeros(1, 2), joint_vel=torch.zeros(1, 2)
        ),
    )
    env.step(torch.ones(1, 1))
    cart_vel, pole_vel = env.sim.state.joint_vel[0].tolist()
    assert cart_vel == pytest.approx(cart * 1e-4, rel=1e-3)
    assert pole_vel == pytest.approx(arm * cart / total * 1e-4, rel=1e-3)


def test_observations_are_positions_and_velocities_clipped_at_five() -> None:
    """Cart position, cart velocity, pole angle, pole velocity."""
    env = make_env(clip_observations=5.0)
    assert env.observations.shape == (4, 4)
    assert env.observations[:, [0, 2]].abs().max() <= 0.1
    assert env.observations[:, [1, 3]].abs().max() <= 0.25
    for _ in range(3):
        env.step(torch.ones(4, 1))
    assert env.observations[:, 1].max().item() == 5.0


def test_an_episode_is_truncated_after_500_steps() -> None:
    """The limit on the cart's position is switched off, so the cart cannot fail first."""
    env = make_env(reset_dist=math.inf)
    env.episode_step.fill_(498)
    assert not env.step(torch.zeros(4, 1)).truncated.any()
    step = env.step(torch.zeros(4, 1))
    assert step.truncated.all()
    assert not step.terminated.any()
    assert env.episode_step.tolist() == [0] * 4
    # The next action is chosen from the new episode; the final observation is the old one's.
    assert not torch.equal(step.observations, step.final_observations)
    assert step.observations[:, 0].abs().max() <= 0.1
