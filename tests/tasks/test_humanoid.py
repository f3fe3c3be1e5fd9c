"""Humanoid: model, observation columns, rewards, failures, against IsaacGymEnvs' values."""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.config import compose
from rlgpu.sim import ENGINES
from rlgpu.tasks import TASKS
from rlgpu.tasks.humanoid import FEET, GEARS, OBSERVATION, Humanoid, humanoid_reward
from tests.tasks import placing
from tests.tasks.placing import place

CONFIG = compose(["task=Humanoid"], TASKS, ENGINES).config.task

UPRIGHT = {"root_pos_w": [0.0, 0.0, 1.34], "root_quat_w": [0.0, 0.0, 0.0, 1.0]}
SHARES = torch.tensor(list(GEARS.values())) / 135.0


def env_of(task, n: int = 2):
    """Returns environments with the values of the task's YAML."""
    names = ("joint_vel_scale", "contact_force_scale", "termination_height", "start_height")
    return placing.env_of(task, n, **{name: getattr(CONFIG, name) for name in names})


def test_the_model_has_the_humanoids_mass_joints_and_limits() -> None:
    """21 joints; a knee bends from -160 to 2 degrees; spheres and capsules of water's density."""
    env = env_of(Humanoid)
    assert env.sim.joint_names == tuple(GEARS)
    assert len(GEARS) == 21
    assert set(FEET) <= set(env.sim.body_names)
    knee = env.sim.joint_names.index("left_knee")
    limits = torch.rad2deg(torch.stack((env.sim.joint_lower, env.sim.joint_upper)))[:, knee]
    assert limits.tolist() == pytest.approx([-160.0, 2.0], abs=1e-3)
    model = env.sim.worlds.model
    # The head: 4/3 pi 0.09^3 m^3 of 1000 kg/m^3.
    assert model.body("head").mass[0] == pytest.approx(4 / 3 * math.pi * 0.09**3 * 1000, rel=1e-6)
    assert model.body_mass.sum() == pytest.approx(40.8, abs=0.2)


def test_the_standing_humanoids_observations_match_the_geometry() -> None:
    """Upright at the start: every column of the first kind, and the joints' scaled positions."""
    row = place(env_of(Humanoid), **UPRIGHT)[0]
    assert row.shape == (108,)
    assert row[0].item() == pytest.approx(1.34)
    assert row[1:9].tolist() == [0.0] * 8
    assert row[9].item() == pytest.approx(math.atan2(-1.34, 1000), abs=1e-6)
    assert row[10:12].tolist() == pytest.approx([1.0, 1.0], abs=1e-6)
    # abdomen_y: range -75..30, middle -22.5, half range 52.5: 22.5 / 52.5.
    assert row[13].item() == pytest.approx(22.5 / 52.5, abs=1e-5)
    # right_knee: range -160..2, middle -79, half range 81.
    assert row[18].item() == pytest.approx(79 / 81, abs=1e-5)
    assert not row[33:].any()


def test_a_turned_humanoid_observes_velocities_in_its_own_axes() -> None:
    """Yaw -90 degrees is -pi/2, not 3 pi/2; joint velocities are scaled by 0.1, spin by 0.25."""
    half = math.sqrt(0.5)
    row = place(
        env_of(Humanoid),
        root_pos_w=[0, 0, 1.34],
        root_quat_w=[0, 0, -half, half],
        root_lin_vel_w=[0, -2, 0],
        root_ang_vel_w=[0, 0, 4],
        joint_vel=[3.0] * 21,
    )[0]
    assert row[1:4].tolist() == pytest.approx([2, 0, 0], abs=1e-5)
    assert row[4:7].tolist() == pytest.approx([0, 0, 1], abs=1e-5)
    assert row[7].item() == pytest.approx(-math.pi / 2, abs=1e-5)
    assert row[9].item() == pytest.approx(math.pi / 2, abs=2e-3)
    assert row[33:54].tolist() == pytest.approx([0.3] * 21)


def test_actions_become_torques_that_are_observed() -> None:
    """Gears in the joints' order; a hundredth of the torque is observed, and the action itself."""
    env = env_of(Humanoid)
    actions = torch.full((2, 21), 0.5)
    torques = env.task.targets(actions)
    by_name = dict(zip(GEARS, torques[0].tolist(), strict=True))
    assert by_name["right_hip_y"] == pytest.approx(67.5)
    assert by_name["left_ankle_x"] == pytest.approx(11.25)
    assert by_name["abdomen_z"] == pytest.approx(33.75)
    observations = env.step(actions).final_observations
    torch.testing.assert_close(observations[:, OBSERVATION["joint_force"]], 0.01 * torques)
    assert torch.equal(observations[:, OBSERVATION["actions"]], actions)


def observation(**columns) -> torch.Tensor:
    row = torch.zeros(1, 108)
    row[0, 0], row[0, 10], row[0, 11] = 1.3, 1.0, 1.0
    for name, value in columns.items():
        row[0, int(name[1:])] = value
    return row


@pytest.mark.parametrize(
    ("speed", "columns", "reward"),
    [
        # 1.5 + 2 alive + 0.1 up + 0.5 heading
        (1.5, {}, 4.1),
        # leaning, heading 0.4: 0.25
        (0.0, {"c10": 0.9, "c11": 0.4}, 2.25),
        # abdomen_z, gear 67.5 of 135: 0.01 * 0.25 and 0.05 * |0.5 * -2| * 0.5
        (0.0, {"c87": 0.5, "c33": -2.0}, 2.6 - 0.0025 - 0.025),
        # at either limit: 0.25 * (0.99 - 0.98) / 0.02 * 0.5, twice
        (0.0, {"c12": 0.99, "c13": -0.99}, 2.6 - 2 * 0.0625),
        # fallen: everything is replaced
        (5.0, {"c0": 0.79}, -1.0),
    ],
)
def test_the_reward_matches_the_formula(speed, columns, reward) -> None:
    """Each term on its own, worked by hand."""
    outcome = humanoid_reward(torch.tensor([speed]), observation(**columns), SHARES, CONFIG)
    assert outcome.rewards.item() == pytest.approx(reward, abs=1e-5)
    assert outcome.terminated.item() == ("c0" in columns)


def test_standing_feet_carry_weight() -> None:
    """Dropped upright, the feet's forces soon add up to something near 40.8 kg."""
    env = env_of(Humanoid, 1)
    place(env, root_pos_w=[0.0, 0.0, 1.30], root_quat_w=[0.0, 0.0, 0.0, 1.0])
    seen = 0.0
    for _ in range(30):
        env.sim.set_targets(torch.zeros(1, 21))
        env.sim.step()
        env.sim.refresh()
        seen = max(seen, float(env.sim.state.contact_wrench_b[0, :, :3].norm(dim=-1).sum()))
    assert seen > 0.5 * 40.8 * 9.81
    assert env.sim.state.contact_wrench_b.shape == (1, 2, 6)
