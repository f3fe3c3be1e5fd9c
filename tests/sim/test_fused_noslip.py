"""MuJoCo's noslip solver on the fused engine, against MuJoCo C."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.sim import SceneSpec, Timing, make_simulator
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.fused_steps import DOUBLE, SINGLE, fused_step, mujoco_step
from tests.sim.test_fused_cones import ROBOT, run
from tests.sim.test_fused_pairs import ANISOTROPIC, SCENE

MODELS = {
    "sliding and rolling": ROBOT.replace("{friction}", "1 .05 .01"),
    "slippery": ROBOT.replace("{friction}", ".2 .02 .02"),
    "pairs": SCENE.replace("{friction}", ANISOTROPIC).replace("{more}", ""),
}


def model_of(text: str, iterations: int, tolerance: float = 0.0) -> mujoco.MjModel:
    """Returns a model with some sweeps of the noslip solver, that the fused engine takes."""
    model = mujoco.MjModel.from_xml_string(text)
    model.opt.ccd_tolerance, model.opt.ccd_iterations = 1e-10, 100
    model.opt.noslip_iterations, model.opt.noslip_tolerance = iterations, tolerance
    assert accept(model) == []
    return model


def compare(model: mujoco.MjModel, qpos: np.ndarray, qvel: np.ndarray, *, exact: float) -> None:
    """Compares a step from some states in both precisions, and demands that slip mattered."""
    expected = mujoco_step(model, qpos, qvel)
    double = np.abs(fused_step(model, qpos, qvel, DOUBLE) - expected).max(axis=1)
    single = np.abs(fused_step(model, qpos, qvel, SINGLE) - expected).max(axis=1)
    assert np.quantile(double, 0.9) < exact, double
    assert np.quantile(single, 0.9) < 1e-4, single
    model.opt.noslip_iterations = 0
    assert np.abs(mujoco_step(model, qpos, qvel) - expected).max() > 2e-4


@pytest.mark.parametrize("iterations", [1, 4])
@pytest.mark.parametrize("impratio", [1, 10])
@pytest.mark.parametrize("condim", [3, 4, 6])
@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
@pytest.mark.parametrize("name", MODELS)
def test_sweeps_over_contacts_are_mujocos(name, cone, condim, impratio, iterations) -> None:
    """One and more of them: their order is the same, so none has to converge."""
    text = MODELS[name].format(cone=cone, condim=condim, impratio=impratio)
    model = model_of(text, iterations)
    compare(model, *run(model), exact=1e-6)


@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_sweeps_end_at_the_tolerance(cone) -> None:
    """MuJoCo ends them in each part of the model that touches nothing else, this engine in all."""
    model = model_of(MODELS["slippery"].format(cone=cone, condim=3, impratio=1), 50, 1e-6)
    compare(model, *run(model), exact=2e-5)


LOSSES = """<mujoco><option timestep="0.002" integrator="implicitfast" tolerance="1e-14"/>
  <default><geom contype="0" conaffinity="0"/></default><worldbody>
  <geom type="plane" size="5 5 1" contype="1"/>
  <body pos="0 0 .3"><joint name="a" axis="0 1 0" frictionloss=".3"/>
    <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
    <body pos=".3 0 0"><joint name="b" axis="0 1 0" frictionloss=".1"/>
      <geom type="capsule" fromto="0 0 0 .3 0 -.2" size=".03" conaffinity="1"/>
      <body pos=".3 0 -.2"><joint name="c" type="slide" axis="1 0 0"/>
        <geom size=".03"/></body></body></body></worldbody>
  <tendon><fixed frictionloss=".2"><joint joint="a" coef="1"/><joint joint="b" coef="-2"/></fixed>
    <fixed frictionloss=".4"><joint joint="b" coef=".1"/><joint joint="c" coef="1"/></fixed>
  </tendon></mujoco>"""


@pytest.mark.parametrize("iterations", [1, 4])
def test_joints_and_tendons_stick(iterations) -> None:
    """Dry friction of joints, then of tendons, holds what it can hold, beside a contact."""
    model = model_of(LOSSES, iterations)
    rng = np.random.default_rng(0)
    qpos = rng.uniform([-0.2, -0.3, -0.1], [0.4, 0.3, 0.1], (64, 3))
    qvel = rng.normal(size=(64, 3)) * rng.choice([0.01, 1.0], (64, 1))
    compare(model, qpos, qvel, exact=1e-9)


def test_a_block_does_not_creep_down_a_slope() -> None:
    """Softness lets it creep by 1.4 mm/s, but for the noslip solver."""
    creeps = []
    for iterations in (0, 5):
        model = model_of(
            """<mujoco><option timestep="0.002" integrator="implicitfast" gravity="-.5 0 -9.8"
            impratio=".1"/><worldbody><geom type="plane" size="5 5 1" friction=".3"/>
            <body pos="0 0 .0999"><freejoint/><geom type="box" size=".2 .2 .1" friction=".3"/>
            </body></worldbody></mujoco>""",
            iterations,
        )
        worlds = FusedWorlds(model, 1)
        worlds.step(500)
        creeps.append(abs(worlds.array("qvel")[0, 0].item()))
    assert creeps[0] > 5e-4
    assert creeps[1] < 1e-6


def test_wrenches_have_the_friction_without_slip(tmp_path) -> None:
    """Its share is large for a ball that is pressed to the ground and pulled."""
    found = []
    for engine in ("fused", "mujoco"):
        for iterations in (5, 0):
            path = tmp_path / f"ball{iterations}.xml"
            path.write_text(f"""<mujoco><option noslip_iterations="{iterations}"
              noslip_tolerance="0" gravity="4 0 -9.8" impratio=".1"/><worldbody>
              <geom type="plane" size="9 9 1" friction=".6 .01 .003" condim="6"/>
              <body name="ball" pos="0 0 .0999"><freejoint/><geom size=".1" mass="1" condim="6"
                friction=".6 .01 .003"/></body></worldbody></mujoco>""")
            scene = SceneSpec(path, {}, wrench_bodies=("ball",))
            sim = make_simulator(engine, scene, Timing(0.002, 2), 3)
            for _ in range(5):
                sim.step()
            sim.refresh()
            found.append(sim.state.contact_wrench_b[1, 0].clone())
    torch.testing.assert_close(found[0], found[2], atol=1e-3, rtol=1e-4)
    assert (found[0] - found[1]).abs().max() > 0.01


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_a_world_sweeps_alike_beside_any_other(cone, lanes) -> None:
    """Some end early, some late: each one's bits are those of a run of it alone."""
    model = model_of(MODELS["slippery"].format(cone=cone, condim=6, impratio=1), 30, 1e-5)
    qpos, qvel = run(model)
    try:
        together = fused_step(model, qpos, qvel, SINGLE, lanes=lanes)
    except ValueError as error:
        pytest.skip(str(error))
    for row in range(0, len(qpos), 7):
        alone = fused_step(model, qpos[row : row + 1], qvel[row : row + 1], SINGLE, lanes=lanes)
        np.testing.assert_array_equal(alone[0], together[row])
