"""Ant: model, observation columns, rewards, failures and resets, against IsaacGymEnvs' values."""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.envs import VecEnv
from rlgpu.tasks.ant import FEET, JOINTS, OBSERVATION, Ant, AntConfig, ant_reward
from rlgpu.tasks.running import progress_to_target
from tests.tasks import placing
from tests.tasks.placing import env_of


def make_env(n: int = 2, **changes) -> VecEnv:
    return env_of(Ant, n, **changes)


def place(env: VecEnv, **values) -> torch.Tensor:
    """Puts every ant into one state, at its start position unless given."""
    values.setdefault("joint_pos", env.task._initial_joint_pos.tolist())
    return placing.place(env, **values)


def test_the_model_has_the_ants_mass_joints_and_limits() -> None:
    """0.91 kg; hips +-40 degrees; ankles 30..100 on legs 1 and 4, -100..-30 on 2 and 3."""
    env = make_env()
    assert env.sim.worlds.model.body_mass.sum() == pytest.approx(0.911, abs=1e-3)
    assert env.sim.joint_names == JOINTS
    assert set(FEET) <= set(env.sim.body_names)
    degrees = torch.rad2deg(torch.stack((env.sim.joint_lower, env.sim.joint_upper), -1)).round()
    low, high = [-100.0, -30.0], [30.0, 100.0]
    hip = [-40.0, 40.0]
    assert degrees.tolist() == [hip, high, hip, low, hip, low, hip, high]


def test_the_standing_ants_observations_match_the_geometry() -> None:
    """Upright at the start: height .44, heading straight at the target, ankles at a limit."""
    row = place(make_env(), root_pos_w=[0, 0, 0.44], root_quat_w=[0, 0, 0, 1])[0]
    assert row[0].item() == pytest.approx(0.44)
    assert row[1:7].tolist() == [0.0] * 6
    assert row[7:9].tolist() == [0.0, 0.0]
    assert row[9].item() == pytest.approx(math.atan2(-0.44, 1000), abs=1e-7)
    assert row[10:12].tolist() == pytest.approx([1.0, 1.0], abs=1e-6)
    # Hips in the middle of their range; ankles at the limit nearest to zero.
    assert row[12:20].tolist() == pytest.approx([0, -1, 0, 1, 0, 1, 0, -1], abs=1e-5)
    assert not row[20:].any()


def test_a_turned_ant_observes_velocities_in_its_own_axes() -> None:
    """Yaw 90 degrees: moving along world y is forward, and the target is to the right."""
    half = math.sqrt(0.5)
    row = place(
        make_env(),
        root_pos_w=[0, 0, 0.44],
        root_quat_w=[0, 0, half, half],
        root_lin_vel_w=[0, 2, 0],
        root_ang_vel_w=[0, 3, 4],
        joint_vel=[1.0] * 8,
    )[0]
    assert row[1:4].tolist() == pytest.approx([2, 0, 0], abs=1e-5)
    assert row[4:7].tolist() == pytest.approx([3, 0, 4], abs=1e-5)
    assert row[7].item() == pytest.approx(math.pi / 2, abs=1e-5)
    assert row[9].item() == pytest.approx(-math.pi / 2, abs=1e-3)
    assert row[10].item() == pytest.approx(1.0, abs=1e-6)
    assert row[11].item() == pytest.approx(0.0, abs=1e-6)
    assert row[20:28].tolist() == pytest.approx([0.2] * 8)


def test_a_clockwise_yaw_is_not_wrapped() -> None:
    """-90 degrees reads as 270, as in the source."""
    half = math.sqrt(0.5)
    row = place(make_env(), root_quat_w=[0, 0, -half, half])[0]
    assert row[7].item() == pytest.approx(1.5 * math.pi, abs=1e-5)


@pytest.mark.parametrize(("degrees", "wanted"), [(30, 30), (80, 80), (-50, 310), (170, 170)])
def test_roll_runs_from_zero_to_a_full_turn(degrees, wanted) -> None:
    """A turn about x alone; past 90 degrees the ant lies on its back, and up is negative."""
    half = math.radians(degrees) / 2
    row = place(make_env(), root_quat_w=[math.sin(half), 0, 0, math.cos(half)])[0]
    assert math.degrees(row[8].item()) == pytest.approx(wanted, abs=1e-3)
    assert row[10].item() == pytest.approx(math.cos(math.radians(degrees)), abs=1e-6)


def test_standing_feet_carry_the_ants_weight() -> None:
    """0.911 kg on four feet: the forces sum to 8.94 N; observations are scaled by a tenth."""
    env = make_env(1)
    place(env, root_pos_w=[0, 0, 0.5], root_quat_w=[0, 0, 0, 1])
    for _ in range(240):  # four seconds without torque, resets switched off
        env.sim.set_targets(torch.zeros(1, 8))
        env.sim.step()
        env.sim.refresh()
    wrench = env.sim.state.contact_wrench_b[0]
    assert wrench[:, :3].norm(dim=-1).sum().item() == pytest.approx(0.911 * 9.81, rel=0.05)
    observed = env._observe()[0, 28:52].view(4, 6)
    torch.testing.assert_close(observed, 0.1 * wrench)


def observation(**columns) -> torch.Tensor:
    row = torch.zeros(1, 60)
    row[0, 0], row[0, 10], row[0, 11] = 0.5, 1.0, 1.0
    for name, value in columns.items():
        row[0, int(name[1:])] = value
    return row


@pytest.mark.parametrize(
    ("speed", "columns", "reward"),
    [
        # 2 + 0.5 alive + 0.1 up + 0.5 heading
        (2.0, {}, 3.1),
        # leaning: no up reward; heading 0.4 / 0.8 * 0.5 = 0.25
        (0.0, {"c10": 0.9, "c11": 0.4}, 0.75),
        # facing backwards costs
        (0.0, {"c11": -0.8}, 0.5 + 0.1 - 0.5),
        # one action of 0.5 at scaled joint velocity -2: 0.005 * 0.25 and 0.05 * 1
        (0.0, {"c52": 0.5, "c20": -2.0}, 1.1 - 0.00125 - 0.05),
        # only the upper limit counts
        (0.0, {"c12": 0.995, "c13": -1.0}, 1.1 - 0.1),
        # fallen: everything is replaced
        (5.0, {"c0": 0.3}, -2.0),
    ],
)
def test_the_reward_matches_the_formula(speed, columns, reward) -> None:
    """Each term on its own, worked by hand."""
    outcome = ant_reward(torch.tensor([speed]), observation(**columns), AntConfig())
    assert outcome.rewards.item() == pytest.approx(reward, abs=1e-5)
    assert outcome.terminated.item() == ("c0" in columns)


def test_progress_is_exactly_the_distance_gained() -> None:
    """2 mm forward, then 3 m sideways; 1 m forward beside the line: lengths worked in float64."""
    before = torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [500.0, 400.0, 0.5]])
    after = torch.tensor([[0.002, 0.0, 0.4], [0.002, 3.0, 0.6], [501.0, 400.0, 0.5]])
    wanted = [0.002, 1000 - math.hypot(999.998, 3.0), math.hypot(500, 400) - math.hypot(499, 400)]
    assert progress_to_target(before, after).tolist() == pytest.approx(wanted, rel=1e-4)


def test_a_reset_jitters_joints_within_their_limits_but_not_the_root() -> None:
    """+-0.2 rad around the start, clamped; +-0.1 rad/s; height 0.44."""
    env = make_env(500)
    state = env.sim.state
    start = env.task._initial_joint_pos
    assert (state.joint_pos - start).abs().max() <= 0.2 + 1e-6
    assert (state.joint_pos >= env.sim.joint_lower - 1e-6).all()
    assert (state.joint_pos <= env.sim.joint_upper + 1e-6).all()
    assert 0.09 < state.joint_vel.abs().max() <= 0.1
    assert torch.equal(state.root_pos_w, torch.tensor([0.0, 0.0, 0.44]).expand(500, 3))


def test_the_first_reward_after_a_reset_ignores_the_jump() -> None:
    """An ant that falls 50 m down the track restarts at 0 without losing 50 m of progress."""
    env = make_env(2)
    place(env, root_pos_w=[50.0, 0, 0.1], root_quat_w=[0, 0, 0, 1])
    env.task.after_reset(env.sim.state, torch.ones(2, dtype=torch.bool))
    assert env.step(torch.zeros(2, 8)).terminated.all()
    rewards = env.step(torch.zeros(2, 8)).rewards
    assert rewards.abs().max() < 3.0


def test_actions_are_clamped_and_observed() -> None:
    """An action of 7 acts and is observed as 1; the torque is 15 N m."""
    env = make_env()
    env.step(torch.full((2, 8), 7.0))
    assert env.observations[:, 52:].tolist() == [[1.0] * 8] * 2
    assert torch.equal(env.task.targets(torch.ones(1, 8)), torch.full((1, 8), 15.0))


def test_the_mirror_shows_what_a_mirrored_ant_does() -> None:
    """Two ants, one the other's mirror image, driven by mirrored actions: 25 steps stay mirrored.

    Contacts amplify rounding, so the distance may grow from float32's to a thousandth. The reward
    is symmetric but for its penalty, which is for upper joint limits only.
    """
    env = make_env(2, joints_at_limit_cost=0.0)
    task, sim = env.task, env.sim
    g = torch.Generator().manual_seed(3)
    start = task.reset_state(g)
    signs = torch.tensor([-1.0, 1.0] * 4)

    def other(rows: torch.Tensor) -> torch.Tensor:
        return (rows.view(4, 2).flip(0) * signs.view(4, 2)).flatten()

    for values in (start.joint_pos, start.joint_vel):
        values[1] = other(values[0])
    everyone = torch.ones(2, dtype=torch.bool)
    env._reset(everyone, start)
    touched = 0.0
    for _ in range(25):
        actions = torch.rand(1, 8, generator=g) * 2 - 1
        step = env.step(torch.cat((actions, other(actions[0])[None])))
        image, _ = task.mirror(step.final_observations[:1], actions)
        angles = [OBSERVATION[name] for name in ("yaw", "roll", "angle_to_target")]
        difference = image[0] - step.final_observations[1]
        for column in angles:  # both sides of a full turn are the same
            difference[column] = (
                torch.remainder(difference[column] + math.pi, 2 * math.pi) - math.pi
            )
        assert difference.abs().max() < 2e-3
        touched = max(touched, sim.state.contact_wrench_b.abs().max().item())
        assert step.rewards[0].item() == pytest.approx(step.rewards[1].item(), abs=2e-3)
    assert touched > 0
    again, _ = task.mirror(image, actions)
    torch.testing.assert_close(again, step.final_observations[:1])
