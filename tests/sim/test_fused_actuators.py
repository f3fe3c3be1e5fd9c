"""The fused engine's actuators: affine gains and internal state, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.batch import BatchWorlds
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tables import Tables
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds

ARM = """<mujoco><compiler autolimits="true"/><option integrator="implicitfast" timestep="0.004"/>
<default><geom type="capsule" fromto="0 0 0 .2 .05 0" size=".03" contype="0" conaffinity="0"/>
</default><worldbody><body><joint name="a" axis="0 1 0" damping="0.1"/><geom/>
  <body pos=".2 .05 0"><joint name="b" axis=".1 .2 1" damping="0.1"/><geom/>
    <body pos=".2 .05 0"><joint name="c" type="slide" axis="1 0 0" damping="1"
      actuatorfrcrange="-30 30"/><geom/></body></body></body></worldbody>
<actuator>{}</actuator></mujoco>"""
KINDS = {
    "an affine gain": """<general joint="a" gaintype="affine" gainprm="2 -3 -0.8"
      biastype="affine" biasprm="0.1 -1 -0.2" gear="1.5" ctrlrange="-1 1"/>""",
    "a saturated affine gain": """<general joint="a" gaintype="affine" gainprm="9 -3 -2"
      forcerange="-2 2"/>""",
    "an integrator": '<intvelocity joint="a" kp="9" kv="0.3" actrange="-0.4 0.4"/>',
    "a filter": '<general joint="b" dyntype="filter" dynprm="0.03" gainprm="3"/>',
    "an exact filter": """<general joint="b" dyntype="filterexact" dynprm="0.005" gainprm="3"
      biastype="affine" biasprm="0 -2 -0.5" actrange="-0.5 0.7" ctrlrange="-0.9 0.9"/>""",
    "activations that act early": """
      <general joint="a" dyntype="filterexact" dynprm="0.01" gainprm="3" actearly="true"/>
      <general joint="b" dyntype="integrator" gainprm="4" actearly="true" actrange="-.2 .2"/>
      <general joint="c" dyntype="filter" dynprm="0.02" gainprm="50" actearly="true"/>""",
    "several, some without state": """
      <motor joint="a" gear="2"/>
      <general joint="b" dyntype="filter" dynprm="0.03" gaintype="affine" gainprm="2 -.5 -.9"/>
      <position joint="b" kp="5" kv="0.4"/>
      <general joint="c" dyntype="integrator" gaintype="affine" gainprm="40 5 -3" group="3"/>
      <general joint="c" dyntype="filterexact" dynprm="0.02" gainprm="60" actearly="true"
        actrange="-.1 .6"/>""",
}
STATES = 24


States = tuple[np.ndarray, ...]
"""Of qpos, qvel, act and ctrl."""


def model_of(kind: str) -> mujoco.MjModel:
    """Returns an arm with actuators of a kind."""
    model = mujoco.MjModel.from_xml_string(ARM.format(KINDS[kind]))
    assert accept(model) == []
    return model


def states_of(model: mujoco.MjModel) -> States:
    """Returns qpos, qvel, act and ctrl."""
    rng = np.random.default_rng(0)
    return (
        rng.uniform(-1.0, 1.0, (STATES, model.nq)),
        rng.normal(size=(STATES, model.nv)),
        rng.uniform(-0.5, 0.5, (STATES, model.na)),
        rng.uniform(-1.5, 1.5, (STATES, model.nu)),
    )


def mujocos(model: mujoco.MjModel, num_steps: int, states: States | None = None) -> States:
    """Returns MuJoCo's qpos, qvel and act after some steps from each state."""
    data, after = mujoco.MjData(model), []
    for qpos, qvel, act, ctrl in zip(*states or states_of(model), strict=True):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:], data.act[:], data.ctrl[:] = qpos, qvel, act, ctrl
        for _ in range(num_steps):
            mujoco.mj_step(model, data)
        after.append((data.qpos.copy(), data.qvel.copy(), data.act.copy()))
    return tuple(np.array(column) for column in zip(*after, strict=True))


def ours(
    model: mujoco.MjModel,
    num_steps: int,
    dtype: torch.dtype,
    states: States | None = None,
    *,
    lanes: int = 0,
) -> States:
    """Returns the fused engine's."""
    qpos, qvel, act, ctrl = (torch.tensor(x, dtype=dtype) for x in states or states_of(model))
    flags = torch.zeros(len(qpos), dtype=torch.bool)
    state = PhysicsState(qpos, qvel, torch.zeros_like(qvel), flags, act)
    physics_step(
        Tables(model).pack(dtype=dtype),
        ctrl,
        state,
        PhysicsOutputs(),
        num_steps=num_steps,
        num_threads=1,
        lanes=lanes,
    )
    return tuple(x.double().numpy() for x in (qpos, qvel, act))


@pytest.mark.parametrize("num_steps", [1, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_in_double_precision_are_mujocos(kind, num_steps) -> None:
    """Positions, velocities and activations to 1e-9."""
    model = model_of(kind)
    for found, wanted in zip(
        ours(model, num_steps, torch.float64), mujocos(model, num_steps), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lanes", [0, 4, 8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_in_single_precision_is_close(kind, lanes) -> None:
    """Velocities and activations to 1e-6."""
    model = model_of(kind)
    try:
        _, qvel, act = ours(model, 1, torch.float32, lanes=lanes)
    except ValueError as error:
        pytest.skip(str(error))
    _, wanted_qvel, wanted_act = mujocos(model, 1)
    np.testing.assert_allclose(qvel, wanted_qvel, atol=1e-6, rtol=0)
    np.testing.assert_allclose(act, wanted_act, atol=1e-6, rtol=0)


def test_an_actuator_in_a_disabled_group_keeps_its_activation() -> None:
    """It pushes nothing, and its activation stays, but for its range."""
    model = model_of("several, some without state")
    model.opt.disableactuator = 1 << 3
    model.actuator_group[-1] = 3
    for found, wanted in zip(ours(model, 5, torch.float64), mujocos(model, 5), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_worlds_keep_activations_as_mujoco_does() -> None:
    """Through steps, a reset of one world, and a saved state, bit for bit."""
    model = model_of("several, some without state")
    fused, batch = FusedWorlds(model, 3), BatchWorlds(model, 3)
    control = torch.tensor(states_of(model)[3][:3])
    for worlds in (fused, batch):
        worlds.array("ctrl").copy_(control)
        worlds.step(10)
    assert (fused.array("act") != 0).all()
    torch.testing.assert_close(fused.array("act"), batch.array("act").float(), atol=1e-5, rtol=0)
    saved = fused.state_dict()
    fused.step(5)
    after = fused.array("act").clone(), fused.array("qpos").clone()
    other = FusedWorlds(model, 3)
    other.load_state_dict(saved)
    other.step(5)
    assert torch.equal(other.array("act"), after[0])
    assert torch.equal(other.array("qpos"), after[1])
    none = torch.zeros(1, model.nq)
    for worlds in (fused, batch):
        zero = none.to(worlds.array("qpos").dtype)
        worlds.reset_rows(torch.tensor([1]), zero, zero)
        assert not worlds.array("act")[1].any()
        assert worlds.array("act")[0].all()
    fused.reset(torch.tensor([True, False, False]), none.expand(3, -1), none.expand(3, -1))
    assert fused.array("act").any(dim=1).tolist() == [False, False, True]


def test_an_activation_that_is_not_finite_restarts_its_world() -> None:
    """The others in its vector get the bits they would have got without it."""
    model = model_of("several, some without state")
    worlds, clean = FusedWorlds(model, 16), FusedWorlds(model, 16)
    for some in (worlds, clean):
        some.array("ctrl").fill_(0.5)
    worlds.array("act")[5, 1] = float("nan")
    worlds.step(2)
    clean.step(2)
    assert worlds.diverged.nonzero().flatten().tolist() == [5]
    assert not worlds.array("act")[5].any()
    others = torch.arange(16) != 5
    assert torch.equal(worlds.array("act")[others], clean.array("act")[others])


def test_gains_that_differ_between_worlds_keep_their_slopes() -> None:
    """The first number of each gain is a world's own, as in MuJoCo with the same fields."""
    model = model_of("several, some without state")
    states = [torch.tensor(x[:4]) for x in states_of(model)]
    after = []
    for engine in (FusedWorlds, BatchWorlds):
        worlds = engine(model, 4, fields=["actuator_gainprm"])
        worlds.field("actuator_gainprm")[:, :, 0] *= torch.arange(1.0, 5.0)[:, None].double()
        worlds.fields_written(["actuator_gainprm"])
        for name, value in zip(("qpos", "qvel", "act", "ctrl"), states, strict=True):
            worlds.array(name).copy_(value)
        worlds.step(1)
        after.append(worlds.array("qvel").double())
    torch.testing.assert_close(*after, atol=1e-6, rtol=0)


REFUSED = {
    "muscle": '<muscle joint="a" lengthrange="0 1"/>',
    "user": '<general joint="a" dyntype="user" actdim="1"/>',
    "has a gain": '<general joint="a" gaintype="user"/>',
    "has a bias": '<general joint="a" biastype="user"/>',
}


@pytest.mark.parametrize("reason", REFUSED)
def test_muscles_and_the_users_own_kinds_are_refused(reason) -> None:
    """Each with its reason."""
    reasons = accept(mujoco.MjModel.from_xml_string(ARM.format(REFUSED[reason])))
    assert any(reason in line for line in reasons), reasons


@pytest.mark.parametrize("kind", ["an integrator", "several, some without state"])
def test_disabled_actuation_keeps_activations(kind) -> None:
    """Even those beyond their ranges, and nothing acts."""
    model = model_of(kind)
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION
    assert accept(model) == []
    for found, expected in zip(ours(model, 4, torch.float64), mujocos(model, 4), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
