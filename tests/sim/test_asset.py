"""What in a robot's file no task takes, whatever the engine."""

from __future__ import annotations

import pytest

from rlgpu.errors import UnsupportedModel
from rlgpu.sim.mujoco.asset import read_asset
from tests.refusals import names

LEG = """<link name="leg"><inertial><mass value="1"/><inertia ixx=".1" iyy=".1" izz=".1" ixy="0"
  ixz="0" iyz="0"/></inertial></link><joint name="hip" type="revolute"><parent link="base"/>
  <child link="leg"/><axis xyz="0 1 0"/>
  <limit lower="-1" upper="1" effort="5" velocity="5"/></joint>"""
BASE = """<link name="base"><inertial><mass value="5"/><inertia ixx=".1" iyy=".1" izz=".1" ixy="0"
  ixz="0" iyz="0"/></inertial></link>"""
WORLD = """<link name="world"/><joint name="mount" type="{}"><parent link="world"/>
  <child link="base"/></joint>"""


@pytest.fixture
def urdf(tmp_path):
    """Writes a robot and returns its file."""

    def write(text: str):
        path = tmp_path / "robot.urdf"
        path.write_text(f'<robot name="r">{text}</robot>')
        return path

    return write


def test_a_urdf_whose_base_floats_is_refused_with_the_way_out(urdf) -> None:
    """MuJoCo would weld its base to the world."""
    with pytest.raises(UnsupportedModel) as refusal:
        read_asset(urdf(BASE + LEG))
    assert [reason.kind for reason in refusal.value.reasons] == ["floating_base"]
    assert names(refusal.value, "robot.urdf", "base", "freejoint", "world")


def test_a_urdf_without_inertia_in_its_base_is_refused_too(urdf) -> None:
    """As Unitree's are, whose first link is empty."""
    with pytest.raises(UnsupportedModel) as refusal:
        read_asset(urdf('<link name="base"/>' + LEG))
    assert [reason.kind for reason in refusal.value.reasons] == ["floating_base"]
    assert names(refusal.value, "base")


def test_a_urdf_that_says_its_base_is_fixed_is_read(urdf) -> None:
    """By a fixed joint to a link named world."""
    model = read_asset(urdf(WORLD.format("fixed") + BASE + LEG)).compile()
    assert (model.njnt, model.nv) == (1, 1)


def test_a_urdf_that_says_its_base_floats_is_read_with_a_free_joint(urdf) -> None:
    """By a floating joint to a link named world; six degrees of freedom and the hip's."""
    model = read_asset(urdf(WORLD.format("floating") + BASE + LEG)).compile()
    assert model.nv == 7
