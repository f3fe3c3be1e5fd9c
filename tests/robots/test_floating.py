"""Robots from files for tasks: what is kept, what is taken out, what is refused."""

from __future__ import annotations

import pytest

from rlgpu.errors import MalformedModel
from rlgpu.robots.floating import read_floating
from tests.robots.files import KEYS, MOTORS, biped, dog


def test_the_robot_is_alone_and_whole(tmp_path) -> None:
    """Ground, light and ball go with their sensor; sites, drawn shapes and the gyro stay."""
    robot = read_floating(dog(tmp_path, keys=KEYS.replace('qpos="', 'qpos="2 0 0.1 1 0 0 0 ')))
    model = robot.spec.copy().compile()
    assert robot.base == "trunk"
    assert (model.nq, model.nu, model.nkey, model.nlight) == (19, 0, 0, 0)
    assert [model.sensor(i).name for i in range(model.nsensor)] == ["gyro"]
    assert model.site("imu").pos.tolist() == pytest.approx([0.1, 0.0, 0.0])
    # 6 kg of trunk and 0.5 + 0.8 + 0.2 + 0.05 of each leg
    assert model.body_subtreemass[0] == pytest.approx(12.2)
    assert any("ball" in note for note in robot.notes)
    assert [key.name for key in robot.keyframes] == ["down", "stand"]
    assert robot.keyframes[1].joint_pos["RR_calf"] == pytest.approx(-1.6)


@pytest.mark.parametrize(
    ("actuators", "joint", "effort"),
    [
        (MOTORS, "", 30.0),  # 20 of control times a gear of 1.5
        (MOTORS.replace('gear="1.5"', 'gear="1.5" forcerange="-10 10"'), "", 15.0),
        (MOTORS, 'actuatorfrcrange="-12 12"', 12.0),
        (MOTORS.replace('ctrlrange="-20 20"', 'ctrllimited="false"'), "", float("inf")),
    ],
    ids=["control", "force", "joint", "none"],
)
def test_an_effort_limit_is_the_least_that_the_file_says(
    tmp_path, actuators, joint, effort
) -> None:
    """Of control range and force range, both times gear, and the joint's own."""
    robot = read_floating(dog(tmp_path, actuators=actuators, joint=joint))
    assert {drive.effort for drive in robot.drives.values()} == {effort}


def test_a_urdf_floats_and_keeps_what_is_drawn(tmp_path) -> None:
    """Drawn shapes neither touch nor weigh; the floating joint frees the pelvis."""
    robot = read_floating(biped(tmp_path))
    model = robot.spec.copy().compile()
    assert (robot.base, model.nq) == ("pelvis", 7 + 8)
    assert model.body_subtreemass[0] == pytest.approx(10 + 2 * (1 + 3 + 2 + 0.6))
    drawn = model.geom_group == 2
    assert drawn.sum() == 8
    assert not model.geom_contype[drawn].any()
    assert not model.geom_conaffinity[drawn].any()
    assert model.geom_rgba[drawn].tolist() == [[1.0, 0.0, 0.0, 1.0]] * 8
    assert robot.drives["left_knee"].effort == 80.0


HELD = """<mujoco><worldbody><body name="arm"><joint name="turn"/><geom size="1"/></body>
</worldbody></mujoco>"""
BALLS = """<mujoco><worldbody><body name="a"><freejoint/><geom size="1"/><body><joint name="any"
type="ball"/><geom size="1"/></body></body></worldbody></mujoco>"""
NOTHING = (
    '<mujoco><worldbody><body name="rock"><freejoint/><geom size="1"/></body></worldbody></mujoco>'
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HELD, "held"),
        (BALLS, "ball_joints"),
        (NOTHING, "no_robot"),
        ("<mujoco><a/></mujoco>", "value"),
    ],
    ids=["held", "balls", "nothing", "malformed"],
)
def test_other_files_are_refused(tmp_path, text, fault) -> None:
    """With what is wrong."""
    path = tmp_path / "robot.xml"
    path.write_text(text)
    with pytest.raises(MalformedModel) as refusal:
        read_floating(path)
    assert refusal.value.fault == fault
    assert "robot.xml" in str(refusal.value)


def test_a_base_without_a_joint_is_freed(tmp_path) -> None:
    """As in files that are meant to be attached; the user is told."""
    path = dog(tmp_path)
    path.write_text(
        path.read_text().replace('name="trunk" pos="0 0 0.5"><freejoint/>', 'name="trunk">')
    )
    robot = read_floating(path)
    assert robot.spec.copy().compile().nq == 19
    assert any("trunk" in note for note in robot.notes)


def test_parts_without_names_get_some(tmp_path) -> None:
    """Bodies and joints, also where the file has keyframes."""
    path = dog(tmp_path, actuators="", keys=KEYS.replace('qpos="', 'qpos="2 0 0.1 1 0 0 0 '))
    text = path.read_text()
    for name in ("FL_calf", "RR_calf"):
        text = text.replace(f'<body name="{name}"', "<body").replace(
            f'<joint name="{name}"', "<joint"
        )
    text = text.replace('<body name="trunk"', "<body")
    path.write_text(text)
    robot = read_floating(path)
    names = [body.name for body in robot.spec.bodies[1:]]
    assert len(set(names)) == len(names) == 13
    assert all(names)
    assert robot.keyframes[1].joint_pos["FL_thigh"] == 0.8
    assert len(robot.keyframes[1].joint_pos) == 12


def test_nothing_holds_the_robot_to_the_world(tmp_path) -> None:
    """A weld that its author tests with is left out, gravity is normal; both are noted."""
    more = '<equality><weld name="stand" body1="trunk"/></equality><option gravity="0 0 0"/>'
    robot = read_floating(dog(tmp_path, more=more))
    model = robot.spec.copy().compile()
    assert model.neq == 0
    assert model.opt.gravity.tolist() == [0.0, 0.0, -9.81]
    assert any("stand" in note for note in robot.notes)
    assert any("gravity" in note for note in robot.notes)


def test_a_file_is_read_again_only_if_it_changed(tmp_path) -> None:
    """Meshes take long to read."""
    path = dog(tmp_path)
    first = read_floating(path)
    assert read_floating(path) is first
    path.write_text(path.read_text().replace('mass="6"', 'mass="7.5"'))
    assert read_floating(path).spec.copy().compile().body_subtreemass[0] == pytest.approx(13.7)
