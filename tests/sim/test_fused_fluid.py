"""Fluids around the bodies in the fused engine, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.errors import UnsupportedModel
from rlgpu.sim.mujoco.batch import BatchWorlds
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.test_fused import exact
from tests.sim.test_fused_actuators import States, mujocos, ours
from tests.sim.test_fused_balls import errors, quaternions, unit

SWIMMER = """<mujoco><compiler autolimits="true"/>
<option integrator="implicitfast" timestep="0.004" {}/>
<default><geom type="box" size=".12 .05 .02" density="300" contype="0" conaffinity="0"/></default>
<worldbody>
  <body pos="0 0 .5" quat=".9 .1 .3 .2"><freejoint/><geom pos=".02 .01 0" quat=".8 .1 .3 .1"/>
    <body pos=".2 0 .02" quat=".8 .3 .1 .2"><joint axis=".2 1 0" damping=".01"/>
      <geom pos=".1 0 0" quat=".9 .1 .1 .3"/>
      <body pos=".2 .05 0"><joint name="b" type="ball"/><geom pos=".1 .02 0"/>
        <body pos=".2 0 0"><geom size=".02"/></body></body>
      <body pos=".2 -.05 0"><joint type="slide" axis="0 1 .2"/><geom pos=".1 0 0"/></body></body>
    <body pos="-.1 0 0"><joint axis="0 0 1"/><geom quat=".7 .1 .1 .1"/></body></body>
  <body pos="1 0 1"><freejoint/><geom pos=".03 .01 .02" quat=".9 .3 .2 .1"/></body>
  <body pos="2 0 1"><joint axis="0 1 0" pos="0 0 .1"/><geom quat=".9 .3 .2 .1"/></body>
</worldbody>
<actuator><position joint="b" gear="1 .2 .3" kp=".3" kv=".05"/></actuator></mujoco>"""
FLUIDS = {
    "air": 'density="1.2" viscosity="1.8e-5"',
    "water": 'density="1000" viscosity="0.0009"',
    "honey": 'density="1400" viscosity="10"',
    "a viscous fluid without inertia": 'viscosity="0.5"',
    "wind": 'density="1.2" wind="5 -3 2"',
    "wind of nothing": 'wind="5 -3 2"',
    "water without springs": 'density="1000"',
    "water without springs and dampers": 'density="1000"',
}
FLAGS = mujoco.mjtDisableBit


def model_of(fluid: str) -> mujoco.MjModel:
    """Returns a swimmer, a falling leaf and a flap in a fluid."""
    model = exact(mujoco.MjModel.from_xml_string(SWIMMER.format(FLUIDS[fluid])))
    if "without springs" in fluid:
        model.opt.disableflags |= FLAGS.mjDSBL_SPRING
    if "dampers" in fluid:
        model.opt.disableflags |= FLAGS.mjDSBL_DAMPER
    assert accept(model) == []
    return model


def states_of(model: mujoco.MjModel, count: int = 64) -> States:
    """Returns qpos, qvel of some m/s and rad/s, no activations, and ctrl."""
    rng = np.random.default_rng(0)
    qpos = rng.uniform(-0.5, 0.5, (count, model.nq))
    for address in quaternions(model):
        qpos[:, address : address + 4] = unit(rng.normal(size=(count, 4)))
    qvel = 3.0 * rng.normal(size=(count, model.nv))
    return qpos, qvel, np.zeros((count, 0)), rng.uniform(-1, 1, (count, model.nu))


@pytest.mark.parametrize("fluid", FLUIDS)
def test_a_step_in_double_precision_is_mujocos(fluid) -> None:
    """Velocities to 1e-10 of their change."""
    model = model_of(fluid)
    assert errors(model, states_of(model), torch.float64).max() < 1e-10


@pytest.mark.parametrize("lanes", [0, 4, 8, 16])
@pytest.mark.parametrize("fluid", FLUIDS)
def test_a_step_in_single_precision_is_close(fluid, lanes) -> None:
    """Velocities to 5e-6 of their change in half of the states, to 1e-4 in all."""
    model = model_of(fluid)
    found = errors(model, states_of(model), torch.float32, lanes)
    assert np.median(found) < 5e-6
    assert found.max() < 1e-4


@pytest.mark.parametrize("lanes", [4, 8])
def test_worlds_do_not_depend_on_their_neighbours(lanes) -> None:
    """Equal bits in another order."""
    model = model_of("water")
    states = states_of(model)
    order = np.random.default_rng(1).permutation(len(states[0]))
    try:
        together = ours(model, 2, torch.float32, states, lanes=lanes)
    except ValueError as error:
        pytest.skip(str(error))
    shuffled = ours(model, 2, torch.float32, tuple(x[order] for x in states), lanes=lanes)
    for first, second in zip(together, shuffled, strict=True):
        assert np.array_equal(first[order], second)


def test_a_ball_falls_at_its_terminal_velocity() -> None:
    """Stokes' drag of a ball, 3 pi d mu v, carries its weight of 9.81 mN at 0.1041 m/s."""
    # Its box has sides of sqrt(6 I / m) = sqrt(2.4) r = 10 mm, which MuJoCo takes for the diameter.
    model = mujoco.MjModel.from_xml_string("""<mujoco>
      <option integrator="implicitfast" viscosity="1" gravity="0 0 -9.81"/><worldbody>
      <body><freejoint/><geom size=".006455" mass=".001"/></body></worldbody></mujoco>""")
    worlds = FusedWorlds(model, 3)
    worlds.step(500)
    np.testing.assert_allclose(worlds.array("qvel")[:, 2].numpy(), -0.1041, rtol=1e-3)
    assert not worlds.array("qvel")[:, 3:].any()


def test_masses_of_each_world_change_its_drag() -> None:
    """As in MuJoCo with the same masses and inertias."""
    model = model_of("water")
    states = [torch.tensor(x[:4]) for x in states_of(model)]
    after = []
    for engine in (FusedWorlds, BatchWorlds):
        worlds = engine(model, 4, fields=["body_mass", "body_inertia"])
        scale = torch.arange(1.0, 5.0).double()
        worlds.field("body_mass")[:] *= scale[:, None]
        worlds.field("body_inertia")[:] *= (scale**2)[:, None, None]
        worlds.fields_written(["body_mass", "body_inertia"])
        for name, value in zip(("qpos", "qvel", "ctrl"), (*states[:2], states[3]), strict=True):
            worlds.array(name).copy_(value)
        worlds.step(1)
        after.append(worlds.array("qvel").double())
    torch.testing.assert_close(*after, atol=2e-4, rtol=0)
    assert np.abs(mujocos(model, 1, states_of(model, 4))[1] - after[1].numpy())[1:].max() > 0.1


def test_the_ellipsoid_model_is_refused_in_a_fluid_only() -> None:
    """With the geom that has it."""
    text = SWIMMER.replace('<geom size=".02"/>', '<geom name="e" fluidshape="ellipsoid"/>')
    assert accept(mujoco.MjModel.from_xml_string(text.format(""))) == []
    (reason,) = accept(mujoco.MjModel.from_xml_string(text.format('density="1"')))
    assert "'e'" in reason


def test_inertial_axes_that_differ_are_refused_in_a_fluid() -> None:
    """The boxes that stand for the bodies are those of the model."""
    with pytest.raises(UnsupportedModel, match="inertial axes"):
        FusedWorlds(model_of("water"), 2, fields=["body_iquat"])
