"""The fused engine against MuJoCo C: the same step, on the tasks' models and on random robots."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from hypothesis import assume, given, note
from hypothesis import strategies as st
from torch import Tensor

from rlgpu.config import compose
from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim import ENGINES, SceneSpec, Timing, make_simulator
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tables import Tables
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from rlgpu.tasks import TASKS
from tests.examples import examples
from tests.sim.models import random_robot, task_model

COVERED = [name for name in TASKS if name != "AnymalTerrain"]
"""But for those on a height field, on which the fused engine's contacts are its own."""


def covered_model(name: str) -> mujoco.MjModel:
    """Returns a task's model, without faces of boxes that coincide exactly.

    There, rounding decides whether they touch. Cubes start 1 mm above their table, and fingers pass
    through each other, which random torques press far into each other.
    """
    model = task_model(name)
    fingers = ["finger" in model.body(body).name for body in model.geom_bodyid]
    model.geom_contype[fingers] = 0
    cubes = ["cube" in model.body(body).name for body in model.jnt_bodyid]
    model.qpos0[model.jnt_qposadr[cubes] + 2] += 1e-3
    return model


def exact(model: mujoco.MjModel) -> mujoco.MjModel:
    """Lets MuJoCo's solver run until it cannot improve."""
    model.opt.iterations, model.opt.tolerance = 200, 0
    model.opt.ls_iterations, model.opt.ls_tolerance = 100, 1e-12
    return model


class Recorded:
    """States along a run of MuJoCo C, and what one control step makes of each."""

    def __init__(
        self, model: mujoco.MjModel, num_steps: int, *, substeps: int = 1, seed: int = 0
    ) -> None:
        rng = np.random.default_rng(seed)
        data = mujoco.MjData(model)
        data.qvel[:] = rng.normal(size=model.nv)
        # The tasks' motors reach 15 N m, limited ones less; position drives move by half a radian.
        reach = np.where(model.actuator_forcelimited, model.actuator_forcerange[:, 1], 15.0)
        reach[model.actuator_biastype != mujoco.mjtBias.mjBIAS_NONE] = 0.5
        before, after = [], []
        for step in range(num_steps):
            if step % 5 == 0:
                data.ctrl[:] = reach * rng.uniform(-1, 1, model.nu)
            before.append(
                [data.qpos.copy(), data.qvel.copy(), data.qacc_warmstart.copy(), data.ctrl.copy()]
            )
            for _ in range(substeps):
                mujoco.mj_step(model, data)
            after.append(
                [data.qpos.copy(), data.qvel.copy(), data.qacc.copy(), data.qfrc_actuator.copy()]
            )
        self.qpos, self.qvel, self.qacc, self.ctrl = (
            torch.tensor(np.array(column)) for column in zip(*before, strict=True)
        )
        self.after = [torch.tensor(np.array(column)) for column in zip(*after, strict=True)]

    def step(
        self, model: mujoco.MjModel, dtype: torch.dtype, *, num_steps: int = 1, **how: int
    ) -> list[Tensor]:
        """Returns qpos, qvel, qacc and qfrc_actuator after one step of the fused engine."""
        state = [x.to(dtype).clone() for x in (self.qpos, self.qvel, self.qacc)]
        flags = torch.zeros(len(self.qpos), dtype=torch.bool)
        forces = torch.zeros_like(state[1])
        how.setdefault("num_threads", 1)
        physics_step(
            Tables(model).pack(dtype=dtype),
            self.ctrl.to(dtype),
            PhysicsState(*state, flags),
            PhysicsOutputs(qfrc_actuator=forces),
            num_steps=num_steps,
            **how,
        )
        assert not flags.any()
        return [*state, forces]


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """Returns the largest error of a row relative to 1 + the row's largest number."""
    scale = 1 + theirs.abs().amax(dim=1)
    return float(((ours - theirs).abs().amax(dim=1) / scale).max())


@pytest.mark.parametrize("name", COVERED)
def test_a_step_in_double_precision_is_mujocos(name) -> None:
    """Positions, velocities, accelerations and drive forces of the tasks' models, to 1e-9."""
    model = exact(covered_model(name))
    recorded = Recorded(model, 300)
    for ours, theirs in zip(recorded.step(model, torch.float64), recorded.after, strict=True):
        assert relative_error(ours, theirs) < 1e-9


@examples(150)
@given(rng=st.randoms(use_true_random=False), seed=st.integers(0, 10**6))
def test_a_step_of_a_random_robot_is_mujocos(rng, seed) -> None:
    """All joints, geoms, drives and constraints that the engine covers, to 1e-7."""
    mjcf = random_robot(rng)
    note(mjcf)
    try:
        model = exact(mujoco.MjModel.from_xml_string(mjcf))
    except ValueError:  # such as a joint whose axis is zero, or a body without mass
        assume(False)
    assume(model.nv > 0)
    assert accept(model) == []
    recorded = Recorded(model, 60, seed=seed)
    assume(bool(recorded.after[2].abs().max() < 1e6))
    for ours, theirs in zip(recorded.step(model, torch.float64), recorded.after, strict=True):
        assert relative_error(ours, theirs) < 1e-7


@pytest.mark.parametrize("lanes", [0, 4, 8, 16])
@pytest.mark.parametrize("name", COVERED)
def test_a_control_step_in_single_precision_is_close(name, lanes) -> None:
    """At accelerations of thousands: velocities to 1e-4 in 99 of 100 worlds, positions to 2e-5.

    Rounding grows with the joints that share a tree: to twice that in robots of more than twenty.
    """
    model = covered_model(name)
    grown = 2.0 if model.nv > 20 else 1.0
    runs = [Recorded(model, 200, substeps=2, seed=seed) for seed in range(8)]
    velocity_errors = []
    for recorded in runs:
        try:
            qpos, qvel, *_ = recorded.step(model, torch.float32, num_steps=2, lanes=lanes)
        except ValueError as error:
            pytest.skip(str(error))
        assert (qpos - recorded.after[0]).abs().max() < 2e-5 * grown
        velocity_errors.append((qvel - recorded.after[1]).abs().amax(dim=1))
    errors = torch.cat(velocity_errors)
    assert errors.quantile(0.99) < 1e-4 * grown
    assert errors.max() < 2e-3 * grown


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_depend_neither_on_threads_nor_on_neighbours(threads) -> None:
    """Equal bits in another order of the worlds, and with each world alone."""
    model = task_model("Ant")
    recorded = Recorded(model, 50, substeps=2)
    together = recorded.step(model, torch.float32, num_threads=threads)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    for name in ("qpos", "qvel", "qacc", "ctrl"):
        setattr(recorded, name, getattr(recorded, name)[order])
    shuffled = recorded.step(model, torch.float32)
    for ours, theirs in zip(together, shuffled, strict=True):
        assert torch.equal(ours[order], theirs)
    for name in ("qpos", "qvel", "qacc", "ctrl"):
        setattr(recorded, name, getattr(recorded, name)[:1])
    for alone, theirs in zip(recorded.step(model, torch.float32), shuffled, strict=True):
        assert torch.equal(alone[0], theirs[0])


def test_a_nan_stays_in_its_world_and_restarts_it() -> None:
    """The others in its vector get the bits they would have got without it."""
    model = task_model("Ant")
    recorded = Recorded(model, 16)
    clean = recorded.step(model, torch.float32)
    state = [x.float().clone() for x in (recorded.qpos, recorded.qvel, recorded.qacc)]
    state[1][5, 3] = float("nan")
    diverged = torch.zeros(16, dtype=torch.bool)
    physics_step(
        Tables(model).pack(),
        recorded.ctrl.float(),
        PhysicsState(*state, diverged),
        PhysicsOutputs(),
        num_steps=1,
        num_threads=1,
    )
    assert diverged.nonzero().flatten().tolist() == [5]
    assert torch.equal(state[0][5], torch.tensor(model.qpos0).float())
    assert not state[1][5].any()
    assert not state[2][5].any()
    others = torch.arange(16) != 5
    for ours, theirs in zip(state, clean[:3], strict=True):
        assert torch.equal(ours[others], theirs[others])


def test_wrenches_are_mujocos() -> None:
    """Of an ant that lands on its feet: to 0.1 % of the largest."""
    config = compose(["task=Ant"], TASKS, ENGINES).config
    scene = TASKS["Ant"](config.task).scene()
    measured = {}
    for engine in ("fused", "mujoco"):
        sim = make_simulator(engine, scene, Timing(1 / 120, 2), 2)
        wrenches = []
        for _ in range(25):
            sim.step()
            sim.refresh()
            wrenches.append(sim.state.contact_wrench_b.clone())
        measured[engine] = torch.stack(wrenches)
    largest = measured["mujoco"].abs().max()
    assert largest > 4.0
    assert (measured["fused"] - measured["mujoco"]).abs().max() < 1e-3 * largest


def test_a_free_chain_keeps_its_momentum_and_energy() -> None:
    """Three links tumble without gravity for half a second: to the integrator's accuracy."""
    model = mujoco.MjModel.from_xml_string("""<mujoco>
      <option integrator="implicitfast" gravity="0 0 0" timestep="0.0005"/>
      <default><geom type="capsule" fromto="0 0 0 .3 0 0" size=".03" contype="0" conaffinity="0"/>
      </default><worldbody><body><freejoint/><geom/>
        <body pos=".3 0 0"><joint axis="0 1 0"/><joint axis="0 0 1"/><geom/>
          <body pos=".3 0 0"><joint axis="0 1 0" pos="0.01 0 0"/><geom/></body></body></body>
      </worldbody></mujoco>""")
    worlds = FusedWorlds(model, 1)
    worlds.array("qvel").copy_(torch.tensor([[0.3, -0.2, 0.1, 1.0, -2.0, 1.5, 2.0, -1.0, 0.7]]))

    def conserved() -> np.ndarray:
        data = mujoco.MjData(model)
        data.qpos[:] = worlds.array("qpos")[0].numpy()
        data.qvel[:] = worlds.array("qvel")[0].numpy()
        mujoco.mj_forward(model, data)
        mujoco.mj_subtreeVel(model, data)
        mujoco.mj_energyVel(model, data)
        linear = data.subtree_linvel[1]
        return np.array([*linear, *data.subtree_angmom[1], data.energy[1]])

    before = conserved()
    worlds.step(1000)
    np.testing.assert_allclose(conserved(), before, rtol=5e-3, atol=2e-3)


def test_worlds_with_their_own_parameters_step_like_their_own_models(tmp_path) -> None:
    """Masses, friction and armature of each world, against MuJoCo C with the same values."""
    scene = TASKS["Ant"](compose(["task=Ant"], TASKS, ENGINES).config.task).scene()
    scene = SceneSpec(
        scene.asset, scene.drives, parameters=("body_mass", "friction", "gravity", "joint_armature")
    )
    after = []
    for engine in ("fused", "mujoco"):
        sim = make_simulator(engine, scene, Timing(1 / 120, 2), 40)
        rng = torch.Generator().manual_seed(0)
        for name, value in sim.parameters.items():
            factor = 0.5 + torch.rand(value.shape, generator=rng)
            sim.set_parameter(name, value * factor)
        for _ in range(20):
            sim.set_targets(15 * (2 * torch.rand(40, 8, generator=rng) - 1))
            sim.step()
            sim.refresh()
        after.append(torch.cat((sim.state.joint_vel, sim.state.root_lin_vel_w), dim=1))
    # Twenty control steps; errors of single precision grow at each impact.
    assert (after[0] - after[1]).abs().median() < 1e-4
    assert (after[0][0] - after[0][1]).abs().max() > 0.1


UNSUPPORTED = {
    "is turned": """<asset><hfield name="h" nrow="9" ncol="9" size="1 1 1 1"/></asset>
      <worldbody><geom type="hfield" hfield="h" euler="10 0 0"/>{arm}</worldbody>""",
    "enables diagexact": '<option><flag diagexact="enable"/></option><worldbody>{arm}</worldbody>',
}
ARM = """<body name="arm"><joint name="a" axis="0 1 0"/>
  <geom name="arm" type="sphere" size=".1" pos=".3 0 0"/></body>"""


@pytest.mark.parametrize("reason", UNSUPPORTED)
def test_what_it_does_not_simulate_is_refused_with_the_reason(reason) -> None:
    """And with all reasons at once: the integrator of these models is refused too."""
    text = f"<mujoco>{UNSUPPORTED[reason].format(arm=ARM)}</mujoco>"
    reasons = accept(mujoco.MjModel.from_xml_string(text))
    assert any(part in line for part in reason.split("|") for line in reasons), reasons
    assert any("implicitfast" in line for line in reasons)
