"""Walking robots: models, observations, commands, pushes, noise, failures and the ground."""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.config import compose
from rlgpu.envs import Task, VecEnv
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS
from rlgpu.tasks.legged import gain_of
from tests.tasks.placing import place

ROBOTS = ["Anymal", "AnymalTerrain", "G1", "Go2"]


def make_env(name: str, *words: str, n: int = 2, engine: str = "mujoco") -> VecEnv:
    """Returns environments with the values of the task's YAML, and changes to them."""
    config = compose([f"task={name}", *words], TASKS, ENGINES).config.task
    task: Task = TASKS[name](config)
    return VecEnv(task, make_simulator(engine, task.scene(), config.timing(), n), seed=0)


def standing(env: VecEnv, **values) -> torch.Tensor:
    """Puts every robot in its default pose, high above the ground, and returns observations."""
    values.setdefault("joint_pos", env.task._default.tolist())
    values.setdefault("root_pos_w", [0.0, 0.0, 5.0])
    values.setdefault("root_quat_w", [0.0, 0.0, 0.0, 1.0])
    return place(env, **values)


QUIET = ("task.noise.level=0", "task.pushes.interval=0", "task.commands.follow_heading=False")
SMALL = ("task.terrain.num_levels=3", "task.terrain.num_columns=2", "task.terrain.border=3")
STAIRS = (
    "task.terrain.proportions.stairs_down=1",
    "task.terrain.proportions.stairs_up=0",
    "task.terrain.proportions.smooth_slope=0",
    "task.terrain.proportions.rough_slope=0",
    "task.terrain.proportions.blocks=0",
)


@pytest.mark.parametrize(
    ("name", "mass", "observations", "actions"),
    [
        ("Anymal", 53.16, 48, 12),
        ("AnymalTerrain", 53.16, 188, 12),
        ("G1", 32.11, 50, 12),
        ("Go2", 15.02, 48, 12),
    ],
)
def test_a_robot_has_its_mass_and_sizes(name, mass, observations, actions) -> None:
    """Total masses of the makers' descriptions; the actor of G1 sees 47 of 50 columns."""
    env = make_env(name, *(SMALL if name == "AnymalTerrain" else ()))
    assert env.sim.worlds.model.body_mass.sum() == pytest.approx(mass, abs=0.01)
    assert (env.num_observations, env.num_actions) == (observations, actions)
    assert env.sim.joint_names == tuple(env.task.default_joint_pos)
    if name == "G1":
        seen = env.observation_space.columns(env.observation_space.of("actor", "numbers"))
        assert len(seen) == 47
        assert min(seen) == 3  # not the base's velocity


@pytest.mark.parametrize("name", ROBOTS)
def test_a_standing_robot_stays_up(name) -> None:
    """In its default pose, on its feet, without an action: for two seconds; a biped for half."""
    small = (*SMALL, "task.terrain.kind=plane") if name == "AnymalTerrain" else ()
    env = make_env(name, *QUIET, "task.start_max_joint_speed=0", *small)
    height = {"G1": 0.78, "Go2": 0.33}.get(name, 0.57)
    standing(env, root_pos_w=[0.0, 0.0, height])
    for _ in range(25 if name == "G1" else 100):
        step = env.step(torch.zeros(2, 12))
        assert not step.terminated.any()
    assert env.sim.state.root_quat_w[:, 3].abs().min() > 0.9
    assert (env.sim.state.root_pos_w[:, 2] > 0.6 * height).all()


def test_observations_are_scaled_and_in_the_bases_axes() -> None:
    """Go2, yaw 90 degrees: moving along world y is forward; every column worked by hand."""
    env = make_env("Go2", *QUIET)
    env.task.buffers["commands"][:] = torch.tensor([0.5, -0.25, 0.4, 0.0])
    half = math.sqrt(0.5)
    joint_pos = [x + 0.1 for x in env.task._default.tolist()]
    row = standing(
        env,
        root_quat_w=[0, 0, half, half],
        root_lin_vel_w=[0, 1.5, 0],
        root_ang_vel_w=[0, 2, 4],
        joint_vel=[2.0] * 12,
        joint_pos=joint_pos,
    )[0]
    assert row[0:3].tolist() == pytest.approx([3.0, 0, 0], abs=1e-5)  # 2 * 1.5
    assert row[3:6].tolist() == pytest.approx([0.5, 0, 1.0], abs=1e-5)  # a quarter of (2, 0, 4)
    assert row[6:9].tolist() == pytest.approx([0, 0, -1], abs=1e-5)
    assert row[9:12].tolist() == pytest.approx([1.0, -0.5, 0.1])
    assert row[12:24].tolist() == pytest.approx([0.1] * 12, abs=1e-6)
    assert row[24:36].tolist() == pytest.approx([0.1] * 12)
    assert not row[36:].any()


def test_gravity_of_a_tilted_base_is_seen_in_its_axes() -> None:
    """Nose down by 90 degrees about y: gravity points ahead."""
    half = math.sqrt(0.5)
    row = standing(make_env("Go2", *QUIET), root_quat_w=[0, half, 0, half])[0]
    assert row[6:9].tolist() == pytest.approx([1, 0, 0], abs=1e-6)


def test_actions_are_offsets_of_the_default_pose() -> None:
    """0.25 rad for an action of 1."""
    task = make_env("Go2").task
    torch.testing.assert_close(task.targets(torch.ones(1, 12))[0], task._default + 0.25)


def test_gains_are_those_of_the_joints_group() -> None:
    """G1's knees 150 and 4, its ankles 40 and 2, its hips 100 and 2."""
    task = make_env("G1").task
    drives = task.scene().drives
    found = {name: (drive.stiffness, drive.damping) for name, drive in drives.items()}
    assert found["left_knee_joint"] == (150.0, 4.0)
    assert found["right_ankle_roll_joint"] == (40.0, 2.0)
    assert found["right_hip_yaw_joint"] == (100.0, 2.0)
    assert drives["left_hip_roll_joint"].effort_limit == 139.0
    assert drives["left_hip_yaw_joint"].effort_limit == 88.0
    assert gain_of(task.config.stiffness, "waist") == 0.0


def test_g1_observes_its_phase() -> None:
    """A quarter of 0.8 s after a reset: 10 steps of 0.02 s; sine 1, cosine 0."""
    env = make_env("G1", *QUIET)
    standing(env)
    env.task.buffers["age"][:] = 10
    row = env._observe()[0]
    assert row[48:].tolist() == pytest.approx([1.0, 0.0], abs=1e-6)


def test_commands_are_within_their_ranges_and_renewed_in_time() -> None:
    """Every 10 s, that is 500 steps; small ones become 0; the heading turns into a yaw velocity."""
    env = make_env("Go2", "task.commands.lin_vel_x=[0.5,1.5]", "task.noise.level=0", n=200)
    task = env.task
    commands = task.buffers["commands"]
    moving = commands[:, :2].norm(dim=-1) > 0
    assert (commands[moving, 0] >= 0.5).all()
    assert (commands[:, 0] <= 1.5).all()
    assert (commands[:, 1].abs() <= 1.0).all()
    # Upright robots face heading 0: half of the heading, at most 1.
    torch.testing.assert_close(commands[:, 2], (0.5 * commands[:, 3]).clamp(-1, 1))
    before = commands.clone()
    task.draw(env.generator)
    task.buffers["age"][:100] = 498
    task.buffers["age"][100:] = 499
    task.advance(env.sim.state)
    assert torch.equal(commands[:100, 3], before[:100, 3])
    assert (commands[100:, 3] != before[100:, 3]).all()


def test_a_new_episode_has_new_commands_and_remembers_nothing() -> None:
    """Only where it begins."""
    env = make_env("Go2", n=4)
    task = env.task
    for name in ("last_actions", "last_joint_vel", "air_time"):
        task.buffers[name].fill_(7.0)
    before = task.buffers["commands"].clone()
    mask = torch.tensor([True, False, True, False])
    env._reset(mask, task.reset_state(env.generator))
    changed = (task.buffers["commands"][:, 3] != before[:, 3]).tolist()
    assert changed == [True, False, True, False]
    assert task.buffers["air_time"].sum(-1).tolist() == [0, 28, 0, 28]


def test_pushes_come_in_time_and_set_the_horizontal_velocity() -> None:
    """Every 15 s, that is 750 steps of all robots."""
    env = make_env("Go2", "task.noise.level=0", n=50)
    standing(env, root_lin_vel_w=[0, 0, 0.3])
    task, velocity = env.task, env.sim.state.root_lin_vel_w
    task.draw(env.generator)
    task.buffers["steps"].fill_(748)
    task.advance(env.sim.state)
    assert not velocity[:, :2].any()
    task.advance(env.sim.state)
    assert (velocity[:, :2].abs() <= 1.0).all()
    assert velocity[:, :2].abs().max() > 0.8
    assert velocity[:, 2].tolist() == pytest.approx([0.3] * 50)


def test_arrows_show_the_commanded_velocity_and_the_robots_own() -> None:
    """Half a metre for 1 m/s, above the base by 0.8 of its height at the start; yaw 90 degrees."""
    env = make_env("Go2", *QUIET)
    env.task.buffers["commands"][:] = torch.tensor([0.6, -0.2, 0.4, 0.0])
    half = math.sqrt(0.5)
    standing(env, root_pos_w=[1, 2, 3], root_quat_w=[0, 0, half, half], root_lin_vel_w=[0.4, 0, 9])
    wanted, own = env.task.marks(env.sim.state, 1)
    height = 3.0 + 0.8 * env.task.config.start_height
    # Forward is world y, and left is world -x.
    assert wanted.at == pytest.approx((1, 2, height))
    assert wanted.to == pytest.approx((1.1, 2.3, height))
    assert own.at == pytest.approx((1, 2, height - 0.06))
    assert own.to == pytest.approx((1.2, 2, height - 0.06))


def test_noise_is_uniform_and_leaves_commands_and_actions_alone() -> None:
    """Joint velocities: 1.5 rad/s times the scale 0.05."""
    env = make_env("Go2", n=500)
    env.task.draw(env.generator)
    rows = standing(env, joint_pos=env.task._default.tolist())
    noise = rows[:, 24:36]
    assert noise.abs().max() <= 0.075
    assert noise.abs().max() > 0.074
    assert abs(float(noise.mean())) < 0.002
    assert not rows[:, 36:].any()
    clean = env.task.observed(env.sim.state, torch.zeros(500, 12))["commands"]
    assert torch.equal(rows[:, 9:12], clean)


def test_a_foot_lands_after_its_time_in_the_air() -> None:
    """One step without contact is not a flight; several are, and end with the landing."""
    env = make_env("Go2", *QUIET)
    task, state = env.task, env.sim.state
    feet, zero = task._feet, torch.zeros(2, 12)
    landings = []
    for on_ground in (True, False, True, False, False, False, True):
        state.contact_force_w.zero_()
        state.contact_force_w[:, feet, 2] = 50.0 if on_ground else 0.0
        m = task._moment(state, zero)
        landings.append((bool(m.landed.any()), round(float(m.landed_air_time.max()), 3)))
    # In the air for the second and third of three steps: 2 * 0.02 s, and 0.02 s of the landing.
    assert landings == [(False, 0.0)] * 6 + [(True, 0.06)]


def test_failures_are_contacts_of_the_base_and_tilts() -> None:
    """More than 1 N on the base, not on a foot; pitches of +-1.1 rad, rolls of +-0.9 rad."""
    env = make_env("Go2", *QUIET)
    standing(env)
    force_w, zero = env.sim.state.contact_force_w, torch.zeros(2, 12)
    force_w[0, env.sim.body_names.index("base"), 0] = 1.1
    force_w[1, env.sim.body_names.index("FL_foot"), 2] = 90.0
    assert env.task._moment(env.sim.state, zero).terminated.tolist() == [True, False]
    for axis, angle, fails in ((1, 1.1, True), (1, 0.9, False), (0, 0.9, True), (0, 0.7, False)):
        for turn in (angle, -angle):
            quat = [0.0, 0.0, 0.0, math.cos(turn / 2)]
            quat[axis] = math.sin(turn / 2)
            standing(env, root_quat_w=quat)
            assert env.step(torch.zeros(2, 12)).terminated.all() == fails


def test_the_reward_is_the_clipped_sum_of_its_terms() -> None:
    """Anymal, falling freely as commanded: 1.0 and 0.5 per second, times 0.02 s."""
    env = make_env("Anymal", *QUIET, "task.rewards.torques=0")
    standing(env)
    env.task.buffers["commands"].zero_()
    assert env.step(torch.zeros(2, 12)).rewards.tolist() == pytest.approx([0.03] * 2, rel=1e-3)
    names = set(env.reported)
    assert names == {"reward_tracking_lin_vel", "reward_tracking_ang_vel", "lin_vel_error"}
    assert float(env.reported["reward_tracking_lin_vel"]) == pytest.approx(1.0, rel=1e-3)
    negative = make_env("Anymal", *QUIET, "task.rewards.lin_vel_z=-1000")
    standing(negative, root_lin_vel_w=[0, 0, -3.0])
    assert negative.step(torch.zeros(2, 12)).rewards.tolist() == [0.0, 0.0]


def test_heights_around_a_robot_are_observed() -> None:
    """On a flat tile at the robot's height less 0.5 m, times 5; ahead of stairs, the stairs."""
    env = make_env("AnymalTerrain", *QUIET, *SMALL, *STAIRS, n=1)
    start = env.task.ground._starts[0, 0].clone()
    x, y, z = start.tolist()
    row = standing(env, root_pos_w=[x, y, z + 0.62])[0]
    assert row[36:176].tolist() == pytest.approx([5 * 0.12] * 140, abs=1e-4)
    # 1.2 m ahead begins the first of the steps down, 5 cm high and 0.3 m wide.
    ahead = standing(env, root_pos_w=[x + 1.6, y, z + 0.62])[0, 36:176].view(14, 10)
    assert ahead[-1].tolist() == pytest.approx([ahead[-1, 0].item()] * 10, abs=1e-4)
    assert ahead[-1, 0] > ahead[0, 0] + 5 * 0.09
    # 1.6 m ahead is the second step: 10 cm lower.
    assert env.task.base_height(env.sim.state)[0].item() == pytest.approx(0.72, abs=1e-4)
    # The same to the left, on a tile that is not on the map's diagonal.
    x, y, z = env.task.ground._starts[0, 1].tolist()
    standing(env, root_pos_w=[x, y + 1.6, z + 0.62])
    assert env.task.base_height(env.sim.state)[0].item() == pytest.approx(0.72, abs=1e-4)


def test_robots_climb_levels_by_walking() -> None:
    """4.1 m up a level, too little of the commanded way down, and from the last level anywhere.

    The last step of 20 s ends the episodes and redraws the commands, which must not count.
    """
    words = ("task.terrain.start_spread=0", "task.commands.resampling_time=20")
    env = make_env("AnymalTerrain", *QUIET, *SMALL, *words, n=6)
    task, ground, buffers = env.task, env.task.ground, env.task.buffers
    ground.level.copy_(torch.tensor([0, 1, 1, 1, 1, 2]))
    ground.settle(torch.zeros(6, dtype=torch.bool))
    # Told to walk for 20 m in 20 s, of which 5 m are enough; the last but one is told to stand.
    buffers["commands"].zero_()
    buffers["commands"][[0, 1, 2, 3, 5], 0] = 1.0
    positions = ground._origins + torch.tensor([0.0, 0.0, 5.0])
    positions[:, 0] += torch.tensor([4.1, 4.1, 3.0, 0.1, 0.0, 4.1])
    standing(env, root_pos_w=[0.0, 0.0, 5.0])
    to = task.reset_state(env.generator)
    still = torch.zeros(6, 3)
    to = to._replace(root_pos_w=positions, root_lin_vel_w=still, root_ang_vel_w=still)
    env.sim.reset(torch.ones(6, dtype=torch.bool), to)
    buffers["age"].fill_(999)
    env.episode_step.fill_(999)
    env.episode_step[1] = 0
    step = env.step(torch.zeros(6, 12))
    assert step.truncated.tolist() == [True, False, True, True, True, True]
    assert ground.level[:5].tolist() == [1, 1, 0, 0, 1]
    assert 0 <= int(ground.level[5]) <= 2
    torch.testing.assert_close(
        env.sim.state.root_pos_w[0], ground._starts[1, 0] + torch.tensor([0, 0, 0.62])
    )
    assert (buffers["age"] == torch.tensor([0, 1000, 0, 0, 0, 0])).all()


def test_swinging_feet_are_measured_above_the_ground_below_them() -> None:
    """A G1 in the air, 1.2 m above a plane or a platform of stairs, has the same reward."""
    rewards = []
    for words in ((), ("task.terrain.kind=rough", *SMALL, *STAIRS)):
        env = make_env("G1", *QUIET, *words, n=1)
        x, y, z = env.task.ground._starts[2, 0].tolist() if words else (0.0, 0.0, 0.0)
        standing(env, root_pos_w=[x, y, z + 1.2])
        env.step(torch.zeros(1, 12))
        rewards.append(float(env.reported["reward_feet_swing_height"]))
    assert z > 1.0
    assert rewards[0] < -1.0
    assert rewards[1] == pytest.approx(rewards[0], rel=1e-3)


def judged_levels(env: VecEnv, *, walked: float) -> list[int]:
    """Puts robots some way off their start on level 1 and ends their episodes in one step."""
    ground = env.task.ground
    ground.level.fill_(1)
    ground.settle(torch.zeros(env.num_envs, dtype=torch.bool))
    positions = ground._origins + torch.tensor([walked, 0.0, 5.0])
    standing(env, root_pos_w=[0.0, 0.0, 0.0])
    env.sim.state.root_pos_w.copy_(positions)
    everyone = torch.ones(env.num_envs, dtype=torch.bool)
    env._reset(everyone, env.task.reset_state(env.generator))
    return ground.level.tolist()


def test_robots_start_near_the_middle_of_their_tile() -> None:
    """Within 0.5 m along x and y, as in IsaacGymEnvs, at the middle's height."""
    env = make_env("AnymalTerrain", *SMALL, *STAIRS, n=200)
    starts = env.task.ground._starts[env.task.ground.level, env.task.ground._column]
    away = env.sim.state.root_pos_w - starts
    assert away[:, :2].abs().max() <= 0.5
    assert (away[:, :2].abs().amax(dim=0) > 0.4).all()
    assert away[:, :2].mean(dim=0).abs().max() < 0.1
    assert away[:, 2].tolist() == pytest.approx([0.62] * 200, abs=1e-5)


def test_the_curriculum_judges_by_the_commands_that_were_followed() -> None:
    """Told to stand until the last step, then redrawn; told to stand for half of the episode."""
    words = (*QUIET, *SMALL, "task.commands.resampling_time=10", "task.commands.dead_zone=0")
    env = make_env("AnymalTerrain", *words, n=16)
    commands, age = env.task.buffers["commands"], env.task.buffers["age"]

    def follow(speed: float, steps: int) -> None:
        commands.copy_(torch.tensor([speed, 0.0, 0.0, 0.0]))
        for _ in range(steps):
            env.task.draw(env.generator)
            env.task.advance(env.sim.state)

    follow(0.0, 500)
    assert commands[:, :2].norm(dim=-1).min() > 0.0  # redrawn after 10 s
    assert judged_levels(env, walked=0.0) == [1] * 16
    # 10 m in 20 s, a quarter of which is enough: 2.6 m are, 2.4 m are not.
    for walked, level in ((2.6, 1), (2.4, 0)):
        follow(0.0, 500)
        follow(1.0, 500)
        assert age.tolist() == [1000] * 16
        assert judged_levels(env, walked=walked) == [level] * 16


def test_a_diverged_robot_keeps_its_level() -> None:
    """The engine restarts it at the map's corner, far from where the robot was."""
    env = make_env("AnymalTerrain", *QUIET, *SMALL, n=4)
    env.task.buffers["age"].fill_(10)
    env.task.ground.level.fill_(1)
    env.task.ground.settle(torch.zeros(4, dtype=torch.bool))
    env.sim.worlds.array("qvel")[:2] = math.nan
    step = env.step(torch.zeros(4, 12))
    assert env.counts.diverged == 2
    assert step.terminated[:2].tolist() == [True, True]
    assert env.task.ground.level[:2].tolist() == [1, 1]
    away = env.sim.state.root_pos_w[:2, :2] - env.task.ground._starts[1, :2, :2]
    assert away.norm(dim=-1).max() < 1.0


def test_training_state_continues_on_the_same_ground() -> None:
    """Levels and origins are saved with the rest."""
    env, other = (make_env("AnymalTerrain", *SMALL, n=3) for _ in range(2))
    env.task.ground.level.copy_(torch.tensor([2, 1, 0]))
    env._reset(torch.ones(3, dtype=torch.bool), env.task.reset_state(env.generator))
    other.load_state_dict(env.state_dict())
    assert torch.equal(other.task.ground.level, env.task.ground.level)
    actions = torch.zeros(3, 12)
    for _ in range(3):
        assert torch.equal(env.step(actions).observations, other.step(actions).observations)
