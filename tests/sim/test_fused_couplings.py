"""Tendons and equality constraints on the fused engine, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.sim import SceneSpec, Timing, make_simulator
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tendon_tables import acting_tendons
from tests.sim.fused_steps import SINGLE, fused_step, step_errors

ARM = """<mujoco>
  <option timestep="0.002" integrator="implicitfast" iterations="200" tolerance="1e-14"/>
  <default><joint damping="0.1" armature="0.01"/><geom contype="0" conaffinity="0"/>
    <site size=".01"/></default>
  <worldbody>
    <geom name="post" type="cylinder" size=".06 .2" pos=".1 .02 .5" euler="80 10 0"/>
    <site name="ground" pos=".25 0 .8"/><site name="roof" pos="-.1 .1 .9"/>
    <body name="upper" pos="0 0 .5"><joint name="yaw" axis="0 0 1"/>
      <joint name="pitch" axis="0 1 0" range="-60 60"/>
      <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03" mass="1"/>
      <geom name="ball" type="sphere" size=".07" pos=".3 0 0"/>
      <site name="a" pos=".1 0 .05"/><site name="side" pos=".3 0 .12"/>
      <site name="within" pos=".3 0 .01"/>
      <body name="lower" pos=".3 0 0"><joint name="knee" axis="0 1 0"/>
        <geom type="capsule" fromto="0 0 0 .25 0 0" size=".025" mass=".5"/>
        <site name="b" pos=".12 0 .04" euler="20 0 10"/><site name="tip" pos=".25 0 0"/>
        <body name="hand" pos=".25 0 0"><joint name="wrist" type="slide" axis="1 0 0"/>
          <geom type="box" size=".04 .03 .02" mass=".2"/><site name="palm" euler="0 30 0"/></body>
      </body></body>
    <body name="stray" pos=".5 .2 .6"><freejoint/><geom type="box" size=".05 .06 .07" mass=".4"/>
      <site name="eye" pos=".05 0 .02" euler="10 0 40"/></body>
    <body name="other" pos="0 -.4 .5"><joint name="swing" axis="1 0 0"/>
      <geom type="capsule" fromto="0 0 0 0 0 -.3" size=".03" mass=".7"/>
      <site name="bob" pos="0 0 -.3"/></body>
  </worldbody>{extra}</mujoco>"""

FIXED = (
    '<fixed name="t" {0}><joint joint="pitch" coef="1.2"/><joint joint="knee" coef="-.7"/>'
    '<joint joint="swing" coef=".4"/></fixed>'
)
STRAIGHT = (
    '<spatial name="t" {0}><site site="ground"/><site site="a"/><site site="b"/>'
    '<site site="eye"/><pulley divisor="2"/><site site="roof"/><site site="bob"/>'
    '<pulley divisor="3"/><site site="tip"/><site site="bob"/></spatial>'
)
SPHERE = (
    '<spatial name="t" {0}><site site="a"/><geom geom="ball"/><site site="b"/>'
    '<site site="bob"/></spatial>'
)
SIDED = (
    '<spatial name="t" {0}><site site="a"/><geom geom="ball" sidesite="side"/>'
    '<site site="b"/></spatial>'
)
INSIDE = (
    '<spatial name="t" {0}><site site="a"/><geom geom="ball" sidesite="within"/>'
    '<site site="b"/></spatial>'
)
CYLINDER = (
    '<spatial name="t" {0}><site site="roof"/><geom geom="post"/><site site="tip"/>'
    '<geom geom="ball"/><site site="eye"/></spatial>'
)
PATHS = {
    "fixed": FIXED,
    "straight": STRAIGHT,
    "sphere": SPHERE,
    "sided": SIDED,
    "inside": INSIDE,
    "cylinder": CYLINDER,
}
EFFECTS = {
    "spring and damper": ('stiffness="60" damping="3" springlength=".2 .25"', ""),
    "limits": ('limited="true" range=".25 .3" margin=".01"', ""),
    "friction": ('frictionloss="2"', ""),
    "motor": ("", '<actuator><motor tendon="t" gear="3"/></actuator>'),
    "position drive": (
        'damping=".2"',
        '<actuator><position tendon="t" gear="1.5" kp="80" kv="4" forcerange="-30 30"/></actuator>',
    ),
    "equality": ("", '<equality><tendon tendon1="t" polycoef=".05 1 .3 0 0"/></equality>'),
}


def random_states(model: mujoco.MjModel, count: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions around the model's own and velocities."""
    rng, qpos = np.random.default_rng(0), np.tile(model.qpos0, (count, 1))
    for row in qpos:
        mujoco.mj_integratePos(model, row, rng.normal(size=model.nv) * 0.5, 1.0)
    return qpos, rng.normal(size=(count, model.nv))


def errors(model: mujoco.MjModel, count: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Returns the largest errors of velocities of each state, in double and single precision."""
    assert accept(model) == []
    qpos, qvel = random_states(model, count)
    ctrl = np.random.default_rng(1).uniform(-2, 2, (count, model.nu))
    return step_errors(model, qpos, qvel, ctrl)


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("path", PATHS)
def test_tendons_of_all_paths_do_what_mujocos_do(path, effect) -> None:
    """Forces, limits, friction, actuators and equalities along each kind of path."""
    attributes, further = EFFECTS[effect]
    extra = f"<tendon>{PATHS[path].format(attributes)}</tendon>{further}"
    model = mujoco.MjModel.from_xml_string(ARM.format(extra=extra))
    double, single = errors(model)
    # MuJoCo finds the point inside of a ring to 1e-6.
    assert double.max() < (1e-6 if path == "inside" else 1e-8), double
    assert np.quantile(single, 0.9) < 5e-4, single


@pytest.mark.parametrize("path", ["sphere", "sided", "inside", "cylinder"])
def test_those_tendons_go_around_their_geoms_in_some_states_and_not_in_others(path) -> None:
    """In the states of the test above, so that it sees both."""
    extra = f"<tendon>{PATHS[path].format('')}</tendon>"
    model = mujoco.MjModel.from_xml_string(ARM.format(extra=extra))
    data, counts = mujoco.MjData(model), set()
    for qpos in random_states(model)[0]:
        data.qpos[:] = qpos
        mujoco.mj_forward(model, data)
        counts.add(int(data.ten_wrapnum[0]))
    assert len(counts) > 1


EQUALITIES = {
    "joint": '<joint joint1="knee" joint2="pitch" polycoef=".1 .8 -.3 .2 .1"/>',
    "joint alone": '<joint joint1="swing" polycoef=".3 0 0 0 0"/>',
    "connect": '<connect body1="hand" body2="other" anchor=".1 .02 -.05"/>',
    "connect to the world": '<connect body1="stray" anchor=".05 .02 0"/>',
    "connect of a chain": '<connect body1="hand" body2="upper" anchor=".1 .02 -.05"/>',
    "connect of sites": '<connect site1="palm" site2="eye"/>',
    "weld": '<weld body1="stray" body2="hand" torquescale=".4"/>',
    "weld to the world": '<weld body1="lower" torquescale="2"/>',
    "weld with a pose": (
        '<weld body1="hand" body2="other" anchor=".1 .2 0" relpose=".2 .1 0 .8 .1 .5 .3"/>'
    ),
    "weld of sites": '<weld site1="b" site2="eye" torquescale=".7"/>',
    "two": (
        '<connect body1="hand" body2="stray" anchor="0 0 0"/><joint joint1="knee" joint2="yaw"/>'
    ),
}


@pytest.mark.parametrize("solver", ["", 'solref=".05 .7" solimp=".5 .97 .3 .4 2"'])
@pytest.mark.parametrize("kind", EQUALITIES)
def test_equalities_of_all_kinds_hold_like_mujocos(kind, solver) -> None:
    """Between joints, points and bodies, far from being fulfilled."""
    text = EQUALITIES[kind].replace("/>", f" {solver}/>")
    model = mujoco.MjModel.from_xml_string(ARM.format(extra=f"<equality>{text}</equality>"))
    double, single = errors(model)
    assert double.max() < 1e-8, double
    assert np.quantile(single, 0.9) < 1e-3, single


def test_rows_of_a_world_do_not_depend_on_its_neighbours() -> None:
    """The same bits alone and beside others in a vector."""
    extra = (
        f"<tendon>{CYLINDER.format(EFFECTS['limits'][0])}</tendon><equality>"
        f"{EQUALITIES['weld of sites']}{EQUALITIES['joint']}</equality>"
    )
    model = mujoco.MjModel.from_xml_string(ARM.format(extra=extra))
    qpos, qvel = random_states(model, 24)
    together = fused_step(model, qpos, qvel, SINGLE)
    for i in range(0, 24, 5):
        alone = fused_step(model, qpos[i : i + 1], qvel[i : i + 1], SINGLE)
        np.testing.assert_array_equal(alone[0], together[i])


def test_masses_of_each_world_weigh_in_its_rows(tmp_path) -> None:
    """Inverse inertias of tendons and equalities follow each world's own masses, as in MuJoCo."""
    extra = (
        f"<tendon>{STRAIGHT.format(EFFECTS['limits'][0])}</tendon>"
        f"<equality>{EQUALITIES['connect']}{EQUALITIES['joint alone']}</equality>"
    )
    path = tmp_path / "arm.xml"
    path.write_text(ARM.format(extra=extra))
    after = []
    for engine in ("fused", "mujoco"):
        scene = SceneSpec(path, {}, parameters=("body_mass",))
        sim = make_simulator(engine, scene, Timing(0.002, 4), 8)
        factor = torch.linspace(0.3, 3.0, 8)[:, None].expand_as(sim.parameters["body_mass"])
        sim.set_parameter("body_mass", sim.parameters["body_mass"] * factor)
        for _ in range(3):
            sim.step()
        sim.refresh()
        after.append(sim.state.joint_vel.clone())
    assert (after[0] - after[1]).abs().max() < 2e-3
    assert (after[0][0] - after[0][-1]).abs().max() > 0.05


_KNEE = '<joint joint="knee" coef="1"/></fixed></tendon>'
REFUSED = {
    "armature": '<tendon><fixed name="t" armature="1" stiffness="1">' + _KNEE,
    "actuatorfrcrange": '<tendon><fixed name="t" actuatorfrcrange="-1 1" stiffness="1">' + _KNEE,
    "single precision": (
        '<equality><joint name="t" joint1="knee" solimp=".9999 .9999 .001"/></equality>'
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_it_lacks_is_refused_by_name(reason) -> None:
    """Naming the tendon or the constraint."""
    model = mujoco.MjModel.from_xml_string(ARM.format(extra=REFUSED[reason]))
    (said,) = accept(model)
    assert reason in said
    assert "'t'" in said


def test_tendons_without_effect_cost_nothing() -> None:
    """A tendon that only sensors could read is left out."""
    second = STRAIGHT.format('stiffness="1"').replace('name="t"', 'name="s"')
    extra = f"<tendon>{FIXED.format('')}{second}</tendon>"
    assert acting_tendons(mujoco.MjModel.from_xml_string(ARM.format(extra=extra))) == [1]
