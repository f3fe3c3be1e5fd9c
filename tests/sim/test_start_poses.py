"""What a model says about the pose in which episodes start, worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mujoco
import pytest

from rlgpu.sim import SceneSpec
from rlgpu.sim.mujoco.mirror import PoseMirror
from rlgpu.sim.mujoco.start import Overlap, may_fall, overlaps, robot_size, root_facts

BALL = '<geom size=".1"/>'
FALLING = f'<body name="robot"><freejoint/>{BALL}</body>'
SCENE = SceneSpec(Path("robot.xml"), {})


def model_of(bodies: str, before: str = "", after: str = "") -> mujoco.MjModel:
    """Returns a model of some bodies in the world."""
    return mujoco.MjModel.from_xml_string(
        f"<mujoco>{before}<worldbody>{bodies}</worldbody>{after}</mujoco>"
    )


@pytest.fixture
def shown() -> Callable[..., PoseMirror]:
    """Returns a function that shows the pose of a model's file."""

    def show(bodies: str) -> PoseMirror:
        model = model_of(bodies)
        mirror = PoseMirror(model, lambda _: {"qpos": model.qpos0})
        mirror.show(0)
        return mirror

    return show


@pytest.mark.parametrize(
    ("bodies", "before", "falls"),
    [
        (FALLING, "", True),
        (FALLING, '<option gravity="0 0 1"/>', False),
        (FALLING, '<option gravity="0 0 0"/>', False),
        (FALLING, '<option density="1.2"/>', False),
        (FALLING, '<option viscosity="1e-5"/>', False),
        (FALLING.replace('"robot"', '"robot" gravcomp="1"'), "", False),
        (FALLING.replace("<freejoint/>", '<joint type="slide" axis="0 0 1"/>'), "", False),
        (FALLING + '<geom type="plane" size="1 1 1"/>', "", False),
        (FALLING + '<body pos="0 0 -1"><geom type="box" size="1 1 .1"/></body>', "", False),
        # What collides with others only: the robot's kinds are 1, the plane's 2.
        (FALLING + '<geom type="plane" size="1 1 1" contype="2" conaffinity="2"/>', "", True),
        (FALLING + '<geom type="plane" size="1 1 1" contype="2" conaffinity="1"/>', "", False),
        (FALLING + '<geom type="plane" size="1 1 1" contype="1" conaffinity="2"/>', "", False),
        (FALLING + '<body mocap="true"><geom size=".1" contype="2"/></body>', "", False),
    ],
)
def test_a_free_robot_may_fall_if_nothing_holds_it(bodies, before, falls) -> None:
    """Ground, a fluid, ties, or no weight do; a joint does too."""
    assert may_fall(model_of(bodies, before), SCENE) == falls


def test_ties_and_pairs_may_hold_a_robot_together_or_alone() -> None:
    """An equality, an explicit pair of geoms, and both."""
    equality = '<equality><connect body1="robot" body2="hook" anchor="0 0 0"/></equality>'
    pair = '<contact><pair geom1="floor" geom2="ball"/></contact>'
    ball, floor = (f'<geom name="{name}" size=".1" contype="0"/>' for name in ("ball", "floor"))
    bodies = f"""<body name="robot"><freejoint/>{ball}</body><body name="hook"/>
      <body pos="0 0 -1">{floor.replace("/>", ' conaffinity="0"/>')}</body>"""
    for parts, falls in (("", True), (equality, False), (pair, False), (equality + pair, False)):
        assert may_fall(model_of(bodies, after=parts), SCENE) == falls


def test_the_size_of_a_robot_is_the_longest_side_around_its_geoms(shown) -> None:
    """Two spheres of 0.1 m and 0.2 m, 0.7 m apart along y: 1 m; others do not count."""
    bodies = f"""<body name="robot"><freejoint/>{BALL}<geom size="5" contype="0" conaffinity="0"/>
      <body pos="0 .7 0"><joint/><geom size=".2" contype="0" conaffinity="1"/></body></body>
      <body pos="9 0 0"><geom size="3"/></body>"""
    assert robot_size(shown(bodies), SCENE) == pytest.approx(1.0)
    untouchable = '<body><freejoint/><geom size="5" contype="0" conaffinity="0"/></body>'
    assert robot_size(shown(untouchable), SCENE) == 0.0


def test_the_deepest_overlaps_are_named_with_their_depth(shown) -> None:
    """Balls of 0.1 m: 3 cm and 5 cm in the ground, 8 cm and 2 cm in each other, or apart."""
    plane = '<geom type="plane" size="5 5 1"/>'
    balls = "".join(
        f'<body name="{name}" pos="{place}"><freejoint/>{BALL}</body>'
        for name, place in (
            ("a", "0 0 .07"),
            ("b", "1 0 .05"),
            ("c", "2 0 .5"),
            ("d", "2.12 0 .5"),
            ("e", "3 0 .5"),
            ("f", "3.18 0 .5"),
            ("g", "4 0 .5"),
            ("h", "4 0 .71"),
        )
    )
    ground, others = overlaps(shown(plane + balls))
    assert ground == Overlap(pytest.approx(0.05), "b", "the ground")
    assert others == Overlap(pytest.approx(0.08), "c", "d")
    apart = overlaps(shown(balls))
    assert apart[0] == Overlap(0.0, "", "")
    margin = BALL.replace("/>", ' margin=".1"/>')
    close = f'<body name="x" pos="0 0 .12"><freejoint/>{margin}</body>{plane}'
    assert overlaps(shown(close)) == (Overlap(0.0, "", ""), Overlap(0.0, "", ""))


def test_a_root_has_its_pose_in_the_world(shown) -> None:
    """On a table of 0.5 m, turned by 90 degrees about z; the table's child is not free."""
    bodies = f"""<body name="table" pos="0 0 .5" euler="0 0 90">{BALL}
      <body name="arm" pos="1 0 0">{BALL}</body></body>
      <body name="ball"><freejoint/>{BALL}</body>"""
    scene = SceneSpec(Path("robot.xml"), {}, root="arm")
    facts = root_facts(model_of(bodies), scene)
    assert (facts.body, facts.is_free, facts.free_bodies) == ("arm", False, ("ball",))
    assert facts.pos_w.tolist() == pytest.approx([0, 1, 0.5])
    assert facts.quat_w.tolist() == pytest.approx([0, 0, 0.5**0.5, 0.5**0.5])
    free = SceneSpec(Path("robot.xml"), {}, root="ball")
    assert root_facts(model_of(bodies), free).is_free
