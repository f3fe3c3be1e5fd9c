"""What is said, once at the start, of joints, their limits and drives that nobody means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rlgpu.config import Range
from rlgpu.errors import UnknownName
from rlgpu.sim import Drive
from tests.envs.standing import LEGS, Start, robot
from tests.refusals import names


def test_drives_in_another_order_than_the_joints_are_a_note_with_that_order(standing) -> None:
    """The asset has the left leg first; a drive less changes nothing."""
    drive = Drive("position", stiffness=20.0, damping=1.0)
    swapped = standing(robot(), Start(drives={"right": drive, "left": drive}))
    assert swapped.warnings == []
    (note,) = swapped.notes
    assert (note.key, note.value) == ("scene.drives", ("right", "left"))
    assert note.allowed == (("left", "right"),)
    assert standing(robot(), Start()).notes == []
    assert standing(robot(), Start(drives={"right": drive})).notes == []


def test_a_start_in_degrees_is_refused_with_the_joint_and_its_limits(begin, refused) -> None:
    """45 for 45 degrees; without limits, a warning."""
    error = refused(robot(), Start(joint_pos=(45.0, -45.0)))
    assert (error.key, error.value) == ("reset_state.joint_pos.left", 45.0)
    assert error.allowed == (Range(-1.0, 1.0),)
    assert names(error, "left", "right", 45, "radians")
    xml = robot().replace('range="-1 1"', "")
    warnings = begin(xml, Start(height=1.0, joint_pos=(45.0, -45.0)))
    assert ("reset_state.joint_pos.left", 45.0) in [(x.key, x.value) for x in warnings]


def test_a_start_a_little_beyond_a_limit_is_a_warning(begin) -> None:
    """By 0.05 rad of a range of 2 rad."""
    (warning,) = begin(robot(), Start(joint_pos=(1.05, 0.0)))
    assert (warning.key, warning.value) == ("reset_state.joint_pos.left", pytest.approx(1.05))
    assert warning.allowed == (Range(-1.0, 1.0),)


def test_a_start_beyond_a_limit_by_a_twentieth_of_the_range_is_refused(begin, refused) -> None:
    """Of 2 rad: by more than 0.1 rad, in every environment."""
    (warning,) = begin(robot(), Start(joint_pos=(0.0, -1.1)))
    assert (warning.key, warning.value) == ("reset_state.joint_pos.right", pytest.approx(-1.1))
    error = refused(robot(), Start(joint_pos=(0.0, -1.12)))
    assert (error.key, error.value) == ("reset_state.joint_pos.right", pytest.approx(-1.12))
    assert error.allowed == (Range(-1.0, 1.0),)


def test_a_target_for_no_action_beyond_the_limits_is_a_warning(begin) -> None:
    """A default position of 2 rad, of joints that reach 1 rad."""
    (warning,) = begin(robot(), Start(default=2.0))
    assert (warning.key, warning.value) == ("targets.left", 2.0)
    assert names(warning, "left", "right")


@pytest.mark.parametrize(
    ("drive", "gain"),
    [
        (Drive("position", damping=1.0), "stiffness"),
        (Drive("effort", effort_limit=0), "effort_limit"),
    ],
)
def test_drives_that_can_do_nothing_are_refused(refused, drive, gain) -> None:
    """No stiffness at all, or no torque."""
    error = refused(robot(), Start(drives=dict.fromkeys(LEGS, drive)))
    assert (error.key, error.value) == (f"drives.left.{gain}", 0.0)
    assert names(error, "left", "right", gain)


def test_one_drive_without_stiffness_is_a_warning(begin) -> None:
    """It may be a damper."""
    one = {"left": Drive("position", damping=1.0), "right": Drive("position", stiffness=20.0)}
    (warning,) = begin(robot(), Start(drives=one))
    assert (warning.key, warning.value) == ("drives.left.stiffness", 0.0)
    assert not names(warning, "right")


@pytest.mark.parametrize("name", ["stiffness", "damping", "effort_limit"])
def test_a_negative_gain_is_refused(refused, name) -> None:
    """It would push away from the target, however small it is."""
    drive = replace(Drive("position", stiffness=20.0), **{name: -0.01})
    error = refused(robot(), Start(drives={"left": drive}))
    assert (error.key, error.value) == (f"drives.left.{name}", -0.01)
    assert error.allowed == (Range(0.0),)
    assert names(error, "left", name)


@pytest.mark.parametrize(
    ("mode", "gain", "value"),
    [
        ("position", "stiffness", float("nan")),
        ("position", "damping", float("inf")),
        ("effort", "effort_limit", None),
    ],
)
def test_a_gain_that_is_no_number_is_refused(mode, gain, value) -> None:
    """The drive would be unlimited, or push by NaN."""
    with pytest.raises(ValueError) as refusal:
        Drive(mode, **{gain: value})
    assert names(refusal.value, f"{gain}={value}")


def test_a_drive_of_another_kind_is_refused() -> None:
    """It would be a position drive without stiffness."""
    with pytest.raises(UnknownName) as refusal:
        Drive("velocity", damping=5.0)
    found = refusal.value
    assert (found.kind, found.name, found.known) == ("mode", "velocity", ("effort", "position"))


def test_a_file_that_switches_actuators_off_is_refused(refused) -> None:
    """No drive of the scene would do anything."""
    flag = '<option><flag actuation="disable"/></option><worldbody>'
    error = refused(robot().replace("<worldbody>", flag))
    assert (error.key, error.value, error.allowed) == ("flag.actuation", "disable", ("enable",))
    assert names(error, "robot.xml", 'actuation="disable"')


@pytest.mark.parametrize("limits", ["1 -1", "0.5 0.5"])
def test_limits_that_leave_no_room_are_a_warning(begin, limits) -> None:
    """MuJoCo compiles them to none at all; both legs are named."""
    warnings = begin(robot(limits=limits))
    low, high = map(float, limits.split())
    assert [(x.key, x.value) for x in warnings] == [(f"{leg}.range", (low, high)) for leg in LEGS]
    assert names(warnings[1], "right", "robot.xml")
