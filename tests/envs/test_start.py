"""What is said, once at the start, of scenes and poses that nobody means."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import rlgpu
from rlgpu.envs import Outcome, Task, TaskConfig, VecEnv, scene_of
from rlgpu.errors import UsageError
from rlgpu.sim import Drive, ResetState, SceneSpec, make_simulator
from rlgpu.tools.new_task import task_files

LEGS = ("left", "right")
PLANE = '<geom name="floor" type="plane" size="5 5 1"/>'
FREE = '<freejoint name="root"/>'


def robot(*, ground: str = PLANE, free: str = FREE, limits: str = "-1 1") -> str:
    """Returns a box on two legs of 0.4 m, whose feet are 0.42 m below its root."""
    legs = "".join(
        f"""<body name="{name}" pos="0 {y} 0"><joint name="{name}" axis="0 1 0" range="{limits}"/>
        <geom type="capsule" fromto="0 0 -.1 0 0 -.4" size=".02"/></body>"""
        for name, y in zip(LEGS, (0.1, -0.1), strict=True)
    )
    return f"""<mujoco><compiler angle="radian"/><worldbody>{ground}
      <body name="base" pos="0 0 1">{free}
      <geom type="box" size=".2 .15 .05" mass="5"/>{legs}</body></worldbody></mujoco>"""


@dataclass(frozen=True)
class Start:
    """How a task of the test starts."""

    height: float | None = 0.43
    quat: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)
    joint_pos: tuple[float, ...] = (0.0, 0.0)
    drives: dict[str, Drive] = field(
        default_factory=lambda: dict.fromkeys(LEGS, Drive("position", stiffness=20.0, damping=1.0))
    )
    default: float = 0.0
    root: str = ""


class Standing(Task):
    """A robot that stands."""

    Config = TaskConfig
    num_observations = 2
    num_actions = 2

    def __init__(self, asset: Path, start: Start) -> None:
        super().__init__(TaskConfig(name="Standing"))
        self.asset, self.start = asset, start

    def scene(self) -> SceneSpec:
        """Returns the robot."""
        return SceneSpec(asset=self.asset, drives=self.start.drives, root=self.start.root)

    def targets(self, actions: torch.Tensor) -> torch.Tensor:
        """Returns targets around the default position."""
        return self.start.default + actions

    def observe(self, state: Any, actions: torch.Tensor) -> torch.Tensor:
        """Returns the joint positions."""
        return state.joint_pos.clone()

    def evaluate(self, state: Any, actions: torch.Tensor, observations: torch.Tensor) -> Outcome:
        """Returns rewards of zero."""
        none = torch.zeros(self.num_envs)
        return Outcome(none, none > 0)

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns the start."""
        joints = torch.tensor(self.start.joint_pos).repeat(self.num_envs, 1)
        pose = {}
        if self.start.height is not None:
            pose["root_pos_w"] = torch.tensor([0.0, 0.0, self.start.height]).repeat(
                self.num_envs, 1
            )
            pose["root_quat_w"] = torch.tensor(self.start.quat).repeat(self.num_envs, 1)
        return ResetState(joints, torch.zeros_like(joints), **pose)


@pytest.fixture
def standing(tmp_path):
    """Starts two environments, which are closed, and returns them."""

    def run(xml: str, start: Start | None = None, task: type[Standing] = Standing) -> VecEnv:
        asset = tmp_path / "robot.xml"
        asset.write_text(xml)
        made = task(asset, start or Start())
        sim = make_simulator("mujoco", scene_of(made), made.config.timing(), 2)
        try:
            return VecEnv(made, sim, seed=0)
        finally:
            sim.close()

    return run


@pytest.fixture
def begin(standing):
    """Starts two environments and returns the warnings."""
    return lambda xml, start=None, task=Standing: list(standing(xml, start, task).warnings)


def test_a_robot_that_stands_on_its_feet_is_not_commented_on(begin) -> None:
    """One centimetre above the ground, upright, with gains."""
    assert begin(robot()) == []


def test_drives_in_another_order_than_the_joints_are_a_note_with_that_order(standing) -> None:
    """The asset has the left leg first; a drive less changes nothing."""
    drive = Drive("position", stiffness=20.0, damping=1.0)
    swapped = standing(robot(), Start(drives={"right": drive, "left": drive}))
    assert swapped.warnings == []
    (note,) = swapped.notes
    assert "left, right" in note
    assert standing(robot(), Start()).notes == []
    assert standing(robot(), Start(drives={"right": drive})).notes == []


def test_a_scene_without_ground_is_a_warning(begin) -> None:
    """Nothing at all, or a plane that collides with nothing."""
    off = '<geom type="plane" size="5 5 1" contype="0" conaffinity="0"/>'
    for ground in ("", off):
        (warning,) = begin(robot(ground=ground))
        assert "no ground" in warning


def test_without_gravity_no_ground_is_needed(begin) -> None:
    """In orbit."""
    xml = robot(ground="").replace("<worldbody>", '<option gravity="0 0 0"/><worldbody>')
    assert begin(xml) == []


def test_a_fixed_root_refuses_a_pose_that_would_be_dropped(begin) -> None:
    """It says which body lacks the free joint; without a pose, a fixed base is as meant."""
    with pytest.raises(UsageError, match=r"root_pos_w.*'base' has no free joint.*<freejoint/>"):
        begin(robot(free=""))
    assert begin(robot(free=""), Start(height=None)) == []


def test_a_fixed_root_with_the_pose_that_it_has_is_a_warning(begin) -> None:
    """The file's own pose hides a missing free joint; a negative quaternion is the same."""
    for quat in ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, -1.0)):
        (warning,) = begin(robot(free=""), Start(height=1.0, quat=quat))
        for part in ("root_pos_w", "'base' has no free joint", "<freejoint/>"):
            assert part in warning
    assert begin(robot(), Start(height=1.0)) == []


def test_a_free_body_beside_the_root_is_named(begin) -> None:
    """The first body of the file is a table; the robot is the second."""
    table = '<body name="table" pos="3 0 0"><geom size=".1" contype="0" conaffinity="0"/></body>'
    with pytest.raises(UsageError, match=r"'table' has no free joint.*root='base'"):
        begin(robot(ground=PLANE + table))


def test_a_root_on_a_table_has_its_pose_in_the_world(begin) -> None:
    """1 m above a table that stands at 0.5 m: 1.5 m, not the 1 m of its own frame."""
    on_table = (
        robot(free="")
        .replace(
            '<body name="base"',
            '<body name="table" pos="0 0 .5"><geom '
            'size=".01" contype="0" conaffinity="0"/><body name="base"',
        )
        .replace("</body></worldbody>", "</body></body></worldbody>")
    )
    (warning,) = begin(on_table, Start(height=1.5, root="base"))
    assert "never moves" in warning
    with pytest.raises(UsageError, match="root_pos_w"):
        begin(on_table, Start(height=1.0, root="base"))


def test_what_lies_in_the_ground_beside_an_untouchable_robot_is_left_alone(begin) -> None:
    """A robot without geoms that collide has no size to measure overlaps by."""
    cube = '<body name="cube" pos="3 0 .0999"><freejoint/><geom type="box" size=".1 .1 .1"/></body>'
    xml = robot(free="", ground=PLANE).replace("<geom type=", '<geom contype="0" type=')
    xml = xml.replace("</worldbody>", f"{cube}</worldbody>")
    assert begin(xml, Start(height=None)) == []


def test_a_quaternion_of_another_length_is_refused(begin) -> None:
    """Of length 2, and of length 0."""
    for quat, length in (((0.0, 0.0, 0.0, 2.0), "2"), ((0.0, 0.0, 0.0, 0.0), "0")):
        with pytest.raises(UsageError, match=rf"root_quat_w.*length {length}"):
            begin(robot(), Start(quat=quat))


def test_the_quaternion_that_is_farthest_from_length_1_is_named(begin) -> None:
    """Not the longest, where another is too short."""

    class Uneven(Standing):
        def reset_state(self, generator: torch.Generator) -> ResetState:
            states = super().reset_state(generator)
            assert states.root_quat_w is not None
            states.root_quat_w[1] *= 0.5
            return states

    with pytest.raises(UsageError, match=r"root_quat_w.*length 0\.5"):
        begin(robot(), task=Uneven)


def test_a_quaternion_that_begins_with_w_is_a_warning(begin) -> None:
    """Upright by (w, x, y, z) is upside down by (x, y, z, w); high above the ground."""
    (warning,) = begin(robot(), Start(height=2.0, quat=(1.0, 0.0, 0.0, 0.0)))
    assert "(x, y, z, w)" in warning


def test_other_orientations_are_not_taken_for_w_first(begin) -> None:
    """Turned by 90 degrees about z or y, and by 180 about y."""
    half = 0.5**0.5
    for quat in ((0.0, 0.0, half, half), (0.0, half, 0.0, half), (0.0, 1.0, 0.0, 0.0)):
        assert begin(robot(), Start(height=2.0, quat=quat)) == []


def test_legs_deep_in_the_ground_are_refused_with_the_depth(begin) -> None:
    """Feet 0.42 m below a root at 0.07 m are 0.35 m deep."""
    with pytest.raises(UsageError, match=r"starts 0.35 m deep in the ground"):
        begin(robot(), Start(height=0.07))


def test_feet_a_little_in_the_ground_are_a_warning(begin) -> None:
    """By 1 cm of a robot of half a metre."""
    (warning,) = begin(robot(), Start(height=0.41))
    assert "0.01 m deep in the ground" in warning


def test_overlaps_with_the_ground_are_shares_of_the_robots_size(begin) -> None:
    """Of 0.675 m, from the feet to the top of the sphere around the box of 0.255 m.

    5 % are 3.4 cm, beyond which a start is refused; below 1 %, 0.7 cm, nothing is said.
    """
    for depth in (0.031, 0.009):
        (warning,) = begin(robot(), Start(height=0.42 - depth))
        assert "deep in the ground" in warning
    assert begin(robot(), Start(height=0.42 - 0.005)) == []
    with pytest.raises(UsageError, match="deep in the ground"):
        begin(robot(), Start(height=0.42 - 0.037))


def test_a_start_in_degrees_is_refused_with_the_joint_and_its_limits(begin) -> None:
    """45 for 45 degrees; without limits, a warning."""
    with pytest.raises(UsageError, match=r"left at 45, limits -1 to 1; .* radians, not degrees"):
        begin(robot(), Start(joint_pos=(45.0, -45.0)))
    xml = robot().replace('range="-1 1"', "")
    warnings = begin(xml, Start(height=1.0, joint_pos=(45.0, -45.0)))
    assert any("radians, not degrees" in warning for warning in warnings)


def test_a_start_a_little_beyond_a_limit_is_a_warning(begin) -> None:
    """By 0.05 rad of a range of 2 rad."""
    (warning,) = begin(robot(), Start(joint_pos=(1.05, 0.0)))
    assert "left at 1.05, limits -1 to 1" in warning


def test_a_start_beyond_a_limit_by_a_twentieth_of_the_range_is_refused(begin) -> None:
    """Of 2 rad: by more than 0.1 rad, in every environment."""
    (warning,) = begin(robot(), Start(joint_pos=(0.0, -1.1)))
    assert "right at -1.1, limits -1 to 1" in warning
    with pytest.raises(UsageError, match=r"right at -1.12, limits -1 to 1"):
        begin(robot(), Start(joint_pos=(0.0, -1.12)))


def test_a_target_for_no_action_beyond_the_limits_is_a_warning(begin) -> None:
    """A default position of 2 rad, of joints that reach 1 rad."""
    (warning,) = begin(robot(), Start(default=2.0))
    assert "an action of 0 drives left, right beyond their limits" in warning


@pytest.mark.parametrize("drive", [Drive("position", damping=1.0), Drive("effort", effort_limit=0)])
def test_drives_that_can_do_nothing_are_refused(begin, drive) -> None:
    """No stiffness at all, or no torque."""
    with pytest.raises(UsageError, match=r"the drives of left, right have .* 0"):
        begin(robot(), Start(drives=dict.fromkeys(LEGS, drive)))


def test_one_drive_without_stiffness_is_a_warning(begin) -> None:
    """It may be a damper."""
    one = {"left": Drive("position", damping=1.0), "right": Drive("position", stiffness=20.0)}
    (warning,) = begin(robot(), Start(drives=one))
    assert "the drives of left have stiffness 0" in warning


@pytest.mark.parametrize("name", ["stiffness", "damping", "effort_limit"])
def test_a_negative_gain_is_refused(begin, name) -> None:
    """It would push away from the target, however small it is."""
    drive = replace(Drive("position", stiffness=20.0), **{name: -0.01})
    with pytest.raises(UsageError, match=rf"left.* negative {name}"):
        begin(robot(), Start(drives={"left": drive}))


def test_bodies_that_start_within_each_other_are_a_warning(begin) -> None:
    """Two spheres of 0.2 m, 0.1 m apart: 0.3 m deep."""
    balls = "".join(
        f'<body name="{name}" pos="{x} 0 2"><freejoint/><geom size=".2"/></body>'
        for name, x in (("red", 3.0), ("blue", 3.1))
    )
    (warning,) = begin(robot().replace("</worldbody>", f"{balls}</worldbody>"))
    assert "0.3 m deep" in warning
    assert "'red'" in warning


def test_the_python_api_warns_as_well(tmp_path) -> None:
    """By Python's own warnings, for environments that are not trained by a command."""
    asset = tmp_path / "hopper.xml"
    for name, text in task_files("Hopper").items():
        (tmp_path / name).write_text(text)
    robot = '<freejoint/><geom size=".1"/><body><joint name="lift"/><geom size=".1"/></body>'
    asset.write_text(f'<mujoco><worldbody><body name="mass">{robot}</body></worldbody></mujoco>')
    with pytest.warns(UserWarning, match="no ground in hopper.xml"):
        rlgpu.make_env(f"{tmp_path / 'hopper.py'}:Hopper", 2).sim.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "velocity", "damping": 5.0}, "mode='velocity': it is 'effort' or 'position'"),
        ({"mode": "position", "stiffness": float("nan")}, "stiffness=nan: it is a number"),
        ({"mode": "position", "damping": float("inf")}, "damping=inf: it is a number"),
        ({"mode": "effort", "effort_limit": None}, "effort_limit=None: it is a number"),
    ],
)
def test_a_drive_of_another_kind_is_refused(settings, said) -> None:
    """It would be a position drive without stiffness, or one that is unlimited."""
    with pytest.raises(ValueError, match=said):
        Drive(**settings)


def test_a_file_without_contacts_is_a_warning(begin) -> None:
    """The ground is there, but holds nothing."""
    flag = '<option><flag contact="disable"/></option><worldbody>'
    (warning,) = begin(robot().replace("<worldbody>", flag))
    assert "falls forever" in warning


def test_a_file_that_switches_actuators_off_is_refused(begin) -> None:
    """No drive of the scene would do anything."""
    flag = '<option><flag actuation="disable"/></option><worldbody>'
    with pytest.raises(UsageError, match='remove actuation="disable"'):
        begin(robot().replace("<worldbody>", flag))


@pytest.mark.parametrize("limits", ["1 -1", "0.5 0.5"])
def test_limits_that_leave_no_room_are_a_warning(begin, limits) -> None:
    """MuJoCo compiles them to none at all; both legs are named."""
    warnings = begin(robot(limits=limits))
    low, high = limits.split()
    assert len(warnings) == 2
    assert f"joint 'right' in robot.xml has the limits {low} to {high}" in warnings[1]
