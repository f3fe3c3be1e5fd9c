"""Actuators at sites on the fused engine, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.sim.mujoco.fused.coverage import accept
from tests.sim.test_fused_actuators import mujocos, ours

ROBOT = """<mujoco><compiler autolimits="true"/><option integrator="implicitfast" timestep="0.004"/>
<default><geom type="capsule" size=".03" fromto="0 0 0 .2 .05 0" contype="0" conaffinity="0"/>
  <joint damping="0.1" armature="0.01"/><site size=".01"/></default>
<worldbody><site name="ground" pos=".3 .1 .2" euler="20 30 40"/>
  <body name="base" pos="0 0 1"><freejoint/><geom/><site name="base" pos=".1 0 .1" euler="10 0 50"/>
    <body pos=".2 .05 0"><joint axis="0 1 0"/><geom/>
      <body pos=".2 .05 0"><joint type="ball"/><geom/>
        <site name="hand" pos=".1 .05 .02" euler="30 -10 20"/></body></body>
    <body pos="-.1 .05 0" quat=".8 .1 .3 .2"><joint axis=".2 .1 1"/><geom/>
      <body pos=".2 .05 0"><joint type="slide" axis="1 0 0" actuatorfrcrange="-3 3"/><geom/>
        <site name="foot" pos=".1 .05 .02" euler="-30 70 20"/></body></body></body>
  <body name="other" pos="0 -1 1"><joint axis="1 .3 .2"/><geom/>
    <site name="other" pos=".1 0 0" euler="5 6 7"/></body>
</worldbody><actuator>{}</actuator></mujoco>"""
SERVO = 'biastype="affine" gainprm="4" biasprm="0.3 -4 -0.8"'
KINDS = {
    "a thruster": '<motor site="base" gear="1 -2 3 0 0 0"/>',
    "a thruster that turns": '<motor site="hand" gear="2 0 1 .2 -.3 .4" ctrlrange="-1 1"/>',
    "a damper in the site's axes": f'<general site="hand" gear="1 0 .5 .1 .4 0" {SERVO}/>',
    "a position relative to the world": f"""
      <general site="hand" refsite="ground" gear="1 .4 -.5 0 0 0" {SERVO}/>""",
    "a rotation relative to the world": f"""
      <general site="hand" refsite="ground" gear="0 0 0 1 .4 -.5" {SERVO}/>""",
    "a pose relative to an ancestor": f"""
      <general site="hand" refsite="base" gear=".3 .4 1 .3 -1 .2" {SERVO}/>""",
    "a pose of two limbs": f"""
      <general site="hand" refsite="foot" gear=".3 .4 1 .3 -1 .2" {SERVO}/>""",
    "a pose of two trees": f"""
      <general site="foot" refsite="other" gear=".3 .4 1 .3 -1 .2" {SERVO}/>""",
    "a site of the world": '<motor site="ground" gear="1 2 3 4 5 6"/>',
    "a saturated joint": '<motor site="foot" gear="9 2 -9 0 0 0"/>',
    "several with state": f"""
      <general site="hand" refsite="base" gear="0 0 0 .3 -1 .2" dyntype="integrator" {SERVO}
        actrange="-9 9"/>
      <general site="foot" refsite="hand" gear="1 0 0 0 0 0" dyntype="filter" dynprm=".05" {SERVO}/>
      <general site="foot" gear="1 0 1 0 .2 0" gaintype="affine" gainprm="2 0 -.4"
        forcerange="-1 1"/>""",
}


def model_of(kind: str) -> mujoco.MjModel:
    """Returns the robot with actuators of a kind."""
    model = mujoco.MjModel.from_xml_string(ROBOT.format(KINDS[kind]))
    assert accept(model) == []
    return model


def states_of(model: mujoco.MjModel) -> tuple[np.ndarray, ...]:
    """Returns qpos, qvel, act and ctrl, of controls that are several turns away as well."""
    rng, count = np.random.default_rng(0), 24
    qpos = rng.normal(size=(count, model.nq))
    for joint in range(model.njnt):
        kind, first = model.jnt_type[joint], model.jnt_qposadr[joint]
        if kind in (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_BALL):
            quat = qpos[:, first + 3 * (kind == mujoco.mjtJoint.mjJNT_FREE) :][:, :4]
            quat /= np.linalg.norm(quat, axis=1, keepdims=True)
    return (
        qpos,
        rng.normal(size=(count, model.nv)),
        rng.uniform(-9.0, 9.0, (count, model.na)),
        rng.uniform(-9.0, 9.0, (count, model.nu)),
    )


@pytest.mark.parametrize("num_steps", [1, 10])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_in_double_precision_are_mujocos(kind, num_steps) -> None:
    """Positions, velocities and activations to 1e-9."""
    model = model_of(kind)
    states = states_of(model)
    found = ours(model, num_steps, torch.float64, states)
    for one, wanted in zip(found, mujocos(model, num_steps, states), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lanes", [0, 4, 8, 16])
@pytest.mark.parametrize("kind", ["a pose relative to an ancestor", "several with state"])
def test_a_step_in_single_precision_is_close(kind, lanes) -> None:
    """Velocities and activations to five millionths of the largest."""
    model = model_of(kind)
    states = states_of(model)
    try:
        _, qvel, act = ours(model, 1, torch.float32, states, lanes=lanes)
    except ValueError as error:
        pytest.skip(str(error))
    _, wanted_qvel, wanted_act = mujocos(model, 1, states)
    for found, wanted in ((qvel, wanted_qvel), (act, wanted_act)):
        largest = np.abs(wanted).max(initial=1.0)
        np.testing.assert_allclose(found, wanted, atol=5e-6 * largest, rtol=0)
