"""What is said, once at the start, of scenes and poses that nobody means."""

from __future__ import annotations

import pytest
import torch

import rlgpu
from rlgpu.sim import ResetState
from rlgpu.tools.new_task import task_files
from tests.envs.standing import PLANE, Standing, Start, robot
from tests.refusals import names


def test_a_robot_that_stands_on_its_feet_is_not_commented_on(begin) -> None:
    """One centimetre above the ground, upright, with gains."""
    assert begin(robot()) == []


def test_a_scene_without_ground_is_a_warning(begin) -> None:
    """Nothing at all, or a plane that collides with nothing."""
    off = '<geom type="plane" size="5 5 1" contype="0" conaffinity="0"/>'
    for ground in ("", off):
        (warning,) = begin(robot(ground=ground))
        assert warning.key == "ground"
        assert names(warning, "robot.xml", "contype", "conaffinity")


def test_without_gravity_no_ground_is_needed(begin) -> None:
    """In orbit."""
    xml = robot(ground="").replace("<worldbody>", '<option gravity="0 0 0"/><worldbody>')
    assert begin(xml) == []


def test_a_fixed_root_refuses_a_pose_that_would_be_dropped(begin, refused) -> None:
    """It says which body lacks the free joint; without a pose, a fixed base is as meant."""
    error = refused(robot(free=""))
    assert (error.key, error.value, error.allowed) == ("scene.root", "base", ())
    assert error.path.name == "robot.xml"
    assert names(error, "root_pos_w", "base", "freejoint", "robot.xml")
    assert begin(robot(free=""), Start(height=None)) == []


def test_a_fixed_root_with_the_pose_that_it_has_is_a_warning(begin) -> None:
    """The file's own pose hides a missing free joint; a negative quaternion is the same."""
    for quat in ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, -1.0)):
        (warning,) = begin(robot(free=""), Start(height=1.0, quat=quat))
        assert (warning.key, warning.value) == ("scene.root", "base")
        assert names(warning, "root_pos_w", "base", "freejoint")
    assert begin(robot(), Start(height=1.0)) == []


def test_a_free_body_beside_the_root_is_named(refused) -> None:
    """The first body of the file is a table; the robot is the second."""
    table = '<body name="table" pos="3 0 0"><geom size=".1" contype="0" conaffinity="0"/></body>'
    error = refused(robot(ground=PLANE + table))
    assert (error.key, error.value, error.allowed) == ("scene.root", "table", ("base",))
    assert names(error, "table", "root='base'")


def test_a_root_on_a_table_has_its_pose_in_the_world(begin, refused) -> None:
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
    assert (warning.key, warning.value) == ("scene.root", "base")
    error = refused(on_table, Start(height=1.0, root="base"))
    assert (error.key, error.value) == ("scene.root", "base")
    assert names(error, "root_pos_w")


def test_what_lies_in_the_ground_beside_an_untouchable_robot_is_left_alone(begin) -> None:
    """A robot without geoms that collide has no size to measure overlaps by."""
    cube = '<body name="cube" pos="3 0 .0999"><freejoint/><geom type="box" size=".1 .1 .1"/></body>'
    xml = robot(free="", ground=PLANE).replace("<geom type=", '<geom contype="0" type=')
    xml = xml.replace("</worldbody>", f"{cube}</worldbody>")
    assert begin(xml, Start(height=None)) == []


def test_a_quaternion_of_another_length_is_refused(refused) -> None:
    """Of length 2, and of length 0."""
    for w in (2.0, 0.0):
        error = refused(robot(), Start(quat=(0.0, 0.0, 0.0, w)))
        assert (error.key, error.value) == ("reset_state.root_quat_w", w)
        assert error.allowed == (1.0,)


def test_the_quaternion_that_is_farthest_from_length_1_is_named(refused) -> None:
    """Not the longest, where another is too short."""

    class Uneven(Standing):
        def reset_state(self, generator: torch.Generator) -> ResetState:
            states = super().reset_state(generator)
            assert states.root_quat_w is not None
            states.root_quat_w[1] *= 0.5
            return states

    error = refused(robot(), task=Uneven)
    assert (error.key, error.value) == ("reset_state.root_quat_w", 0.5)


def test_a_quaternion_that_begins_with_w_is_a_warning(begin) -> None:
    """Upright by (w, x, y, z) is upside down by (x, y, z, w); high above the ground."""
    (warning,) = begin(robot(), Start(height=2.0, quat=(1.0, 0.0, 0.0, 0.0)))
    assert (warning.key, warning.value) == ("reset_state.root_quat_w", (1.0, 0.0, 0.0, 0.0))
    assert warning.allowed == ((0.0, 0.0, 0.0, 1.0),)


def test_other_orientations_are_not_taken_for_w_first(begin) -> None:
    """Turned by 90 degrees about z or y, and by 180 about y."""
    half = 0.5**0.5
    for quat in ((0.0, 0.0, half, half), (0.0, half, 0.0, half), (0.0, 1.0, 0.0, 0.0)):
        assert begin(robot(), Start(height=2.0, quat=quat)) == []


LEG_IN_THE_GROUND = ("overlap.left.ground", "overlap.right.ground")


def test_legs_deep_in_the_ground_are_refused_with_the_depth(refused) -> None:
    """Feet 0.42 m below a root at 0.07 m are 0.35 m deep."""
    error = refused(robot(), Start(height=0.07))
    assert error.key in LEG_IN_THE_GROUND
    assert error.value == pytest.approx(0.35, abs=1e-3)
    assert error.value not in error.allowed[0]


def test_feet_a_little_in_the_ground_are_a_warning(begin) -> None:
    """By 1 cm of a robot of half a metre."""
    (warning,) = begin(robot(), Start(height=0.41))
    assert warning.key in LEG_IN_THE_GROUND
    assert warning.value == pytest.approx(0.01, abs=1e-3)


def test_overlaps_with_the_ground_are_shares_of_the_robots_size(begin, refused) -> None:
    """Of 0.675 m, from the feet to the top of the sphere around the box of 0.255 m.

    5 % are 3.4 cm, beyond which a start is refused; below 1 %, 0.7 cm, nothing is said.
    """
    for depth in (0.031, 0.009):
        (warning,) = begin(robot(), Start(height=0.42 - depth))
        assert (warning.key in LEG_IN_THE_GROUND, warning.value) == (
            True,
            pytest.approx(depth, abs=1e-4),
        )
    assert begin(robot(), Start(height=0.42 - 0.005)) == []
    error = refused(robot(), Start(height=0.42 - 0.037))
    assert (error.key in LEG_IN_THE_GROUND, error.value) == (True, pytest.approx(0.037, abs=1e-4))


def test_bodies_that_start_within_each_other_are_a_warning(begin) -> None:
    """Two spheres of 0.2 m, 0.1 m apart: 0.3 m deep."""
    balls = "".join(
        f'<body name="{name}" pos="{x} 0 2"><freejoint/><geom size=".2"/></body>'
        for name, x in (("red", 3.0), ("blue", 3.1))
    )
    (warning,) = begin(robot().replace("</worldbody>", f"{balls}</worldbody>"))
    assert warning.key in ("overlap.red.blue", "overlap.blue.red")
    assert warning.value == pytest.approx(0.3)
    assert names(warning, "red", "blue")


def test_the_python_api_warns_as_well(tmp_path) -> None:
    """By Python's own warnings, for environments that are not trained by a command."""
    asset = tmp_path / "hopper.xml"
    for name, text in task_files("Hopper").items():
        (tmp_path / name).write_text(text)
    robot = '<freejoint/><geom size=".1"/><body><joint name="lift"/><geom size=".1"/></body>'
    asset.write_text(f'<mujoco><worldbody><body name="mass">{robot}</body></worldbody></mujoco>')
    with pytest.warns(UserWarning) as caught:
        rlgpu.make_env(f"{tmp_path / 'hopper.py'}:Hopper", 2).sim.close()
    assert "ground" in [getattr(x.message.args[0], "key", "") for x in caught]


def test_a_file_without_contacts_is_a_warning(begin) -> None:
    """The ground is there, but holds nothing."""
    flag = '<option><flag contact="disable"/></option><worldbody>'
    (warning,) = begin(robot().replace("<worldbody>", flag))
    assert warning.key == "ground"
