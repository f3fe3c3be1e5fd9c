"""BallBalance: model, observations, drives, rewards and failures, worked by hand."""

from __future__ import annotations

import pytest
import torch

from rlgpu.sim import ResetState
from rlgpu.tasks.ball_balance import BallBalance
from tests.tasks import placing


def env_of(task, n: int = 2):
    """Returns environments with control steps of 0.01 s, as in the task's YAML."""
    return placing.env_of(task, n, physics_dt=0.005)


def put(env, position, velocity=(0.0, 0.0, 0.0)) -> torch.Tensor:
    """Puts the ball somewhere above the tray at rest, and returns the observations."""
    n = env.num_envs
    still = torch.zeros(n, 6)
    env.sim.reset(
        torch.ones(n, dtype=torch.bool),
        ResetState(
            still,
            still,
            object_pos_w=torch.tensor(position).expand(n, 1, 3),
            object_lin_vel_w=torch.tensor(velocity).expand(n, 1, 3),
        ),
    )
    return env._observe()


def test_the_model_has_its_masses_and_joints() -> None:
    """Tray pi 0.5^2 0.02 100 kg, ball 4/3 pi 0.1^3 200 kg; knees are the driven joints."""
    env = env_of(BallBalance)
    model = env.sim.worlds.model
    assert model.body("tray").mass[0] == pytest.approx(1.5708, abs=1e-4)
    assert model.body("ball").mass[0] == pytest.approx(0.83776, abs=1e-4)
    assert env.sim.joint_names[1::2] == tuple(f"lower_leg_joint{i}" for i in range(3))
    assert env.task._driven.tolist() == [1, 3, 5]


def test_feet_stay_and_the_tray_carries_the_ball() -> None:
    """For two seconds: feet at 0.4 m, 0.02 m high; the ball's weight is sensed on the tray."""
    env = env_of(BallBalance, n=1)
    put(env, [0.0, 0.0, 0.68])
    for _ in range(200):
        env.sim.set_targets(env.task.targets(torch.zeros(1, 3)))
        env.sim.step()
        env.sim.refresh()
    data = env.sim.mirror()
    data.show(0)
    for i in range(3):
        foot = data.data.body(f"lower_leg{i}")
        tip = foot.xpos + foot.xmat.reshape(3, 3) @ [0.0, 0.0, 0.18]
        assert (tip[0] ** 2 + tip[1] ** 2) ** 0.5 == pytest.approx(0.4, abs=3e-3)
        assert tip[2] == pytest.approx(0.02, abs=3e-3)
    force = env.sim.state.contact_wrench_b[0, 0, :3]
    assert force[2].item() == pytest.approx(-0.83776 * 9.81, rel=0.05)


def test_every_column_is_where_isaac_gyms_is() -> None:
    """Driven joints, ball, and the sensors' x force and torques about three points, / 20."""
    env = env_of(BallBalance)
    row = put(env, [0.1, 0.2, 1.5], (1.0, 2.0, 3.0))
    assert row[0, 6:12].tolist() == pytest.approx([0.1, 0.2, 1.5, 1, 2, 3], abs=1e-6)
    wrench = torch.tensor([2.0, 0.0, -8.0, 0.5, -0.25, 1.0])
    env.sim.state.contact_wrench_b[:] = wrench
    row = env._observe()[0] * 20
    assert row[12:15].tolist() == pytest.approx([2, 2, 2], abs=1e-5)
    # Sensor 0 at (0.4, 0, 0): torque - r x F = (0.5, -0.25, 1) - (0, 3.2, 0) = (0.5, -3.45, 1).
    assert [row[15].item(), row[18].item(), row[21].item()] == pytest.approx([0.5, -3.45, 1.0])
    # Sensor 1 at (-0.2, 0.3464, 0): r x F = (-2.771, -1.6, -0.6928).
    assert [row[16].item(), row[19].item(), row[22].item()] == pytest.approx(
        [0.5 + 2.7713, -0.25 + 1.6, 1.0 + 0.6928], abs=1e-3
    )


def test_actions_turn_the_targets_within_the_joints_limits() -> None:
    """20 rad/s * 0.01 s = 0.2 rad a step; knees end at 90 degrees."""
    env = env_of(BallBalance)
    task = env.task
    task.buffers["targets"].zero_()
    moved = task.targets(torch.tensor([[1.0, -0.5, 0.0]] * 2))
    assert moved[0].tolist() == pytest.approx([0, 0.2, 0, -0.1, 0, 0])
    for _ in range(20):
        moved = task.targets(torch.ones(2, 3))
    assert moved[0, 1::2].tolist() == pytest.approx([1.5708] * 3, abs=1e-4)


def test_the_reward_is_for_a_ball_in_the_middle_at_rest() -> None:
    """0.3 m away: 1 / 1.3; at 1 m/s: half of that; below 0.15 m it has fallen."""
    env = env_of(BallBalance)
    for position, velocity, wanted, fell in (
        ([0.0, 0.0, 0.7], (0.0, 0.0, 0.0), 1.0, False),
        ([0.3, 0.0, 0.7], (0.0, 0.0, 0.0), 1 / 1.3, False),
        ([0.0, 0.0, 1.0], (0.0, 1.0, 0.0), 0.5 / 1.3, False),
        ([0.7, 0.0, 0.14], (0.0, 0.0, 0.0), None, True),
    ):
        put(env, position, velocity)
        outcome = env.task.evaluate(env.sim.state, torch.zeros(2, 3), env.observations)
        assert outcome.terminated.tolist() == [fell, fell]
        if wanted is not None:
            assert outcome.rewards.tolist() == pytest.approx([wanted] * 2, abs=1e-5)


def test_the_ball_is_thrown_inwards() -> None:
    """From 1 to 2 m, down at 5 m/s, inwards at most 5 m/s and the faster the farther out."""
    task = env_of(BallBalance, n=1000).task
    to = task.reset_state(torch.Generator().manual_seed(0))
    position, velocity = to.object_pos_w[:, 0], to.object_lin_vel_w[:, 0]
    radius = position[:, :2].norm(dim=-1)
    assert radius.max() <= 0.5
    # Where it starts, how high and how fast are drawn apart; a uniform radius, not a uniform area.
    assert radius.mean().item() == pytest.approx(0.25, abs=0.02)
    share = velocity[:, :2].norm(dim=-1) / radius
    angle = torch.atan2(position[:, 1], position[:, 0])
    drawn = torch.stack((radius, position[:, 2], share, angle)).corrcoef()
    assert (drawn - torch.eye(4)).abs().max() < 0.1
    assert ((position[:, 2] >= 1.0) & (position[:, 2] <= 2.0)).all()
    assert (velocity[:, 2] == -5.0).all()
    speed = velocity[:, :2].norm(dim=-1)
    assert (speed <= 5.0 * (radius - 0.001) / 0.499 + 1e-5).all()
    inwards = (position[:, :2] * velocity[:, :2]).sum(-1)
    assert (inwards <= 1e-6).all()
