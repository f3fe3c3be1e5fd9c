"""Physical parameters that differ between worlds: what is written, kept and restored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlgpu.errors import WrongShape
from rlgpu.sim import ENGINES, Drive, SceneSpec, Simulator, Timing, make_simulator

# A slider driven by a force, a hinge driven to an angle, and a massless frame on the hinge.
MIXED = """<mujoco><option gravity="0 0 -9.81"/>
  <default><geom contype="0" conaffinity="0"/></default><worldbody>
  <body name="cart"><joint name="push" type="slide" axis="1 0 0"/>
    <geom type="box" size=".1 .1 .1" mass="2.1"/></body>
  <body name="arm" pos="0 1 0"><joint name="turn" axis="0 1 0"/>
    <geom type="capsule" fromto="0 0 0 .5 0 0" size=".02" mass=".7"/>
    <body name="frame" pos=".5 0 0"/></body></worldbody></mujoco>"""
DRIVES = {"push": Drive("effort"), "turn": Drive("position", stiffness=3.3, damping=0.7)}
ALL = (
    "body_mass",
    "joint_damping",
    "joint_armature",
    "drive_stiffness",
    "drive_damping",
    "gravity",
)


@pytest.fixture(params=ENGINES)
def make(request, tmp_path: Path):
    """Returns a function that builds the mixed scene on an engine."""
    asset = tmp_path / "mixed.xml"
    asset.write_text(MIXED)

    def build(*parameters: str) -> Simulator:
        scene = SceneSpec(asset=asset, drives=DRIVES, parameters=parameters)
        return make_simulator(request.param, scene, Timing(0.002, 5), 3)

    return build


def run(sim: Simulator, steps: int) -> torch.Tensor:
    for _ in range(steps):
        sim.set_targets(torch.tensor([[4.2, 0.5]]).expand(3, 2))
        sim.step()
        sim.refresh()
    return sim.state.joint_vel.clone()


@pytest.mark.parametrize("name", ["drive_stiffness", "drive_damping"])
def test_gains_of_position_drives_leave_effort_drives_alone(make, name) -> None:
    """4.2 N on 2.1 kg for 10 ms give 0.02 m/s, whatever is written for the hinge or the slider."""
    sim = make(name)
    values = sim.parameters[name].clone()
    assert values[0, 0] == 0.0
    sim.set_parameter(name, values + 1.0)
    assert sim.parameters[name][0].tolist() == pytest.approx([0.0, values[0, 1].item() + 1.0])
    torch.testing.assert_close(run(sim, 1)[:, 0], torch.full((3,), 0.02), atol=1e-5, rtol=0)


def test_a_massless_body_is_allowed(make) -> None:
    """Writing back the current masses changes nothing, and no world diverges."""
    sim, untouched = make("body_mass"), make("body_mass")
    assert sim.parameters["body_mass"][0].tolist() == pytest.approx([2.1, 0.7, 0.0])
    sim.set_parameter("body_mass", sim.parameters["body_mass"].clone())
    torch.testing.assert_close(run(sim, 20), run(untouched, 20))
    assert not sim.state.diverged.any()


def test_inertia_is_scaled_from_the_asset_and_not_from_the_last_write(make) -> None:
    """A hundred rounds of 10.3 times the mass and back end where they began, bit for bit."""
    sim = make("body_mass")
    if not hasattr(sim, "worlds"):
        pytest.skip("reads MuJoCo's fields; Isaac Gym's are in another process")
    mass = sim.parameters["body_mass"].clone()
    sim.set_parameter("body_mass", mass)
    before = sim.worlds.field("body_inertia").clone()
    for _ in range(100):
        sim.set_parameter("body_mass", mass * 10.3)
        sim.set_parameter("body_mass", mass)
    assert torch.equal(sim.worlds.field("body_inertia"), before)
    sim.set_parameter("body_mass", 2.0 * mass)
    torch.testing.assert_close(sim.worlds.field("body_inertia"), 2.0 * before)


def test_written_parameters_are_restored_bit_for_bit(make, monkeypatch) -> None:
    """Saved and restored into a fresh simulation, with values that float32 cannot hold exactly."""
    # Isaac Gym's tensors hold states as PhysX has them, in single precision. An engine in double
    # precision in its place would go on from states that no tensor holds.
    monkeypatch.setenv("STAND_IN_ENGINE", "fused")
    g = torch.Generator().manual_seed(0)
    whole = make(*ALL)
    for name in ("body_mass", "drive_damping"):
        values = whole.parameters[name]
        whole.set_parameter(name, values * (0.5 + torch.rand(values.shape, generator=g)))
    run(whole, 5)
    saved = whole.state_dict()
    resumed = make(*ALL)
    resumed.load_state_dict(saved)
    assert torch.equal(run(whole, 30), run(resumed, 30))
    for name in ALL:
        assert torch.equal(whole.parameters[name], resumed.parameters[name])


def test_a_state_that_does_not_fit_is_refused_before_anything_changes(make) -> None:
    """It holds other parameters; the worlds stay unchanged."""
    sim = make("body_mass")
    run(sim, 3)
    before = {name: value.clone() for name, value in sim.state_dict().items()}
    with pytest.raises(WrongShape) as refusal:
        sim.load_state_dict(make("gravity").state_dict())
    assert refusal.value.name in {"field.body_inertia", "parameter.body_mass"}
    assert refusal.value.found is None
    assert all(torch.equal(before[name], value) for name, value in sim.state_dict().items())
