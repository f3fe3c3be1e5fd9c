"""Friction of all kinds on the fused engine, against MuJoCo C: elliptic cones, spin and roll."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim import SceneSpec, Timing, make_simulator
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tables import Tables
from tests.sim.fused_steps import DOUBLE, SINGLE, fused_step, mujoco_step, step_errors

ROBOT = """<mujoco>
  <option timestep="0.002" integrator="implicitfast" cone="{cone}" impratio="{impratio}"
    iterations="200" tolerance="1e-14"/>
  <default><geom condim="{condim}" friction="{friction}" contype="1" conaffinity="1"/>
    <joint damping="0.1" armature="0.01"/></default>
  <worldbody><geom type="plane" size="5 5 1"/>
    <body name="trunk" pos="0 0 0.26"><freejoint/><geom type="box" size=".2 .1 .05" mass="3"/>
      <body pos=".15 .12 0"><joint axis="0 1 0" frictionloss="0.1"/>
        <geom type="capsule" fromto="0 0 0 0 0 -.22" size=".04" mass=".3"/></body>
      <body pos="-.15 -.12 0"><joint axis="0 1 0"/>
        <geom type="cylinder" pos="0 0 -.12" size=".04 .12" mass=".3"/></body>
    </body>
    <body name="ball" pos=".05 0 .42"><freejoint/><geom type="sphere" size=".1" mass=".5"/></body>
    <body name="block" pos="-.5 0 .05"><freejoint/><geom type="box" size=".1 .1 .05" mass="1"/>
    </body></worldbody></mujoco>"""


def run(model: mujoco.MjModel, count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns states along runs of MuJoCo, sliding, spinning and rolling, and then at rest."""
    rng, data, found = np.random.default_rng(seed), mujoco.MjData(model), []
    for _ in range(4):
        mujoco.mj_resetData(model, data)
        data.qvel[:] = rng.normal(size=model.nv)
        for _ in range(count // 4):
            mujoco.mj_step(model, data, 12)
            found.append((data.qpos.copy(), data.qvel.copy()))
    qpos, qvel = zip(*found, strict=True)
    return np.array(qpos), np.array(qvel)


def stiff_robot(cone: str, condim: int, impratio: float, slide: float, solimp: str) -> str:
    """Returns the robot with geoms of a given impedance, and friction in proportion to sliding."""
    friction = f"{slide} {0.1 * slide} {0.03 * slide}"
    text = ROBOT.format(cone=cone, condim=condim, impratio=impratio, friction=friction)
    return text.replace("<geom condim", f'<geom solimp="{solimp}" condim', 1)


def errors_along_a_run(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the errors of a step in double and single precision, from states along a run."""
    model = mujoco.MjModel.from_xml_string(text)
    model.opt.ccd_tolerance, model.opt.ccd_iterations = 1e-10, 100
    assert accept(model) == []
    return step_errors(model, *run(model))


@pytest.mark.parametrize("friction", ["1 .05 .01", ".3 .02 .02"])
@pytest.mark.parametrize("impratio", [1, 10])
@pytest.mark.parametrize("condim", [1, 3, 4, 6])
@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_a_robot_a_ball_and_a_block_slide_spin_and_roll(cone, condim, impratio, friction) -> None:
    """One step from states along a run, in both precisions."""
    text = ROBOT.format(cone=cone, condim=condim, impratio=impratio, friction=friction)
    double, single = errors_along_a_run(text)
    assert np.quantile(double, 0.9) < 1e-6, double
    assert np.quantile(single, 0.9) < 1e-4, single
    assert (single > 1e-3).mean() <= 0.05, single  # another corner of a cylinder's side


@pytest.mark.parametrize("solimp", [".9 .95 .001", ".99 .999 .001"])
@pytest.mark.parametrize("slide", [0.1, 0.01, 0.001, 0.0001])
@pytest.mark.parametrize("condim", [4, 6])
def test_pyramids_of_little_friction_keep_single_precision(condim, slide, solimp) -> None:
    """The weight of their edges grows as one over friction squared, as randomised friction may."""
    _, found = errors_along_a_run(stiff_robot("pyramidal", condim, 1, slide, solimp))
    assert np.quantile(found, 0.9) < 1e-4, found
    assert (found > 1e-3).mean() <= 0.05, found  # another corner of a cylinder's side
    assert found.max() < 0.3, found


def test_spin_and_roll_decide_something() -> None:
    """A spinning ball stops only with torsional friction, a rolling one only with rolling."""
    after = {}
    for condim in (3, 4, 6):
        model = mujoco.MjModel.from_xml_string(f"""<mujoco>
          <option timestep="0.002" integrator="implicitfast"/><worldbody>
          <geom type="plane" size="9 9 1" condim="{condim}" friction="1 .1 .05"/>
          <body pos="0 0 .1"><freejoint/><geom type="sphere" size=".1" condim="{condim}"
            friction="1 .1 .05"/></body></worldbody></mujoco>""")
        data = mujoco.MjData(model)
        state = PhysicsState(
            torch.tensor(data.qpos, dtype=SINGLE)[None],
            torch.tensor([[1.0, 0, 0, 0, 10.0, 5.0]]),
            torch.zeros(1, 6),
            torch.zeros(1, dtype=torch.bool),
        )
        tables = Tables(model).pack()
        ctrl = torch.zeros(1, 0)
        physics_step(tables, ctrl, state, PhysicsOutputs(), num_steps=1000, num_threads=1)
        after[condim] = state.qvel[0]
    assert after[3][5] > 4.9
    assert after[3][4] > 5
    assert abs(after[4][5]) < 0.5
    assert after[4][4] > 5
    assert abs(after[6][4]) < 0.5


@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_friction_of_each_world_its_own(cone, tmp_path) -> None:
    """All three coefficients are scaled; wrenches contain the torques of spin and roll."""
    path = tmp_path / "ball.xml"
    path.write_text(f"""<mujoco><option cone="{cone}"/><worldbody>
      <geom type="plane" size="9 9 1" condim="6" friction=".5 .05 .02"/>
      <body name="ball" pos="0 0 .0995"><freejoint/><geom type="sphere" size=".1" mass="1"
        condim="6" friction=".5 .05 .02"/></body></worldbody></mujoco>""")
    after = []
    for engine in ("fused", "mujoco"):
        scene = SceneSpec(path, {}, parameters=("friction",), wrench_bodies=("ball",))
        sim = make_simulator(engine, scene, Timing(0.002, 4), 8)
        factor = torch.linspace(0.4, 2.0, 8)[:, None].expand_as(sim.parameters["friction"])
        sim.set_parameter("friction", sim.parameters["friction"] * factor)
        velocity = torch.tensor([[0.3, 0, 0], [0, 8, 4]])[:, None].expand(2, 8, 3)
        sim.set_root_velocity(torch.ones(8, dtype=torch.bool), *velocity)
        for _ in range(10):
            sim.step()
        sim.refresh()
        state = sim.state
        after.append(
            torch.cat((state.root_lin_vel_w, state.root_ang_vel_w, state.contact_wrench_b[:, 0]), 1)
        )
    assert (after[0] - after[1]).abs().max() < 2e-3
    assert (after[0][0] - after[0][-1]).abs().max() > 0.05


def test_stiffness_beyond_single_precision_is_refused() -> None:
    """Naming the geoms and the numbers."""
    text = ROBOT.format(cone="pyramidal", condim=6, impratio=1, friction="0.05 .01 .01")
    stiff = text.replace("<geom condim", '<geom solimp=".9999 .9999 .001" condim', 1)
    reasons = accept(mujoco.MjModel.from_xml_string(stiff))
    assert any("single precision" in reason for reason in reasons), reasons
    assert accept(mujoco.MjModel.from_xml_string(text)) == []


@pytest.mark.parametrize("solimp", [".99 .999 .001", ".015 1 .036"])
@pytest.mark.parametrize("slide", [1, 0.1, 0.01])
@pytest.mark.parametrize("condim", [3, 6])
def test_stiff_elliptic_cones_keep_single_precision(condim, slide, solimp) -> None:
    """With the impratio and the solimp of public quadrupeds, 1e6 times as heavy as inertia."""
    _, found = errors_along_a_run(stiff_robot("elliptic", condim, 100, slide, solimp))
    assert np.quantile(found, 0.9) < 2e-4, found
    assert found.max() < 3e-3, found


FLAGS = (
    "constraint", "frictionloss", "limit", "contact", "spring", "gravity", "clampctrl", "damper",
    "actuation", "filterparent", "refsafe",
)  # fmt: skip
ARM = """<mujoco>
  <option timestep="0.002" integrator="implicitfast"><flag {flag}="disable"/></option>
  <worldbody><geom type="plane" size="5 5 1"/><body pos="0 0 .3">
    <joint name="a" axis="0 1 0" range="-20 20" solreflimit="{limit}" stiffness="2"
      frictionloss="0.3" damping="0.1" actuatorfrcrange="0.3 5"/>
    <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
    <body pos=".3 0 0" gravcomp="{share}"><joint name="b" axis="0 1 0" range="-20 20"/>
      <geom type="capsule" fromto="-.1 .04 .04 .3 .03 -.2" size=".03"/></body></body></worldbody>
  <actuator><motor joint="a" ctrllimited="true" ctrlrange="-1 1" forcelimited="true"
    forcerange="0.2 2"/></actuator></mujoco>"""


@pytest.mark.parametrize("flag", FLAGS)
def test_a_disabled_part_is_left_out(flag) -> None:
    """Each flag changes the motion, and as in MuJoCo."""
    rng, after = np.random.default_rng(0), []
    qpos, qvel = rng.uniform(-1, 1, (32, 2)), rng.normal(size=(32, 2))
    ctrl = rng.uniform(-3, 3, (32, 1))
    for name in (flag, "island"):  # the second one changes no motion
        model = mujoco.MjModel.from_xml_string(ARM.format(flag=name, share=0, limit=".002 1"))
        assert accept(model) == []
        expected = mujoco_step(model, qpos, qvel, ctrl)
        found = fused_step(model, qpos, qvel, DOUBLE, ctrl=ctrl)
        np.testing.assert_allclose(found, expected, atol=1e-9)
        after.append(found)
    assert np.abs(after[0] - after[1]).max() > 1e-4


def test_without_springs_and_dampers_nothing_is_free_of_its_weight() -> None:
    """MuJoCo then leaves out gravity compensation too."""
    text = ARM.format(flag="spring", share=1, limit=".02 1")
    text = text.replace('spring="disable"', 'spring="disable" damper="disable"')
    model = mujoco.MjModel.from_xml_string(text)
    rng = np.random.default_rng(0)
    qpos, qvel = rng.uniform(-1, 1, (32, 2)), rng.normal(size=(32, 2))
    assert accept(model) == []
    found = fused_step(model, qpos, qvel, DOUBLE)
    np.testing.assert_allclose(found, mujoco_step(model, qpos, qvel), atol=1e-9)


@pytest.mark.parametrize("share", [0.5, 1, 1.3])
def test_bodies_may_be_free_of_their_weight(share) -> None:
    """Gravity compensation of one body, in part, whole and beyond."""
    rng, after = np.random.default_rng(0), []
    qpos, qvel = rng.uniform(-1, 1, (32, 2)), rng.normal(size=(32, 2))
    for part in (share, 0):
        model = mujoco.MjModel.from_xml_string(ARM.format(flag="island", share=part, limit=".02 1"))
        assert accept(model) == []
        expected = mujoco_step(model, qpos, qvel)
        for dtype, most in ((DOUBLE, 1e-9), (SINGLE, 1e-4)):
            found = fused_step(model, qpos, qvel, dtype)
            np.testing.assert_allclose(found, expected, atol=most)
        after.append(found)
    assert np.abs(after[0] - after[1]).max() > 1e-3


def test_friction_in_the_joint_of_a_free_body() -> None:
    """It slows every dof of the body, as in MuJoCo."""
    model = mujoco.MjModel.from_xml_string("""<mujoco>
      <option timestep="0.002" integrator="implicitfast"/><worldbody><body>
      <joint type="free" frictionloss="0.4"/><geom type="box" size=".1 .2 .3"/></body></worldbody>
      </mujoco>""")
    assert accept(model) == []
    rng = np.random.default_rng(0)
    qpos = np.concatenate((rng.normal(size=(16, 3)), rng.normal(size=(16, 4))), axis=1)
    qpos[:, 3:] /= np.linalg.norm(qpos[:, 3:], axis=1, keepdims=True)
    qvel = rng.normal(size=(16, 6)) * np.array([1, 1e-3, 0, 1, 1e-3, 0])
    expected = mujoco_step(model, qpos, qvel)
    np.testing.assert_allclose(fused_step(model, qpos, qvel, DOUBLE), expected, atol=1e-9)
    np.testing.assert_allclose(fused_step(model, qpos, qvel, SINGLE), expected, atol=1e-4)
    model.dof_frictionloss[:] = 0
    assert np.abs(mujoco_step(model, qpos, qvel) - expected).max() > 1e-4
