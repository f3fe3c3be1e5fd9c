"""Ranges of physical parameters: what takes them below zero is refused or clamped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlgpu.envs.randomization_config import Randomization, Varied
from rlgpu.envs.varied_parameters import VariedParameters
from rlgpu.errors import UsageError, WrongShape
from rlgpu.sim import Drive, SceneSpec, Simulator, Timing, make_simulator
from rlgpu.sim.scene import PARAMETERS
from tests.refusals import names

# 2 kg and 0.5 kg; friction 0.8; one driven joint and a passive one.
ROBOT = """<mujoco><default><geom friction="0.8"/></default><worldbody>
  <body name="base"><joint name="turn" axis="0 0 1" damping="0.3" armature="0.1"/>
    <geom name="trunk" size=".1" mass="2"/>
    <body name="foot" pos="1 0 0"><joint name="toe" axis="0 1 0" damping="0.3" armature="0.1"/>
      <geom name="sole" size=".1" mass="0.5"/></body></body></worldbody></mujoco>"""


@pytest.fixture(scope="module")
def sim(tmp_path_factory) -> Simulator:
    """Eight worlds in which everything may vary."""
    asset = Path(tmp_path_factory.mktemp("robot")) / "robot.xml"
    asset.write_text(ROBOT)
    drives = {"turn": Drive("position", stiffness=10.0, damping=1.0)}
    scene = SceneSpec(asset, drives, parameters=PARAMETERS)
    return make_simulator("mujoco", scene, Timing(0.002, 1), 8)


def draw(sim: Simulator, **settings: Varied) -> None:
    """Gives all worlds new values."""
    varied = VariedParameters(Randomization(**settings), sim)
    everyone = torch.ones(8, dtype=torch.bool)
    numbers = varied.draw(8, torch.Generator().manual_seed(0))
    varied.write(slice(None), numbers, torch.tensor(0), everyone, everyone)


@pytest.mark.parametrize(
    ("key", "spread"),
    [
        ("mass", Varied(range=[-0.5, 0.5])),  # the foot would weigh nothing
        ("mass", Varied(range=[-0.5, 1.5], operation="scaling")),
        ("mass", Varied(range=[-3.0, 0.1], distribution="gaussian")),
        ("friction", Varied(range=[-0.9, 0.0])),
        ("joint_damping", Varied(range=[-0.4, 0.4])),
        ("armature", Varied(range=[-0.2, 0.2])),
        ("stiffness", Varied(range=[-11.0, 0.0])),
        ("damping", Varied(range=[-1.5, 0.0])),
    ],
)
def test_ranges_below_zero_are_refused(sim, key, spread) -> None:
    """The refusal names the setting."""
    with pytest.raises(UsageError) as refusal:
        VariedParameters(Randomization(**{key: spread}), sim)
    assert refusal.value.key == f"task.randomization.{key}.range"
    assert refusal.value.value == spread.range
    assert names(refusal.value, f"{refusal.value.key}={spread.range}")


@pytest.mark.parametrize(
    ("key", "spread"),
    [
        ("mass", Varied(range=[-1.5, 1.5], only=["base"])),
        ("friction", Varied(range=[-0.8, 0.8])),
        ("stiffness", Varied(range=[-10.0, 5.0])),  # the passive toe has none to lose
        ("center_of_mass", Varied(range=[-0.1, 0.1])),
        ("gravity", Varied(range=[-20.0, 20.0])),
    ],
)
def test_ranges_that_stay_allowed_are_taken(sim, key, spread) -> None:
    """Down to no friction, for one body alone, and where a sign means a direction."""
    VariedParameters(Randomization(**{key: spread}), sim)


def test_gaussian_numbers_below_zero_are_clamped(sim) -> None:
    """Frictions end at zero, masses at a hundredth of the asset's."""
    wide = {"range": [0.0, 100.0], "distribution": "gaussian"}
    draw(sim, friction=Varied(**wide), mass=Varied(**wide), gravity=Varied(**wide))
    friction, mass = sim.parameters["friction"], sim.parameters["body_mass"]
    assert friction.min() == 0.0
    assert friction.max() > 10.0
    torch.testing.assert_close(mass.min(dim=0).values, torch.tensor([0.02, 0.005]))
    assert sim.parameters["gravity"].min() < -20.0


def test_numbers_are_shared_by_the_parts_of_a_robot_only_if_asked(sim) -> None:
    """Frictions and masses have one for each part, armatures and dampings one for each robot."""
    before = {name: values.clone() for name, values in sim.parameters.items()}
    each = Varied(range=[0.0, 0.1])
    shared = Varied(range=[0.0, 0.1], per_robot=True)
    draw(sim, friction=each, mass=each, armature=shared, joint_damping=shared)
    names = ("friction", "body_mass", "joint_armature", "joint_damping")
    added = torch.stack([sim.parameters[name] - before[name] for name in names], dim=1)
    torch.testing.assert_close(added[:, 2:, 0], added[:, 2:, 1], atol=1e-6, rtol=0)
    different = torch.cat((added[:, :2].flatten(1), added[:, 2:, 0]), dim=1)  # [N, 6]
    pairs = (different[:, :, None] - different[:, None]).abs().amax(dim=0)
    assert (pairs + torch.eye(6)).min() > 0.01
    sim.set_parameters(before, slice(None))  # for the tests that share the simulation


def test_negative_values_are_refused_when_a_task_sets_them(sim) -> None:
    """The value that is there stays."""
    before = sim.parameters["body_mass"].clone()
    with pytest.raises(ValueError) as refusal:
        sim.set_parameter("body_mass", before - 3.0 * before.max())
    assert not isinstance(refusal.value, WrongShape)
    assert names(refusal.value, "body_mass")
    assert torch.equal(sim.parameters["body_mass"], before)
