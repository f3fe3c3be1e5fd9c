"""Explicit contact pairs, gaps and overridden contacts on the fused engine, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.sim import SceneSpec, Timing, make_simulator
from rlgpu.sim.mujoco.contacts import bounds
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from rlgpu.sim.mujoco.pairs import colliding_pairs
from tests.sim.fused_steps import DOUBLE, SINGLE, fused_step, mujoco_step, step_errors
from tests.sim.test_fused_cones import run

SCENE = """<mujoco>
  <option timestep="0.002" integrator="implicitfast" cone="{cone}" impratio="2" iterations="200"
    tolerance="1e-14"/>
  <default><joint damping="0.1" armature="0.01"/></default>
  <worldbody><geom name="floor" type="plane" size="5 5 1"/>
    <body name="trunk" pos="0 0 0.35"><freejoint/>
      <geom name="trunk" type="box" size=".2 .1 .05" mass="3"/>
      <body name="leg" pos=".15 .12 0"><joint axis="0 1 0"/>
        <geom name="leg" type="capsule" fromto="0 0 0 0 0 -.22" size=".04" mass=".3" contype="0"
          conaffinity="0"/>
        <body name="foot" pos="0 0 -.22"><joint axis="1 0 0" pos="0 .05 0"/>
          <geom name="foot" type="sphere" pos="0 0 -.09" size=".06" mass=".2"/></body></body></body>
    <body name="ball" pos=".05 0 .49"><freejoint/>
      <geom name="ball" type="sphere" size=".1" mass=".5"/></body>
    <body name="block" pos="-.3 0 .05"><freejoint/>
      <geom name="block" type="box" size=".1 .12 .05" mass="1"/></body>
    <body name="rod" pos="-.6 0 .05"><freejoint/>
      <geom name="rod" type="capsule" size=".05 .1" euler="80 10 0" mass="1" contype="0"
        conaffinity="0"/></body></worldbody>
  <contact>
    <exclude body1="trunk" body2="ball"/>
    <pair geom1="ball" geom2="trunk" condim="{condim}" friction="{friction}" {more}/>
    <pair geom1="rod" geom2="floor" condim="3" friction="{friction}" margin=".004" gap=".002"/>
    <pair geom1="foot" geom2="floor" condim="{condim}" friction="{friction}" solref="0.03 0.9"
      solimp=".8 .9 .002 .3 1" {more}/>
    <pair geom1="block" geom2="floor" condim="{condim}" friction="{friction}" {more}/>
    <pair geom1="leg" geom2="trunk" condim="1"/>
    <pair geom1="foot" geom2="leg" solref="0.05 1"/>
  </contact></mujoco>"""
ISOTROPIC, ANISOTROPIC = ".8 .8 .05 .01 .01", ".4 1.2 .05 .01 .03"
OWN_DAMPING = 'solreffriction="0.08 1"'


@pytest.mark.parametrize("more", ["", OWN_DAMPING], ids=["", "own damping"])
@pytest.mark.parametrize("friction", [ISOTROPIC, ANISOTROPIC], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("condim", [1, 3, 4, 6])
@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_pairs_have_their_own_contacts(cone, condim, friction, more) -> None:
    """Between excluded bodies, parent and child, and geoms that collide with nothing else."""
    text = SCENE.format(cone=cone, condim=condim, friction=friction, more=more)
    model = mujoco.MjModel.from_xml_string(text)
    assert accept(model) == []
    qpos, qvel = run(model)
    double, single = step_errors(model, qpos, qvel)
    assert np.quantile(double, 0.9) < 1e-6, double
    assert np.quantile(single, 0.9) < 2e-4, single


@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
@pytest.mark.parametrize(("axis", "friction"), [(0, 0.1), (1, 0.02)])
def test_friction_may_differ_along_the_tangents(cone, axis, friction) -> None:
    """A block that slides along x or y for a second loses friction * g of its velocity.

    On a horizontal floor, MuJoCo's first tangent is y.
    """
    model = mujoco.MjModel.from_xml_string(f"""<mujoco>
      <option timestep="0.002" integrator="implicitfast" cone="{cone}"/><worldbody>
      <geom name="floor" type="plane" size="9 9 1"/><body pos="0 0 .0999">
      <joint type="slide" axis="1 0 0"/><joint type="slide" axis="0 1 0"/>
      <joint type="slide" axis="0 0 1"/><geom name="block" type="box" size=".2 .2 .1"/></body>
      </worldbody><contact>
      <pair geom1="floor" geom2="block" friction=".02 .1 .005 .0001 .0001"/></contact></mujoco>""")
    worlds = FusedWorlds(model, 1)
    worlds.array("qvel")[0, axis] = 2.0
    worlds.step(500)
    found = worlds.array("qvel")[0]
    assert found[axis].item() == pytest.approx(2.0 - 9.81 * friction, abs=0.02)
    assert abs(found[1 - axis].item()) < 1e-3


@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_roll_may_differ_about_the_tangents(cone) -> None:
    """A ball that spins in place, in any direction, beside what friction of sliding differs by."""
    model = mujoco.MjModel.from_xml_string(f"""<mujoco>
      <option timestep="0.002" integrator="implicitfast" cone="{cone}" tolerance="1e-14"/>
      <worldbody><geom name="floor" type="plane" size="9 9 1"/><body pos="0 0 .098"><freejoint/>
      <geom name="ball" size=".1" mass="1"/></body></worldbody><contact>
      <pair geom1="floor" geom2="ball" condim="6" friction=".3 .9 .05 .01 .08"/></contact>
      </mujoco>""")
    rng = np.random.default_rng(0)
    qpos, qvel = np.tile(model.qpos0, (64, 1)), np.zeros((64, 6))
    qvel[:, 3:] = rng.normal(size=(64, 3))
    expected = mujoco_step(model, qpos, qvel)
    np.testing.assert_allclose(fused_step(model, qpos, qvel, DOUBLE), expected, atol=1e-7)
    np.testing.assert_allclose(fused_step(model, qpos, qvel, SINGLE), expected, atol=1e-5)


def test_pairs_between_what_is_fixed_are_none() -> None:
    """Two geoms of a body, or of the world, cannot push each other; two equal pairs count twice."""
    model = mujoco.MjModel.from_xml_string("""<mujoco><option integrator="implicitfast"/><worldbody>
      <geom name="a" type="plane" size="5 5 1"/><geom name="b" size=".1"/>
      <body pos="0 0 .3"><freejoint/><geom name="c" size=".1"/><geom name="d" size=".2"/></body>
      </worldbody><contact><pair geom1="a" geom2="b"/><pair geom1="c" geom2="d"/>
      <pair geom1="a" geom2="c" condim="1"/><pair geom1="c" geom2="a" condim="6"/></contact>
      </mujoco>""")
    explicit = [pair for pair in colliding_pairs(model) if pair.explicit >= 0]
    assert {(pair.geom1, pair.geom2) for pair in explicit} == {(0, 2)}
    assert len(explicit) == 2
    assert len(colliding_pairs(model)) == 5  # and a with d, b with c, b with d
    assert bounds(model).contact_rows == 1 + 10 + 3 * 4
    assert accept(model) == []


def test_a_pairs_friction_is_its_own_in_every_world(tmp_path) -> None:
    """Worlds with other friction of geoms differ by the ball without a pair, and by no other."""
    path = tmp_path / "balls.xml"
    path.write_text("""<mujoco><worldbody><geom name="floor" type="plane" size="9 9 1"/>
      <body name="one" pos="0 0 .0999"><freejoint/><geom name="one" size=".1" mass="1"/></body>
      <body name="two" pos="1 0 .0999"><freejoint/><geom name="two" size=".1" mass="1"/></body>
      </worldbody><contact><pair geom1="floor" geom2="one" friction=".3 .3 .005 .0001 .0001"/>
      </contact></mujoco>""")
    after = []
    for engine in ("fused", "mujoco"):
        scene = SceneSpec(path, {}, parameters=("friction",), root="one", objects=("two",))
        sim = make_simulator(engine, scene, Timing(0.002, 4), 5)
        factor = torch.tensor([0.01, 0.02, 0.3, 1.0, 2.0])[:, None]
        sim.set_parameter("friction", sim.parameters["friction"] * factor)
        sim.worlds.array("qvel")[:, [0, 6]] = 1.0
        for _ in range(10):
            sim.step()
        sim.refresh()
        after.append(sim.worlds.array("qvel").double().clone())
    assert (after[0] - after[1]).abs().max() < 2e-3
    assert (after[0][:, :6] - after[0][:1, :6]).abs().max() < 1e-5
    assert (after[0][:, 6] - after[0][:1, 6]).abs().max() > 0.1


@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_overridden_contacts_are_all_alike(cone) -> None:
    """The option's margin, reference, impedance and friction, for pairs and geoms alike."""
    text = SCENE.format(cone=cone, condim=4, friction=ISOTROPIC, more=OWN_DAMPING)
    options = 'o_margin=".004" o_solref=".04 .9" o_solimp=".7 .9 .003"'
    options = f'{options} o_friction=".2 .5 .04 .02 .03"'
    changed = text.replace("<option", f"<option {options}").replace(
        "</mujoco>", '<option><flag override="enable"/></option></mujoco>'
    )
    model = mujoco.MjModel.from_xml_string(changed)
    assert accept(model) == []
    qpos, qvel = run(model)
    double, single = step_errors(model, qpos, qvel)
    assert np.quantile(double, 0.9) < 1e-6, double
    assert np.quantile(single, 0.9) < 2e-4, single
    plain, expected = (
        mujoco_step(mujoco.MjModel.from_xml_string(kind), qpos, qvel) for kind in (text, changed)
    )
    assert np.abs(plain - expected).max() > 0.01


def test_pairs_beyond_single_precision_are_refused() -> None:
    """Friction along one tangent that weighs far more than along the other, and adhesion."""
    text = SCENE.format(cone="pyramidal", condim=3, friction=".01 1 .005 .0001 .0001", more="")
    (reason, *_) = accept(mujoco.MjModel.from_xml_string(text))
    assert "single precision" in reason
    model = mujoco.MjModel.from_xml_string(text.replace(".01 1 ", ".5 1 "))
    assert accept(model) == []
    model.pair_adhesion[0] = 0.1
    assert accept(model) != []
