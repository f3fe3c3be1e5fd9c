"""Mistakes in the description of a walking robot are refused in its own words."""

from __future__ import annotations

from typing import Any

import pytest

from rlgpu.config import compose
from rlgpu.envs import Columns, VecEnv, scene_of
from rlgpu.errors import UsageError
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS
from rlgpu.tasks.go2 import Go2
from rlgpu.tasks.legged_config import LeggedConfig
from tests.conftest import ROOT
from tests.refusals import error_of, names

POSE = Go2.default_joint_pos
SHUFFLED = dict(sorted(POSE.items(), key=lambda item: item[0][::-1]))
FEWER = {name: value for name, value in POSE.items() if name != "FL_hip_joint"}
NARROW = Columns(joint_pos=11, joint_vel=12, actions=12)


@pytest.mark.parametrize(
    ("changes", "key", "value", "allowed"),
    [
        ({"default_joint_pos": SHUFFLED}, "default_joint_pos", tuple(SHUFFLED), (tuple(POSE),)),
        ({"default_joint_pos": FEWER}, "default_joint_pos", tuple(FEWER), (tuple(POSE),)),
        (
            {"effort_limits": {"hip": 20.0, "calf": 30.0}},
            "effort_limits",
            "FL_thigh_joint",
            ("hip", "calf"),
        ),
        ({"num_observations": 50}, "num_observations", 50, (48,)),
        ({"num_actions": 13}, "num_actions", 13, (12,)),
        ({"columns": NARROW, "num_observations": 35}, "columns.joint_pos", 11, (12,)),
        ({"columns": {"joint_pos": 12}}, "columns", dict, (Columns,)),
        ({"columns": None}, "columns", type(None), (Columns,)),
    ],
    ids=["order", "fewer", "effort", "observations", "actions", "width", "mapping", "none"],
)
def test_a_mistake_names_what_is_right(
    changes: dict[str, Any], key: str, value: object, allowed: tuple[object, ...]
) -> None:
    """Not in the words of torch or of Python, nor by a line of ours."""
    config = compose(["task=Go2"], TASKS, ENGINES).config.task
    robot = type("MyRobot", (Go2,), changes)(config)
    with pytest.raises(UsageError) as caught:
        VecEnv(robot, make_simulator("mujoco", scene_of(robot), config.timing(), 2), seed=0)
    error = caught.value
    assert (error.key, error.value, error.allowed) == (key, value, allowed)
    assert names(error, *key.split("."))
    for found in (value, *allowed):
        if isinstance(found, int | str):
            assert names(error, found)
    assert "legged" not in str(error)


def test_a_missing_effort_limit_is_refused_on_the_command_line_too(tmp_path) -> None:
    """Where the scene is looked at to choose an engine; the message is the same."""
    (tmp_path / "dog.py").write_text(
        "from rlgpu.tasks.go2 import Go2\n\n\nclass Dog(Go2):\n    effort_limits = {'hip': 20.0}\n"
    )
    text = (ROOT / "cfg" / "task" / "Go2.yaml").read_text().replace("name: Go2", "name: Dog")
    (tmp_path / "Dog.yaml").write_text(text)
    (tmp_path / "DogPPO.yaml").write_text("max_iterations: 1\n")
    error = error_of([f"task={tmp_path / 'dog.py'}:Dog", "headless=True"])
    assert (error.key, error.value, error.allowed) == ("effort_limits", "FL_thigh_joint", ("hip",))
    assert names(error, "Dog", "effort_limits", "FL_thigh_joint")
    assert not names(error, "dog.py")  # by no line of the file


def test_settings_that_a_robot_leaves_out_are_legged_gyms() -> None:
    """The values of legged_robot_config.py: commands, noise, scales of observations, rewards."""
    config = LeggedConfig(name="Mine")
    commands, noise, terrain = config.commands, config.noise, config.terrain
    ranges = (commands.lin_vel_x, commands.lin_vel_y, commands.ang_vel_yaw, commands.heading)
    assert ranges == ([-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0], [-3.14, 3.14])
    assert (commands.follow_heading, commands.resampling_time) == (True, 10.0)
    assert (noise.lin_vel, noise.ang_vel, noise.gravity) == (0.1, 0.2, 0.05)
    assert (noise.joint_pos, noise.joint_vel, noise.heights) == (0.01, 1.5, 0.1)
    scales = (config.lin_vel_scale, config.ang_vel_scale, config.joint_vel_scale)
    assert scales == (2.0, 0.25, 0.05)
    rewards = (config.tracking_sigma, config.soft_joint_limit, config.max_contact_force)
    assert rewards == (0.25, 1.0, 100.0)
    assert (config.only_positive_rewards, config.pushes.max_speed) == (True, 1.0)
    assert config.pushes.interval == 0.0  # legged_gym's is 15 s; here a task's file says so
    assert (terrain.num_levels, terrain.num_columns, terrain.tile_size) == (10, 20, 8.0)
    assert (terrain.curriculum, terrain.max_start_level) == (True, 5)
    assert list(vars(terrain.proportions).values()) == [0.1, 0.1, 0.35, 0.25, 0.2, 0.0]


def test_an_empty_part_counts_for_all_joints() -> None:
    """As Anymal has it."""
    changes = {"effort_limits": {"": 7.0}}
    config = compose(["task=Go2"], TASKS, ENGINES).config.task
    drives = type("MyRobot", (Go2,), changes)(config).scene().drives
    assert {drive.effort_limit for drive in drives.values()} == {7.0}
