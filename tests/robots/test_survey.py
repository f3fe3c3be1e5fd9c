"""What is found in a robot's file: pose, feet, gains, symmetry; and what a user gives instead."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import mujoco
import pytest

from rlgpu.config import by_joint
from rlgpu.errors import Unreadable, UsageError
from rlgpu.robots.floating import read_floating
from rlgpu.robots.survey import RobotAsset, RobotSettings, complete
from rlgpu.robots.survey.faults import faults_of
from rlgpu.robots.survey.stance import Stance
from rlgpu.tasks.g1 import G1
from rlgpu.tasks.go2 import Go2
from tests.robots.files import KEYS, MOTORS, STAND, biped, dog

ASSETS = Path(__file__).parents[2] / "tasks" / "assets"
BALL = 'qpos="2 0 0.1 1 0 0 0 '
POSE = dict(zip(("hip", "thigh", "calf"), map(float, STAND.split()[:3]), strict=True))


def surveyed(path: Path, **given) -> RobotSettings:
    return complete(RobotSettings(file=str(path), **given))


def test_a_keyframe_that_stands_is_the_default_pose(tmp_path) -> None:
    """Not the first one, in which the dog lies; feet are the ends of its legs."""
    robot = surveyed(dog(tmp_path, keys=KEYS.replace('qpos="', BALL)))
    assert robot.default_joint_pos == {
        f"{leg}_{joint}": POSE[joint]
        for leg in ("FL", "FR", "RL", "RR")
        for joint in ("hip", "thigh", "calf")
    }
    # Thigh and shank of 0.25 m at 0.8 rad to the vertical, and a sphere of 2 cm
    height = 0.5 * math.cos(0.8) + 0.02
    assert robot.base_height == pytest.approx(height, abs=1e-3)
    assert list(robot.feet) == ["FL_calf", "FR_calf", "RL_calf", "RR_calf"]
    # The lowest point of the sphere at the end of a shank that leans by 0.8 rad
    at = [0.02 * math.sin(-0.8), 0.0, -0.25 - 0.02 * math.cos(0.8)]
    assert robot.feet["FL_calf"] == pytest.approx(at, abs=2e-3)
    assert robot.failing_bodies == ["trunk"]
    assert "stand" in robot.sources["default_joint_pos"]


@pytest.mark.parametrize("make", [dog, biped], ids=["dog", "biped"])
def test_without_a_keyframe_a_pose_is_looked_for(tmp_path, make) -> None:
    """Legs are bent, feet are under the body, and MuJoCo C keeps it up with these drives."""
    robot = surveyed(make(tmp_path))
    stance = Stance(read_floating(Path(robot.file)).spec, robot.base)
    height = stance.put(robot.default_joint_pos)
    assert height == pytest.approx(robot.base_height, abs=1e-3)
    bent = [abs(v) for n, v in robot.default_joint_pos.items() if n.endswith(("calf", "knee"))]
    assert min(bent) > 0.2
    centre = stance.data.subtree_com[stance.base_id]
    feet = stance.feet()
    assert [foot.body for foot in feet] == list(robot.feet)
    middle = sum(stance.place(foot)[0] for foot in feet) / len(feet)
    assert abs(middle - centre[0]) < 0.05
    for joint, image in robot.mirror.items():
        sign = -1 if image[0] == "-" else 1
        other = robot.default_joint_pos[image.lstrip("-")]
        assert robot.default_joint_pos[joint] == pytest.approx(sign * other, abs=2e-3)


@pytest.mark.parametrize("task", [Go2, G1])
def test_our_own_robots_are_found_as_we_describe_them(task) -> None:
    """Feet and the bodies that must not touch the ground, of files that name neither."""
    robot = surveyed(ASSETS / task.asset)
    assert robot.joints == list(task.default_joint_pos)
    assert set(robot.failing_bodies) >= set(task.failing_bodies)
    feet = [name.replace("_foot", "_calf") if task is Go2 else name for name in task.feet]
    found = [name.replace("_foot", "_calf") for name in robot.feet]
    assert found == feet


def test_mirror_images_are_those_of_the_axes(tmp_path) -> None:
    """Hips turn the other way, thighs and calves the same way."""
    mirror = surveyed(dog(tmp_path)).mirror
    assert mirror["FL_hip"] == "-FR_hip"
    assert mirror["RR_thigh"] == "RL_thigh"
    assert mirror["FR_calf"] == "FL_calf"
    one_sided = dog(tmp_path)
    text = one_sided.read_text().replace(
        '<body name="FL_hip" pos="0.2', '<body name="FL_hip" pos="0.3'
    )
    one_sided.write_text(text)
    assert surveyed(one_sided).mirror == {}


def test_gains_follow_from_armature_frequency_and_damping_ratio(tmp_path) -> None:
    """That is, k = I w^2 and d = 2 zeta I w, which are enough here to carry the dog."""
    path = dog(tmp_path, joint='armature="0.03"', keys=KEYS.replace('qpos="', BALL))
    robot = surveyed(path, natural_frequency=7.0, damping_ratio=0.5)
    omega = 2 * math.pi * 7
    assert robot.stiffness["FL_calf"] == pytest.approx(0.03 * omega**2, rel=1e-3)
    assert robot.damping["FL_calf"] == pytest.approx(0.03 * omega, rel=1e-3)
    assert robot.armature["FL_calf"] == 0.03
    assert robot.effort_limit["FL_calf"] == 30.0
    assert robot.action_scale["FL_calf"] == pytest.approx(
        0.25 * 30 / robot.stiffness["FL_calf"], rel=1e-3
    )


def test_position_actuators_keep_their_gains(tmp_path) -> None:
    """As their author chose them."""
    drives = MOTORS.replace("<motor", '<position kp="55" kv="1.5" forcerange="-33 33"')
    drives = drives.replace('gear="1.5"', "").replace('ctrlrange="-20 20"', "")
    robot = surveyed(dog(tmp_path, actuators=drives))
    assert set(robot.stiffness.values()) == {55.0}
    assert set(robot.damping.values()) == {1.5}
    assert set(robot.effort_limit.values()) == {33.0}
    assert robot.sources["stiffness"] == "the file's position actuators"


def test_what_is_given_stays(tmp_path) -> None:
    """By name or part of a name, the last counts; the rest follows."""
    given = {
        "stiffness": {"thigh": 70.0, "calf": 80.0, "FL_calf": 90.0},
        "feet": {"FL_calf": [0.0, 0.0, -0.27], "RR_calf": [0.0, 0.0, -0.27]},
        "default_joint_pos": {"hip": 0.05},
    }
    robot = surveyed(dog(tmp_path), **given)
    assert (robot.stiffness["FR_thigh"], robot.stiffness["FR_calf"]) == (70.0, 80.0)
    assert robot.stiffness["FL_calf"] == 90.0
    assert list(robot.feet) == ["FL_calf", "RR_calf"]
    assert robot.default_joint_pos["RL_hip"] == 0.05
    assert robot.damping["FL_calf"] == pytest.approx(90 / (math.pi * 10), rel=1e-3)
    assert complete(robot) == robot  # nothing is left to be found
    assert complete(replace(robot, file=robot.file)) == robot


def test_a_full_name_counts_for_its_joint_alone(tmp_path) -> None:
    """Not for its mirror image; its damping follows from the stiffness that is given."""
    path, plain = dog(tmp_path), surveyed(dog(tmp_path))
    robot = surveyed(path, stiffness={"FR_hip": 55.0}, effort_limit={"RL_calf": 22.0})
    assert (robot.stiffness["FR_hip"], robot.effort_limit["RL_calf"]) == (55.0, 22.0)
    assert robot.stiffness["FL_hip"] == plain.stiffness["FL_hip"]
    assert robot.effort_limit["RR_calf"] == plain.effort_limit["RR_calf"]
    assert robot.damping["FR_hip"] == pytest.approx(55 / (math.pi * 10), rel=1e-3)


def test_a_recorded_robot_takes_new_values_by_parts_of_names(tmp_path) -> None:
    """As they are given to a resumed run; unknown names are refused there, too."""
    robot = surveyed(dog(tmp_path))
    later = complete(replace(robot, stiffness=robot.stiffness | {"calf": 60.0}))
    assert set(later.stiffness) == set(robot.joints)
    assert [later.stiffness[f"{leg}_calf"] for leg in ("FL", "RR")] == [60.0, 60.0]
    assert later.stiffness["FL_hip"] == robot.stiffness["FL_hip"]
    with pytest.raises(UsageError) as refusal:
        complete(replace(robot, stiffness=robot.stiffness | {"knee": 60.0}))
    assert refusal.value.key == "task.robot.stiffness.knee"
    missing = complete(replace(robot, failing_bodies=[], pose_width={}, base_height=0.0))
    assert replace(missing, sources={}) == replace(robot, sources={})


def test_actuators_act_through_their_gear(tmp_path) -> None:
    """Stiffness by its square, force once; a velocity actuator adds its damping."""
    drives = MOTORS.replace("<motor", '<position kp="10" kv="0.5" forcerange="-20 20"')
    drives = drives.replace('ctrlrange="-20 20" gear="1.5"', 'gear="2"')
    drives += '<velocity joint="FL_calf" kv="0.7"/>'
    robot = surveyed(dog(tmp_path, actuators=drives))
    assert robot.stiffness["FL_hip"] == pytest.approx(40.0)
    assert robot.damping["FL_hip"] == pytest.approx(2.0)
    assert robot.damping["FL_calf"] == pytest.approx(2.7)
    assert robot.effort_limit["FL_hip"] == pytest.approx(40.0)


def test_a_keyframe_counts_with_the_base_upright(tmp_path) -> None:
    """As robots start, whichever way the author turned it."""
    turned = KEYS.replace('qpos="', BALL).replace("0 0 0.36 1 0 0 0", "0 0 0.36 0.7 0.1 0 0.7")
    robot, plain = (surveyed(dog(tmp_path, keys=k)) for k in (turned, KEYS.replace('qpos="', BALL)))
    assert robot.base_height == plain.base_height
    assert (robot.mirror, robot.pose_width) == (plain.mirror, plain.pose_width)


def test_a_name_counts_for_itself_and_a_part_for_all_that_have_it() -> None:
    """``joint_1`` is not ``joint_10``'s; the last that counts is taken."""
    joints = ["joint_1", "joint_10", "other"]
    assert by_joint({"joint_1": 1.0}, joints) == {"joint_1": 1.0}
    assert by_joint({"joint_10": 5.0, "joint": 2.0}, joints) == {"joint_1": 2.0, "joint_10": 2.0}
    every = by_joint({"all": 3.0, "joint_10": 5.0}, joints)
    assert every == dict.fromkeys(joints, 3.0) | {"joint_10": 5.0}


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        ({"stiffness": {"knee": 5.0}}, "task.robot.stiffness.knee", "knee"),
        ({"feet": {"FL_paw": [0.0, 0.0, 0.0]}}, "task.robot.feet", "FL_paw"),
        ({"joints": ["FL_hip", "tail"]}, "task.robot.joints", "tail"),
        ({"mirror": {"FL_hip": "-FR_hop"}}, "task.robot.mirror", "FR_hop"),
        ({"failing_bodies": ["FL_paw"]}, "task.robot.failing_bodies", "FL_paw"),
        ({"base": "FL_body"}, "task.robot.base", "FL_body"),
    ],
)
def test_unknown_names_are_refused_with_those_of_the_file(tmp_path, given, key, value) -> None:
    """So that a typing error is no joint without gains."""
    with pytest.raises(UsageError) as refusal:
        surveyed(dog(tmp_path), **given)
    assert (refusal.value.key, refusal.value.value) == (key, value)
    assert {"FL_calf", "trunk"} & set(map(str, refusal.value.allowed))


def test_a_robot_that_cannot_stand_is_refused_with_what_to_give(tmp_path) -> None:
    """Motors too weak to carry it."""
    with pytest.raises(UsageError) as refusal:
        surveyed(dog(tmp_path, actuators=MOTORS.replace('ctrlrange="-20 20"', 'ctrlrange="-1 1"')))
    assert refusal.value.key == "task.robot.default_joint_pos"
    assert "task.robot.stiffness" in str(refusal.value)


def test_a_folder_needs_one_robot(tmp_path) -> None:
    """And a missing file names what is beside it."""
    dog(tmp_path)
    assert surveyed(tmp_path).file == str(tmp_path / "dog.xml")
    biped(tmp_path)
    for word in (tmp_path, tmp_path / "cat.xml"):
        with pytest.raises(Unreadable) as refusal:
            surveyed(word)
        assert "dog.xml" in str(refusal.value)


def test_a_folders_values_count_less_than_those_given(tmp_path) -> None:
    """Its ``robot.yaml`` may name the file, too; keys that do not exist are refused."""
    dog(tmp_path)
    biped(tmp_path)
    values = tmp_path / "robot.yaml"
    values.write_text("file: dog.xml\nself_collision: true\nstiffness: {calf: 60, thigh: 70}\n")
    robot = surveyed(tmp_path, stiffness={"FL_calf": 65.0})
    assert Path(robot.file) == tmp_path / "dog.xml"
    assert robot.self_collision
    assert [robot.stiffness[n] for n in ("FL_calf", "FR_calf", "RL_thigh")] == [65.0, 60.0, 70.0]
    for text, key in (
        ("stifness: {calf: 60}\n", "stifness"),
        ("stiffness: {calf: -1}\n", "stiffness.calf"),
    ):
        values.write_text(f"file: dog.xml\n{text}")
        with pytest.raises(UsageError) as refusal:
            surveyed(tmp_path)
        assert refusal.value.key == key
        assert "robot.yaml" in str(refusal.value)


def test_a_model_of_menagerie_by_its_name(tmp_path, monkeypatch) -> None:
    """From the folder that ``MENAGERIE_ROOT`` names, which holds one model here."""
    menagerie = pytest.importorskip("mujoco_menagerie")
    folder = tmp_path / "unitree_go2"
    folder.mkdir()
    dog(folder).rename(folder / "go2.xml")
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))
    assert menagerie.get("unitree_go2").default_model == "go2"
    assert surveyed(Path("menagerie:unitree_go2")).file == str(folder / "go2.xml")
    assert surveyed(Path("menagerie:unitree_go2/go2")).file == str(folder / "go2.xml")
    for word in (
        "menagerie:unitree_go9",
        "menagerie:unitree_go2/go3",
        "menagerie:anybotics_anymal_c",
    ):
        with pytest.raises(UsageError) as refusal:
            surveyed(Path(word))
        assert refusal.value.key == "task.robot.file"
        assert "unitree_go2" in refusal.value.allowed


def test_without_the_package_menagerie_names_the_command(monkeypatch) -> None:
    """To install it."""
    monkeypatch.setitem(sys.modules, "mujoco_menagerie", None)
    with pytest.raises(UsageError) as refusal:
        surveyed(Path("menagerie:unitree_go2"))
    assert "pip install mujoco-menagerie" in str(refusal.value)


def test_the_scene_is_a_ground_that_the_robot_touches_not_itself(tmp_path) -> None:
    """With its file's masses; the armature is what the settings say."""
    robot = surveyed(dog(tmp_path))
    for collides in (False, True):
        asset = RobotAsset(Path(robot.file), dict.fromkeys(robot.joints, 0.02), collides)
        model = asset.spec().compile()
        data = mujoco.MjData(model)
        assert model.dof_armature[6:].tolist() == [0.02] * 12
        assert model.body_subtreemass[0] == pytest.approx(12.2)
        data.qpos[2] = 0.2  # in the ground, legs crossed
        data.qpos[7:] = [-0.8, 0.25, -0.5, 0.8, 0.25, -0.5] * 2
        mujoco.mj_forward(model, data)
        pairs = {tuple(model.geom_bodyid[g] > 0 for g in c.geom) for c in data.contact}
        assert any(not all(pair) for pair in pairs)
        assert ((True, True) in pairs) == collides


def test_what_looks_wrong_is_told(tmp_path) -> None:
    """Light bodies, limits that exclude 0, overlaps; nothing of the ball, which is left out."""
    path = dog(tmp_path)
    antenna = """<body name="antenna" pos="0 0 0.05"><joint name="antenna" damping="0.01"/>
      <geom type="box" size="0.01 0.01 0.06" mass="0.0005"/></body>"""
    path.write_text(path.read_text().replace('<site name="imu"', f'{antenna}<site name="imu"'))
    robot = surveyed(path)
    said = "\n".join(faults_of(read_floating(path), robot))
    for name in ("antenna", "FL_calf", "ball"):  # light and without limits, -2.7 to -0.5, left out
        assert name in said
    assert "antenna" not in robot.joints  # which no actuator drives
    assert "antenna" in robot.default_joint_pos
