"""Walk: what a robot's file and the command line make of it, and how it looks in a mirror."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.cli import main
from rlgpu.config import compose, plain
from rlgpu.envs import VecEnv
from rlgpu.errors import Unreadable, UsageError
from rlgpu.sim import ENGINES, ResetState, make_simulator
from rlgpu.tasks import TASKS
from rlgpu.tasks.own_ground import heights_of, own_ground
from tests.refusals import error_of
from tests.robots.files import biped, dog
from tests.tasks.placing import place

QUIET = ("task.noise.level=0", "task.pushes.interval=0", "task.start_max_speed=0")


def composed(*words: str):
    return compose(["task=Walk", *words], TASKS, ENGINES).config


def make_env(*words: str, n: int = 2, engine: str = "mujoco") -> VecEnv:
    config = composed(*words).task
    task = TASKS["Walk"](config)
    return VecEnv(task, make_simulator(engine, task.scene(), config.timing(), n), seed=0)


def test_robot_is_short_for_the_file_and_all_that_follows_is_recorded(tmp_path) -> None:
    """With absolute paths, as plain values from which the same configuration is composed."""
    path = dog(tmp_path)
    config = composed(
        f"robot={path}", "task.robot.stiffness.calf=77", "task.robot.damping={thigh: 3}"
    )
    robot = config.task.robot
    assert robot.file == str(path)
    assert (robot.stiffness["FL_calf"], robot.damping["RR_thigh"]) == (77.0, 3.0)
    assert robot.stiffness["FL_thigh"] != 77.0
    recorded = plain(config)["task"]["robot"]
    assert set(recorded["default_joint_pos"]) == set(robot.joints)
    again = [
        f"task.robot.{key}={value}" for key, value in recorded.items() if key == "self_collision"
    ]
    assert composed(f"robot={path}", *again).task.robot.feet == robot.feet


def test_another_robot_takes_nothing_of_the_last_one(tmp_path, monkeypatch) -> None:
    """A task's file has the values of one robot; ``robot=`` names another."""
    monkeypatch.chdir(tmp_path)
    assert main(["new-task", "MyDog", f"robot={dog(tmp_path)}"]) == 0
    words = ["task=mydog/mydog.py:MyDog", f"robot={biped(tmp_path)}"]
    robot = compose(words, TASKS, ENGINES).config.task.robot
    plain = composed(f"robot={tmp_path / 'biped.urdf'}").task.robot
    assert robot == plain
    whole = composed(
        f"robot={tmp_path / 'dog.xml'}",
        "task.robot.feet={FL_calf: [0,0,-0.27], RR_calf: [0,0,-0.27]}",
    )
    assert list(whole.task.robot.feet) == ["FL_calf", "RR_calf"]


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ((), "task.robot.file"),
        (("robot=nowhere.xml",), "task.robot.file"),
        (("robot={dog}", "task.robot.file={dog}"), "robot"),
        (("robot={dog}", "task.robot.stiffness={knee: 3}"), "task.robot.stiffness.knee"),
        (("robot={dog}", "task.robot.stiffness.calf=-3"), "task.robot.stiffness.calf"),
        (("robot={dog}", "task.robot.stiffness=3"), "task.robot.stiffness"),
        (
            ("robot={dog}", "task.robot.feet={FL_calf: [0,0], RR_calf: []}"),
            "task.robot.feet.FL_calf",
        ),
        (("robot={dog}", "task.robot.effort_limit={calf: inf}"), "task.robot.effort_limit.calf"),
        (("robot={dog}", "task.robot.joints=[FL_calf,FL_calf]"), "task.robot.joints"),
        (("robot={dog}", "task.terrain.kind=stair"), "task.terrain.kind"),
        (("robot={dog}", "task.robot.stifness.calf=3"), "task.robot.stifness.calf"),
        (("robot={dog}", "task.terrain.kind=moon"), "task.terrain.kind"),
        (("robot={dog}", "task.own_rewards={'no.py:term': 1}"), "task.own_rewards"),
    ],
)
def test_bad_input_is_refused_by_its_key(tmp_path, words, key) -> None:
    """On the command line, with exit code 2 and one line."""
    path = str(dog(tmp_path))
    given = [word.replace("{dog}", path) for word in words]
    error = error_of(["task=Walk", "headless=True", f"runs_dir={tmp_path}", *given])
    assert error.key == key


@pytest.mark.parametrize("make", [dog, biped], ids=["dog", "biped"])
def test_it_runs_on_the_fused_engine_as_on_mujoco(tmp_path, make) -> None:
    """A few steps at the default pose: the same observations to single precision."""
    path = make(tmp_path)
    envs = [make_env(f"robot={path}", *QUIET, engine=engine) for engine in ("mujoco", "fused")]
    for env in envs:
        pose = env.task._default.tolist()
        place(env, joint_pos=pose, root_pos_w=[0.0, 0.0, env.task.walker.start_height])
        for _ in range(5):
            env.step(torch.zeros(2, env.num_actions))
    first, second = (env.observations for env in envs)
    assert torch.isfinite(first).all()
    torch.testing.assert_close(first, second, atol=2e-3, rtol=2e-3)


def test_actions_move_driven_joints_only(tmp_path) -> None:
    """A passive antenna has no action and no column; it stays where it hangs."""
    path = dog(tmp_path)
    antenna = """<body name="antenna" pos="0 0 0.05"><joint name="antenna" axis="0 1 0"
      damping="0.01"/><geom type="box" size="0.01 0.01 0.06" mass="0.01"/></body>"""
    path.write_text(path.read_text().replace('<site name="imu"', f'{antenna}<site name="imu"'))
    env = make_env(f"robot={path}", *QUIET)
    assert (env.num_actions, len(env.sim.joint_names)) == (12, 13)
    assert env.num_observations == 12 + 3 * 12
    actions = torch.zeros(2, 12)
    actions[:, 2] = 1.0  # the first leg's calf
    targets = env.task.targets(actions)
    calf = env.sim.joint_names.index("FL_calf")
    scale = env.task.config.robot.action_scale["FL_calf"]
    moved = targets - env.task._default
    assert moved[:, calf].tolist() == pytest.approx([scale, scale])
    assert moved.abs().sum().item() == pytest.approx(2 * scale)


def test_an_episode_ends_when_the_robot_lies_or_tips_over(tmp_path) -> None:
    """Below 0.4 of its height, or tilted by more than 1 rad; not a little before."""
    env = make_env(f"robot={dog(tmp_path)}", *QUIET)
    height = env.task.walker.base_height

    def failed(share: float, tilt: float) -> bool:
        quat = [math.sin(tilt / 2), 0.0, 0.0, math.cos(tilt / 2)]
        place(env, root_pos_w=[0.0, 0.0, share * height], root_quat_w=quat)
        state = env.sim.state
        down = env.task._in_base(state)[2]
        return bool(env.task._failed(state, down)[0])

    assert not failed(0.45, 0.0)
    assert failed(0.35, 0.0)
    assert not failed(2.0, 0.95)
    assert failed(2.0, 1.05)


@pytest.mark.parametrize(("make", "uneven"), [(dog, "FL_"), (biped, "left")], ids=["dog", "biped"])
def test_physics_in_a_mirror_is_the_mirror_of_physics(tmp_path, make, uneven: str) -> None:
    """A robot and its image, put into mirrored states, stay images under mirrored actions.

    Also where the scales of actions differ between left and right.
    """
    word = f"task.robot.action_scale.{uneven}=0.37"
    env = make_env(f"robot={make(tmp_path)}", word, *QUIET)
    task, n = env.task, len(env.sim.joint_names)
    generator = torch.Generator().manual_seed(1)
    order, signs, of_actions = task._mirror
    joint_pos = task._default + 0.1 * torch.randn(n, generator=generator)
    joint_vel = torch.randn(n, generator=generator)
    velocity, turning = torch.randn(3, generator=generator), torch.randn(3, generator=generator)
    flip = torch.tensor([1.0, -1.0, 1.0])
    tilt = torch.tensor([0.1, 0.2, 0.0, 1.0])
    tilt = tilt / tilt.norm()
    image = tilt * torch.tensor([-1.0, 1.0, -1.0, 1.0])
    height = torch.tensor([0.0, 0.0, 0.9 * task.walker.base_height])
    env.sim.reset(
        torch.ones(2, dtype=torch.bool),
        ResetState(
            joint_pos=torch.stack((joint_pos, joint_pos[order] * signs)),
            joint_vel=torch.stack((joint_vel, joint_vel[order] * signs)),
            root_pos_w=height.repeat(2, 1),
            root_quat_w=torch.stack((tilt, image)),
            root_lin_vel_w=torch.stack((velocity, velocity * flip)),
            root_ang_vel_w=torch.stack((turning, -turning * flip)),
        ),
    )
    commands = torch.tensor([0.5, 0.3, -0.2, 0.0])
    mirrored = commands * torch.tensor([1.0, -1.0, -1.0, 1.0])
    task.buffers["commands"].copy_(torch.stack((commands, mirrored)))
    for _ in range(3):
        actions = torch.randn(1, n, generator=generator)
        actions = torch.cat((actions, actions[:, order] * of_actions))
        env.sim.set_targets(task.targets(actions))
        env.sim.step()
        env.sim.refresh()
        seen = task.observe(env.sim.state, actions)
        image_seen, image_actions = task.mirror(seen[:1], actions[:1])
        torch.testing.assert_close(image_actions, actions[1:])
        torch.testing.assert_close(image_seen, seen[1:], atol=2e-3, rtol=2e-3)


def test_soles_are_where_mujoco_has_them(tmp_path) -> None:
    """A foot's point at the site of its sphere, moving with a turning, falling dog."""
    feet = "{FL_calf: [0, 0, -0.25], RR_calf: [0, 0, -0.25]}"
    env = make_env(f"robot={dog(tmp_path)}", f"task.robot.feet={feet}", *QUIET)
    place(env, root_pos_w=[0.0, 0.0, 2.0], root_ang_vel_w=[1.0, 2.0, 3.0], joint_vel=[2.0] * 12)
    env.sim.refresh()
    state = env.sim.state
    moment = env.task._moment(state, torch.zeros(2, 12))
    pos_w, vel_w = moment.soles_w()
    mirror = env.sim.mirror()
    mirror.show(0)
    model, data = mirror.model, mirror.data
    data.qvel[:6] = [0, 0, 0, 1.0, 2.0, 3.0]  # in a level base's axes, which are the world's
    data.qvel[6:] = 2.0
    mujoco.mj_forward(model, data)
    for foot, name in enumerate(("FL_site", "RR_site")):
        site = model.site(name).id
        assert pos_w[0, foot].tolist() == pytest.approx(data.site_xpos[site], abs=1e-5)
        jacobian = np.zeros((3, model.nv))
        mujoco.mj_jacSite(model, data, jacobian, None, site)
        assert vel_w[0, foot].tolist() == pytest.approx(jacobian @ data.qvel, abs=1e-4)


TERMS = """import torch

def lazy(m):
    return m.lin_vel_b[:, 0].abs()

def tracking_lin_vel(m):
    return torch.full_like(m.base_height, 7.0)
"""
GROUND = """import numpy as np

def ramp(spacing, generator):
    x = spacing * np.arange(81)
    return np.repeat(0.1 * x[:, None], 61, axis=1)
"""


def test_terms_and_ground_of_a_users_files(tmp_path, monkeypatch) -> None:
    """Named relative to the current folder, found from any; a term's name takes its place."""
    (tmp_path / "mine.py").write_text(TERMS + GROUND)
    path = dog(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = (
        f"robot={path}",
        "task.own_rewards={mine.py:lazy: -2, mine.py:tracking_lin_vel: 3}",
        "task.terrain.kind=mine.py:ramp",
        *QUIET,
    )
    config = composed(*words).task
    assert list(config.own_rewards) == [
        f"{tmp_path}/mine.py:lazy",
        f"{tmp_path}/mine.py:tracking_lin_vel",
    ]
    assert config.terrain.kind == f"{tmp_path}/mine.py:ramp"
    env = make_env(*words, n=4)
    ground = env.task.ground
    points = torch.tensor([[0.0, 0.0], [2.0, 1.0], [-3.0, -2.0]])
    assert ground.below(points).tolist() == pytest.approx([0.4, 0.6, 0.1], abs=1e-5)
    heights = ground.below(env.sim.state.root_pos_w[:, :2])
    above = env.sim.state.root_pos_w[:, 2] - heights
    assert (above > 0.9 * env.task.walker.base_height).all()
    place(env, root_lin_vel_w=[0.5, 0.0, 0.0], root_pos_w=[0.0, 0.0, 2.0])
    terms = env.task._terms(env.task._moment(env.sim.state, torch.zeros(4, 12)))
    dt = env.step_dt
    assert terms["tracking_lin_vel"].tolist() == pytest.approx([21 * dt] * 4)
    assert terms["lazy"].tolist() == pytest.approx([-1.0 * dt] * 4, abs=1e-4)


def test_a_mesh_is_seen_from_above() -> None:
    """A pyramid 2 m wide and 1 m high under a roof's edge: the higher surface counts."""
    corners = [[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [0, 0, 1], [0, 0, 0.2]]
    faces = [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4], [0, 1, 5], [2, 3, 5]]
    heights = heights_of(np.array(corners, dtype=float), np.array(faces), 0.25)
    x = np.linspace(-1, 1, 9)
    wanted = 1 - np.maximum(abs(x)[:, None], abs(x)[None, :])
    np.testing.assert_allclose(heights, wanted, atol=1e-6)


def test_ground_from_a_file_and_what_is_none(tmp_path) -> None:
    """Heights are put with their middle at the origin and their lowest point at 0."""
    np.save(tmp_path / "hill.npy", np.array([[1.0, 2.0, 1.0], [1.0, 4.0, 1.0]]))
    field = own_ground(str(tmp_path / "hill.npy"), 4.0, 0)
    assert field.heights.tolist() == [[0.0, 1.0, 0.0], [0.0, 3.0, 0.0]]
    assert (field.corner, field.spacing) == ((-2.0, -4.0), 4.0)
    np.save(tmp_path / "small.npy", np.zeros((20, 20)))
    np.save(tmp_path / "flat.npy", np.zeros(5))
    (tmp_path / "words.npy").write_text("no heights")
    (tmp_path / "ground.py").write_text(
        "def hole(spacing, generator):\n    return [[1.0, float('nan')]]\n"
    )
    for word, kind in (
        ("flat.npy", UsageError),
        ("small.npy", UsageError),
        ("words.npy", Unreadable),
        ("ground.txt", Unreadable),
        ("ground.py:hole", UsageError),
        ("ground.py:hill", UsageError),
    ):
        with pytest.raises(kind) as refusal:
            own_ground(str(tmp_path / word), 0.1, 0)
        assert refusal.value.key == "task.terrain.kind"


@pytest.mark.parametrize("kind", ["stairs", "slopes"])
def test_a_map_of_one_kind_has_only_its_tiles(tmp_path, kind) -> None:
    """Stairs are steps with level treads; slopes have none of their size."""
    small = ("task.terrain.num_levels=3", "task.terrain.num_columns=2", "task.terrain.border=3")
    env = make_env(f"robot={dog(tmp_path)}", f"task.terrain.kind={kind}", *small, *QUIET, n=8)
    heights = env.task.ground.field.heights
    steps = abs(np.diff(heights, axis=0))
    largest = 0.05 + 0.18 * 2 / 3
    assert (steps.max() == pytest.approx(largest, abs=1e-5)) == (kind == "stairs")
    assert env.task.ground.level.max() > 0
