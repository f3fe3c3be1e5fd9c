"""Actuators that pull bodies towards what they touch, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.test_fused_actuators import mujocos, ours

GRIPPER = """<mujoco><compiler autolimits="true"/>
<option integrator="implicitfast" timestep="0.002" iterations="200" tolerance="1e-14"
  cone="{cone}"/>
<default><joint damping="0.2" armature="0.01"/>
  <geom condim="{condim}" margin="0.001" {geom}/></default>
<worldbody><geom name="floor" type="plane" size="3 3 1"/>
  <body name="arm" pos="0 0 .5"><joint axis="0 1 0"/>
    <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
    <body name="hand" pos=".3 0 0"><joint axis="0 1 0"/><joint type="slide" axis="0 0 1"/>
      <geom type="box" size=".06 .05 .02" pos=".05 0 0"/>
      <geom type="sphere" size=".03" pos=".15 0 0"/></body></body>
  <body name="cube" pos=".36 0 .449"><freejoint/>
    <geom type="box" size=".05 .04 .03" mass=".3"/></body>
  <body name="ball" pos=".45 0 .441"><freejoint/><geom size=".03" mass=".1"/></body>
  <body name="foot" pos="1 0 .0495"><freejoint/><geom type="capsule" size=".05 .1" euler="90 0 0"/>
  </body></worldbody>
<actuator>{actuators}</actuator></mujoco>"""
ADHESION = '<adhesion body="hand" ctrlrange="0 1" gain="20"/>'
SEVERAL = f"""{ADHESION}<adhesion body="foot" ctrlrange="0 1" gain="9"/>
  <general body="cube" dyntype="filter" dynprm=".01" gainprm="4" biastype="affine"
    biasprm=".1 -3 -2" gear="7"/>"""


def model_of(**changes: str) -> mujoco.MjModel:
    """Returns an arm with an adhesive hand, with other values of the placeholders."""
    texts = {"cone": "pyramidal", "condim": "3", "geom": "", "actuators": SEVERAL} | changes
    model = mujoco.MjModel.from_xml_string(GRIPPER.format(**texts))
    assert accept(model) == []
    return model


def states_of(model: mujoco.MjModel) -> tuple[np.ndarray, ...]:
    """Returns qpos, qvel, act and ctrl, a millimetre or so around the pose with all contacts."""
    rng, count = np.random.default_rng(0), 24
    qpos = model.qpos0 + rng.normal(size=(count, model.nq)) * 1e-3
    return (
        qpos,
        rng.normal(size=(count, model.nv)) * 0.1,
        rng.uniform(0.0, 1.0, (count, model.na)),
        rng.uniform(-0.5, 1.5, (count, model.nu)),
    )


CASES = {
    "pyramids": {},
    "without friction": {"condim": "1"},
    "spin": {"condim": "4"},
    "cones": {"cone": "elliptic"},
    "gaps": {"geom": 'gap="0.004"'},
    "one": {"actuators": ADHESION},
}


@pytest.mark.parametrize("num_steps", [1, 10])
@pytest.mark.parametrize("case", CASES)
def test_steps_in_double_precision_are_mujocos(case, num_steps) -> None:
    """Positions, velocities and activations, in states of which most have contacts.

    To 1e-8, but 1e-6 with elliptic cones, for which the solvers stop earlier.
    """
    model = model_of(**CASES[case])
    states = states_of(model)
    found = ours(model, num_steps, torch.float64, states)
    for one, wanted in zip(found, mujocos(model, num_steps, states), strict=True):
        atol = 1e-6 if case == "cones" else 1e-8
        np.testing.assert_allclose(one, wanted, rtol=1e-8, atol=atol)


@pytest.mark.parametrize("lanes", [0, 4, 8, 16])
def test_a_step_in_single_precision_is_close(lanes) -> None:
    """Velocities to 2e-4."""
    model = model_of(geom='gap="0.004"')
    states = states_of(model)
    try:
        _, qvel, _ = ours(model, 1, torch.float32, states, lanes=lanes)
    except ValueError as error:
        pytest.skip(str(error))
    np.testing.assert_allclose(qvel, mujocos(model, 1, states)[1], atol=2e-4, rtol=0)


def test_a_ball_hangs_from_a_ceiling_until_its_actuator_stops() -> None:
    """The pull is 20 N against a weight of 9.81 N, then none: it falls g t^2 / 2."""
    model = mujoco.MjModel.from_xml_string("""<mujoco>
      <option integrator="implicitfast" timestep="0.002"/><worldbody>
      <geom type="box" size="1 1 .1" pos="0 0 1.1"/><body name="ball" pos="0 0 .9">
      <freejoint/><geom size=".1" mass="1" margin=".002"/></body></worldbody>
      <actuator><adhesion body="ball" ctrlrange="0 1" gain="20"/></actuator></mujoco>""")
    worlds = FusedWorlds(model, 2)
    worlds.array("ctrl").copy_(torch.tensor([[1.0], [0.4]]))
    worlds.step(250)
    height = worlds.array("qpos")[:, 2].tolist()
    assert height[0] == pytest.approx(0.9, abs=2e-3)
    assert height[1] < 0.5
    worlds.array("ctrl").zero_()
    worlds.step(100)
    assert height[0] - worlds.array("qpos")[0, 2].item() == pytest.approx(
        0.5 * 9.81 * 0.04, rel=0.05
    )
