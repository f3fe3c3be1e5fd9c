"""Ball joints, and springs of free joints, in the fused engine, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.test_fused import exact
from tests.sim.test_fused_actuators import States, mujocos, ours

ROBOT = """<mujoco><compiler autolimits="true"/>
<option integrator="implicitfast" timestep="0.004" {flags}/>
<default><geom type="capsule" size=".04" density="700"/></default>
<worldbody>{world}
  <body pos="0 0 .5" quat=".9 .1 .3 .2"><joint name="a" type="ball" pos=".01 .02 -.03" {a}/>
    <geom fromto="0 0 0 .25 .05 .02" contype="{touch}"/>
    <body pos=".25 .05 .02" quat=".8 .3 .1 .2"><joint type="slide" axis="1 .2 0" stiffness="50"/>
      <joint name="b" type="ball" {b}/>
      <geom fromto="0 0 0 .25 .05 .02" contype="{touch}" conaffinity="0"/>
      <body pos=".25 .05 .02"><joint name="c" axis=".2 1 0" damping=".2"/>
        <joint name="d" type="ball" pos=".02 0 .01" armature=".01"/>
        <joint type="slide" axis="0 0 1" damping="2"/>
        <geom fromto="0 0 0 .25 .05 .02"/></body></body></body>
  {more}</worldbody><actuator>{drives}</actuator></mujoco>"""
PARTS = {
    "nothing": {},
    "springs and dampers": {"a": 'stiffness="3" damping="0.2"', "b": 'stiffness="2"'},
    "dry friction": {"a": 'frictionloss="0.3"', "b": 'frictionloss="0.1" damping="0.1"'},
    "limits": {"a": 'range="0 40" margin="0.1"', "b": 'range="0 120" damping="0.1"'},
    "soft limits": {
        "a": 'range="0 30" solreflimit=".05 .8" solimplimit=".8 .9 .5 .4 2"',
        "b": 'range="0 60" solreflimit="-300 -5"',
    },
    "contacts and limits": {
        "a": 'range="0 40"',
        "b": 'range="0 90" frictionloss="0.1"',
        "world": '<geom type="plane" size="9 9 1" conaffinity="1" pos="0 0 .4"/>',
        "touch": "1",
    },
    "elliptic contacts and limits": {
        "a": 'range="0 40"',
        "world": '<geom type="plane" size="9 9 1" conaffinity="1" pos="0 0 .4" condim="4"/>',
        "touch": "1",
        "flags": 'cone="elliptic"',
    },
    "motors": {
        "drives": """<motor joint="a" gear="2 .5 -1"/><motor joint="b" gear="0 1 0"/>
        <motor joint="d" gear="1 1 3" ctrlrange="-.5 .5"/><motor joint="c" gear="2"/>"""
    },
    "servos": {
        "drives": """<position joint="a" gear="1 0 0" kp="8" kv=".5"/>
        <position joint="a" gear="0 .8 0" kp="9" kv=".2" forcerange="-4 4"/>
        <position joint="b" gear=".1 .2 .1" kp="20" kv="3"/>
        <velocity joint="d" gear="0 0 2" kv=".3"/>"""
    },
    "servos of the parent's axes": {
        "drives": """<position jointinparent="a" gear="1 .5 0" kp="8" kv=".5"/>
        <motor jointinparent="b" gear="1 .1 .2"/>
        <position jointinparent="c" kp="3"/>"""
    },
    "a free body with springs": {
        "more": """<body pos="1 0 .6"><joint name="f" type="free" stiffness="4" damping=".1"/>
        <geom type="box" size=".1 .12 .08" pos=".02 .01 0"/></body>"""
    },
}


def model_of(part: str) -> mujoco.MjModel:
    """Returns a robot with ball joints and some further parts."""
    none = dict.fromkeys(("flags", "world", "a", "b", "more", "drives"), "") | {"touch": "0"}
    model = exact(mujoco.MjModel.from_xml_string(ROBOT.format(**none | PARTS[part])))
    rng = np.random.default_rng(2)
    for address in quaternions(model):
        model.qpos_spring[address : address + 4] = unit(rng.normal(size=4))
    assert accept(model) == []
    return model


def quaternions(model: mujoco.MjModel) -> list[int]:
    """Returns where quaternions begin in qpos."""
    ball, free = int(mujoco.mjtJoint.mjJNT_BALL), int(mujoco.mjtJoint.mjJNT_FREE)
    return [
        int(address) + 3 * (kind == free)
        for kind, address in zip(model.jnt_type, model.jnt_qposadr, strict=True)
        if kind in (ball, free)
    ]


def unit(values: np.ndarray) -> np.ndarray:
    """Returns vectors scaled to length 1."""
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def states_of(model: mujoco.MjModel, count: int = 64) -> States:
    """Returns qpos with rotations of all sizes, qvel, act and ctrl."""
    rng = np.random.default_rng(0)
    qpos = rng.uniform(-0.2, 0.2, (count, model.nq))
    for address in quaternions(model):
        qpos[:, address : address + 4] = unit(rng.normal(size=(count, 4)))
    qvel = rng.normal(size=(count, model.nv))
    return (
        qpos,
        qvel,
        rng.uniform(-20, 20, (count, model.na)),
        rng.uniform(-25, 25, (count, model.nu)),
    )


def errors(model: mujoco.MjModel, states: States, dtype: torch.dtype, lanes: int = 0) -> np.ndarray:
    """Returns the largest errors of velocities after a step, relative to 1 + their changes."""
    wanted = mujocos(model, 1, states)[1]
    try:
        found = ours(model, 1, dtype, states, lanes=lanes)[1]
    except ValueError as error:
        pytest.skip(str(error))
    changes = np.abs(wanted - states[1]).max(axis=1)
    return np.abs(found - wanted).max(axis=1) / (1.0 + changes)


@pytest.mark.parametrize("part", PARTS)
def test_a_step_in_double_precision_is_mujocos(part) -> None:
    """Velocities to 1e-10 of their change."""
    model = model_of(part)
    assert errors(model, states_of(model), torch.float64).max() < 1e-10


@pytest.mark.parametrize("lanes", [0, 4, 8, 16])
@pytest.mark.parametrize("part", PARTS)
def test_a_step_in_single_precision_is_close(part, lanes) -> None:
    """Velocities to 5e-6 of their change, of up to 100 rad/s, in half of the states."""
    model = model_of(part)
    found = errors(model, states_of(model), torch.float32, lanes)
    assert np.median(found) < 5e-6
    assert found.max() < 1e-4


@pytest.mark.parametrize("disabled", [0, int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)])
@pytest.mark.parametrize("early", ["false", "true"])
@pytest.mark.parametrize("kind", ["integrator", "filter", "filterexact"])
def test_setpoints_turn_by_whole_turns_as_mujocos_do(kind, early, disabled) -> None:
    """Activations and controls of several turns, of which MuJoCo takes the nearest."""
    general = f"""<general joint="a" gear="1 .2 0" dyntype="{kind}" dynprm=".05" actearly="{early}"
      gainprm="{{}}" biastype="affine" biasprm="0 -5 -.1" actrange="-18 18" actlimited="true"/>"""
    drives = general.format(5) + general.format(4)  # the second is no servo
    none = dict.fromkeys(("flags", "world", "a", "b", "more"), "") | {"touch": "0"}
    model = mujoco.MjModel.from_xml_string(ROBOT.format(**none, drives=drives))
    model.opt.disableflags = disabled
    states = states_of(model)
    for found, wanted in zip(
        ours(model, 3, torch.float64, states), mujocos(model, 3, states), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


TURNS = [1e-6, 1e-4, 0.01, 0.5, 1.5, 2.0, 3.0, np.pi - 1e-3, np.pi - 1e-5]
"""Angles [rad] from near none to near half a turn."""


@pytest.mark.parametrize("angle", [*TURNS, *(-angle for angle in TURNS)])
def test_the_torque_of_a_spring_is_exact_at_any_angle(angle) -> None:
    """To 1e-6 of itself, in single precision, where the rotation is nearly none or half a turn."""
    model = mujoco.MjModel.from_xml_string("""<mujoco>
      <option integrator="implicitfast" gravity="0 0 0"/><worldbody>
      <body><joint type="ball" stiffness="2"/><geom size=".1" mass="1"/></body></worldbody></mujoco>
    """)
    axes = unit(np.random.default_rng(0).normal(size=(32, 3)))
    qpos = np.concatenate((np.full((32, 1), np.cos(angle / 2)), np.sin(angle / 2) * axes), axis=1)
    nothing = np.zeros((32, 0))
    qvel = ours(model, 1, torch.float32, (qpos, np.zeros((32, 3)), nothing, nothing))[1]
    # Torque 2 N m/rad, inertia 2/5 m r^2, timestep 2 ms.
    wanted = -2.0 * angle * axes / (0.4 * 0.01) * 0.002
    assert np.abs(qvel - wanted).max() < 1e-6 * abs(2.0 * angle)


def test_worlds_do_not_depend_on_their_neighbours() -> None:
    """Equal bits in another order, with limits that act in some worlds only."""
    model = model_of("contacts and limits")
    states = states_of(model)
    order = np.random.default_rng(1).permutation(len(states[0]))
    together = ours(model, 2, torch.float32, states)
    shuffled = ours(model, 2, torch.float32, tuple(x[order] for x in states))
    for first, second in zip(together, shuffled, strict=True):
        assert np.array_equal(first[order], second)


def test_a_chain_of_ball_joints_swings_as_mujocos_does() -> None:
    """Two seconds of a pendulum that hits its limit, to 1e-3."""
    model = mujoco.MjModel.from_xml_string("""<mujoco><compiler autolimits="true"/>
      <option integrator="implicitfast" timestep="0.002"/><worldbody>
      <body><joint type="ball" range="0 70" damping=".02"/><geom size=".05" pos=".3 .1 0"/>
        <body pos=".3 .1 0"><joint type="ball" damping=".02"/><geom size=".05" pos=".2 0 .1"/>
        </body></body></worldbody></mujoco>""")
    data, worlds = mujoco.MjData(model), FusedWorlds(model, 1)
    data.qvel[:] = 1.0
    worlds.array("qvel").fill_(1.0)
    mujoco.mj_step(model, data, 1000)
    worlds.step(1000)
    np.testing.assert_allclose(worlds.array("qpos")[0].numpy(), data.qpos, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", ["ball", "free"])
def test_limits_of_actuator_forces_on_a_whole_joint_are_refused(kind) -> None:
    """MuJoCo's compiler does not set them, a program may."""
    model = mujoco.MjModel.from_xml_string(f"""<mujoco><option integrator="implicitfast"/>
      <worldbody><body><joint name="j" type="{kind}"/><geom size=".1"/></body></worldbody>
      </mujoco>""")
    assert accept(model) == []
    model.jnt_actfrclimited[0] = True
    assert any("'j'" in reason for reason in accept(model))
