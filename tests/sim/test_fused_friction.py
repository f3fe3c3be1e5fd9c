"""The fused engine in single precision at any friction and ratio of masses, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.models import task_model
from tests.sim.test_fused import Recorded, exact

FRICTIONS = (0.0, 1e-5, 1e-3, 0.01, 0.03, 0.1, 1.0)
OPTION = '<option integrator="implicitfast" timestep="0.005"/>'
BALL = f"""<mujoco>{OPTION}<worldbody><geom type="plane" size="9 9 1"/>
  <body pos="0 0 0.15"><freejoint/><geom type="sphere" size="0.1" mass="1"/></body>
  </worldbody></mujoco>"""
BOX = f"""<mujoco>{OPTION}<worldbody><geom type="plane" size="9 9 1" euler="4 3 0"/>
  <body pos="0 0 0.25" euler="10 20 0"><freejoint/>
    <geom type="box" size="0.1 0.15 0.2" mass="3"/></body></worldbody></mujoco>"""


def model_of(name: str, friction: float) -> mujoco.MjModel:
    """Returns a model whose geoms have one friction coefficient."""
    text = {"ball": BALL, "box": BOX}.get(name)
    model = mujoco.MjModel.from_xml_string(text) if text else task_model(name)
    model.geom_friction[:, 0] = friction
    return exact(model)


@pytest.mark.parametrize("friction", FRICTIONS)
@pytest.mark.parametrize("name", ["ball", "box", "Ant", "Humanoid"])
def test_a_step_is_mujocos_at_any_friction(name, friction) -> None:
    """Velocities to 2e-4 in 99 of 100 worlds, with accelerations of hundreds to thousands."""
    model = model_of(name, friction)
    recorded = Recorded(model, 300)
    qvel = recorded.step(model, torch.float32)[1]
    errors = (qvel - recorded.after[1]).abs().amax(dim=1)
    largest = float(recorded.after[2].abs().max())
    assert errors.median() < 5e-5
    assert errors.quantile(0.98) < 2e-4 * max(1.0, largest / 1000)


@pytest.mark.parametrize("friction", [0.03, 0.1, 0.2, 0.28])
@pytest.mark.parametrize("joint", ['type="slide" axis="0.8 0 0.6"', 'axis="0.6 0.8 0"'])
def test_a_single_joint_that_drags_a_foot_steps_like_mujocos(joint, friction) -> None:
    """Its line search may end in balance at once; every world, relative to its acceleration."""
    model = exact(
        mujoco.MjModel.from_xml_string(
            f"""<mujoco>{OPTION}<worldbody><geom type="plane" size="9 9 1" friction="{friction}"/>
        <body pos="0 0 0.1"><joint {joint}/><geom type="sphere" size="0.1" mass="1" pos="0.05 0 0"
        friction="{friction}"/></body></worldbody></mujoco>"""
        )
    )
    rng = np.random.default_rng(1)
    qpos, qvel = rng.uniform(-0.01, 0.0, (64, 1)), rng.uniform(-1.0, 1.0, (64, 1))
    worlds = FusedWorlds(model, 64)
    worlds.reset(torch.ones(64, dtype=torch.bool), torch.tensor(qpos), torch.tensor(qvel))
    worlds.step(1)
    data, wanted = mujoco.MjData(model), np.zeros((64, 1))
    for row in range(64):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = qpos[row], qvel[row]
        mujoco.mj_step(model, data)
        wanted[row] = data.qacc
    found = worlds.array("qacc_warmstart").numpy()
    assert (np.abs(wanted) > 1.0).mean() > 0.5
    assert (np.abs(found - wanted) / (1.0 + np.abs(wanted))).max() < 2e-3


@pytest.mark.parametrize("friction", FRICTIONS)
@pytest.mark.parametrize("name", ["ball", "box", "Ant"])
def test_a_hundred_steps_are_mujocos_at_any_friction(name, friction) -> None:
    """A body that falls, bounces and slides is where MuJoCo C has it, to 2 mm or mrad."""
    model = model_of(name, friction)
    data, worlds = mujoco.MjData(model), FusedWorlds(model, 1)
    data.qvel[:] = np.random.default_rng(0).normal(size=model.nv)
    worlds.array("qvel")[0] = torch.tensor(data.qvel)
    mujoco.mj_step(model, data, 100)
    worlds.step(100)
    assert not worlds.diverged.any()
    assert np.abs(worlds.array("qpos")[0].numpy() - data.qpos).max() < 2e-3


def test_worlds_with_their_own_low_friction_step_like_their_own_models() -> None:
    """Boxes that slide down one slope with frictions that were drawn at a reset, none included."""
    worlds = FusedWorlds(model_of("box", 1.0), 5, fields=["geom_friction"])
    frictions = torch.tensor([0.0, 0.001, 0.03, 1.0])
    rows = torch.tensor([0, 1, 3, 4])
    worlds.field("geom_friction")[rows, :, 0] = frictions[:, None].double()
    worlds.fields_written(["geom_friction"], rows)
    worlds.step(200)
    for row, friction in zip(rows.tolist(), frictions.tolist(), strict=True):
        model = model_of("box", friction)
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data, 200)
        assert np.abs(worlds.array("qpos")[row].numpy() - data.qpos).max() < 5e-3
    # The slope of 5 degrees makes what has no friction slide by 0.4 m in a second.
    apart = worlds.array("qpos")[0, :2] - worlds.array("qpos")[4, :2]
    assert apart.norm() > 0.1


@pytest.mark.parametrize(("light", "heavy"), [(0.001, 1000.0), (1e-6, 1e6)])
def test_what_is_light_is_as_exact_beside_what_is_heavy(light, heavy) -> None:
    """A ball that lands and rolls beside a body of a million times its mass, in every step."""
    model = mujoco.MjModel.from_xml_string(f"""<mujoco>{OPTION}<worldbody>
      <geom type="plane" size="9 9 1"/>
      <body pos="0 0 0.06"><freejoint/><geom type="sphere" size="0.05" mass="{light}"/></body>
      <body pos="3 0 0.5"><freejoint/><geom type="sphere" size="0.5" mass="{heavy}"
        contype="0"/></body></worldbody></mujoco>""")
    data, worlds = mujoco.MjData(exact(model)), FusedWorlds(model, 1)
    data.qvel[:6] = [1, 0, 0, 1, -2, 0.5]
    worlds.array("qvel")[0] = torch.tensor(data.qvel)
    for _ in range(200):
        mujoco.mj_step(model, data)
        worlds.step(1)
        assert np.abs(worlds.array("qvel")[0, :6].numpy() - data.qvel[:6]).max() < 1e-3


def test_friction_that_weighs_too_much_is_refused_with_the_number() -> None:
    """An impratio of 1000 times the odds of solimp's 0.95, 19; of 100 is simulated."""
    model = mujoco.MjModel.from_xml_string(BALL)
    model.opt.impratio = 100
    assert accept(model) == []
    model.opt.impratio = 1000
    (reason,) = accept(model)
    assert "1000" in reason
    assert "19000" in reason


def test_a_soft_foot_on_usual_ground_is_simulated() -> None:
    """Solimp of 1 beside the ground's 0.95 is 0.975, whose odds are 39; times an impratio of 10."""
    model = mujoco.MjModel.from_xml_string(BALL)
    model.opt.impratio = 10
    model.geom_solimp[1, :3] = 0.015, 1.0, 0.036
    assert accept(model) == []
    model.geom_priority[1] = 1  # then its own solimp alone counts
    assert len(accept(model)) == 1
