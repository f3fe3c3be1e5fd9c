"""The kernels build and pass their tests without Python, through CMake; on a GPU if available."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from benchmarks.physics_file import write_worlds
from rlgpu.device import num_usable_cores
from rlgpu.ops import PhysicsModel, PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.tables import Tables
from tests.compiled import cache, digest
from tests.sim import (
    test_fused_adhesion,
    test_fused_balls,
    test_fused_couplings,
    test_fused_fluid,
    test_fused_prisms,
    test_fused_sites,
)
from tests.sim.models import task_model

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# Kept between runs, so that only what changed is compiled again. Finished binaries are also kept
# by content in the user's cache, so that another clone does not build them a second time.
BUILD = ROOT / "build" / "cpp_tests"
ARCHITECTURES = "80-real;90-real;100-real;120-real"
SOURCES = {".h", ".cuh", ".cpp", ".cu"}


@pytest.fixture(scope="module")
def built() -> Path:
    """Configures and builds for every supported architecture, and returns the binaries' folder."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not on PATH")
    folders = [ROOT / "csrc", ROOT / "tests" / "cpp", ROOT / "benchmarks"]
    sources = [p for f in folders for p in f.rglob("*") if p.suffix in SOURCES]
    name = digest([*sources, ROOT / "CMakeLists.txt"], ARCHITECTURES)
    with cache("cpp") as kept:
        if not (kept / name).exists():
            build()
            keep(kept / name)
        return kept / name


def build() -> None:
    """Configures and builds everything in ``BUILD``."""
    configure = ["cmake", "-S", str(ROOT), "-B", str(BUILD)]
    architectures = f"-DCMAKE_CUDA_ARCHITECTURES={ARCHITECTURES}"
    run([*configure, architectures, "-DRLGPU_PHYSICS_ARCHITECTURES=90-real"])
    run(["cmake", "--build", str(BUILD), "--parallel", str(num_usable_cores())])


def keep(folder: Path) -> None:
    """Copies the binaries, and ctest's list of them with their new places, into a folder."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        unfinished = Path(made) / "made"
        unfinished.mkdir()
        for path in BUILD.iterdir():
            if path.is_file() and os.access(path, os.X_OK):
                shutil.copy2(path, unfinished)
        listed = (BUILD / "CTestTestfile.cmake").read_text()
        (unfinished / "CTestTestfile.cmake").write_text(listed.replace(str(BUILD), str(folder)))
        unfinished.rename(folder)


def run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_kernels_pass_their_own_tests(built) -> None:
    """All of ctest's."""
    run(["ctest", "--test-dir", str(built), "--output-on-failure"])


def test_the_kernel_benchmark_says_that_there_is_no_gpu(built) -> None:
    """With a GPU it would take a minute: ``make gpu`` runs it there."""
    if not (built / "kernel_bench").exists() or torch.cuda.is_available():
        pytest.skip("no nvcc, or a GPU")
    result = subprocess.run([built / "kernel_bench"], capture_output=True, text=True, check=True)
    assert result.stdout == "no CUDA device: nothing to measure\n"


def falling_ants(num_worlds: int, num_watched: int) -> list[torch.Tensor]:
    """Returns ctrl, qpos, qvel, qacc and wrenches of ants thrown at the ground, turning."""
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(num_worlds, *shape, generator=rng)

    qpos = torch.cat((normal(2), 0.3 + 0.1 * normal(1).abs(), normal(4), 0.5 * normal(8)), dim=1)
    wrenches = torch.zeros(num_worlds, num_watched, 6)
    return [15 * normal(8), qpos, 2 * normal(14), torch.zeros(num_worlds, 14), wrenches]


def both_steps(
    built: Path, folder: Path, packed: PhysicsModel, states: list[torch.Tensor], lanes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the kernels' and the CPU's qpos, qvel, qacc and wrenches, one after the other.

    Args:
        built: Where the programs are.
        folder: Where their files go.
        packed: A model.
        states: As ``falling_ants`` returns them, updated in place.
        lanes: Threads per world.
    """
    ctrl, *ours, wrenches = states
    state = PhysicsState(*ours, torch.zeros(len(ctrl), dtype=torch.bool))
    num_watched = wrenches.shape[1]
    write_worlds(folder / "in", packed, ctrl, state, num_steps=2, num_watched=num_watched)
    run([str(built / "run_physics"), str(folder / "in"), str(folder / "out"), str(lanes)])
    physics_step(packed, ctrl, state, PhysicsOutputs(wrenches), num_steps=2, num_threads=1, lanes=4)
    wanted = torch.cat([x.flatten() for x in (*ours, wrenches)])
    return torch.from_numpy(np.fromfile(folder / "out", np.float32)), wanted


@pytest.mark.parametrize("lanes", [1, 2, 8, 32])
def test_the_physics_kernels_agree_with_the_cpus_vectors(built, tmp_path, lanes) -> None:
    """40 ants, two physics steps, with wrenches, under the sanitizers.

    A thread per world agrees bit for bit; several add in another order and agree to rounding.
    """
    model = task_model("Ant")
    packed = Tables(model).pack([model.body("front_left_foot").id, model.body("torso").id])
    states = falling_ants(40, 2)
    returned, wanted = both_steps(built, tmp_path, packed, states, lanes)
    assert states[-1].abs().max() > 10.0
    if lanes == 1:
        assert torch.equal(returned, wanted)
    torch.testing.assert_close(returned, wanted, rtol=1e-3, atol=2e-3)


NOSLIP = """<mujoco><option timestep="0.002" integrator="implicitfast" cone="{cone}"
  noslip_iterations="3"/><worldbody><geom type="plane" size="9 9 1" condim="{condim}"/>
  <body pos="0 0 .15"><freejoint/><geom type="box" size=".1 .1 .05" mass="1" condim="{condim}"/>
    <body pos=".1 0 0"><joint name="a" axis="0 1 0" frictionloss=".05"/>
      <geom type="capsule" fromto="0 0 0 .2 0 -.1" size=".03" mass=".2" condim="{condim}"/>
      <body pos=".2 0 -.1"><joint name="b" axis="1 0 0"/><geom size=".04" mass=".1"/></body>
    </body></body></worldbody><tendon><fixed frictionloss=".02"><joint joint="a" coef="1"/>
  <joint joint="b" coef="2"/></fixed></tendon></mujoco>"""


@pytest.mark.parametrize("lanes", [1, 4, 32])
@pytest.mark.parametrize(("cone", "condim"), [("pyramidal", 3), ("pyramidal", 6), ("elliptic", 6)])
def test_friction_without_slip_agrees_with_the_cpus_vectors(
    built, tmp_path, cone, condim, lanes
) -> None:
    """24 robots that slide and roll after a fall, two steps, under the sanitizers."""
    model = mujoco.MjModel.from_xml_string(NOSLIP.format(cone=cone, condim=condim))
    rng, data, states = np.random.default_rng(0), mujoco.MjData(model), []
    for _ in range(24):
        mujoco.mj_resetData(model, data)
        data.qvel[:] = rng.normal(size=model.nv)
        mujoco.mj_step(model, data, 80)
        states.append((data.qpos.copy(), data.qvel.copy()))
    qpos, qvel = (torch.tensor(np.array(x)).float() for x in zip(*states, strict=True))
    tensors = [torch.zeros(24, 0), qpos, qvel, torch.zeros(24, 8), torch.zeros(24, 1, 6)]
    returned, wanted = both_steps(built, tmp_path, Tables(model).pack([1]), tensors, lanes)
    assert tensors[-1].abs().max() > 5.0
    if lanes == 1:
        assert torch.equal(returned, wanted)
    torch.testing.assert_close(returned, wanted, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("lanes", [1, 4, 32])
def test_tendons_and_equalities_agree_with_the_cpus_vectors(built, tmp_path, lanes) -> None:
    """24 arms with a tendon around geoms, its limits and a drive, a weld and a coupled joint."""
    tendon = test_fused_couplings.CYLINDER.format('limited="true" range=".25 .3" damping="1"')
    equalities = test_fused_couplings.EQUALITIES
    model = mujoco.MjModel.from_xml_string(
        test_fused_couplings.ARM.format(
            extra=f"<tendon>{tendon}</tendon><equality>{equalities['weld of sites']}"
            f"{equalities['joint']}</equality><actuator><motor tendon='t'/></actuator>"
        )
    )
    states = test_fused_couplings.random_states(model, 24)
    qpos, qvel = (torch.tensor(x).float() for x in states)
    tensors = [torch.ones(24, 1), qpos, qvel, torch.zeros_like(qvel), torch.zeros(24, 1, 6)]
    returned, wanted = both_steps(built, tmp_path, Tables(model).pack([1]), tensors, lanes)
    if lanes == 1:
        assert torch.equal(returned, wanted)
    moved = slice(qpos.numel() + qvel.numel())
    torch.testing.assert_close(returned[moved], wanted[moved], rtol=1e-3, atol=5e-3)


@pytest.mark.parametrize("lanes", [1, 2, 8])
@pytest.mark.parametrize("kind", ["contacts and limits", "servos of the parent's axes", "water"])
def test_the_kernels_of_ball_joints_and_fluids_agree_with_the_cpus(
    built, tmp_path, kind, lanes
) -> None:
    """Likewise, in states with accelerations of thousands, of which rounding takes a share."""
    module = test_fused_fluid if kind == "water" else test_fused_balls
    model = module.model_of(kind)
    qpos, qvel, _, ctrl = (torch.tensor(x).float() for x in module.states_of(model, 40))
    states = [ctrl, qpos, qvel, torch.zeros_like(qvel), torch.zeros(40, 1, 6)]
    returned, wanted = both_steps(built, tmp_path, Tables(model).pack([1]), states, lanes)
    if lanes == 1:
        assert torch.equal(returned, wanted)
    moved = slice(qpos.numel() + qvel.numel())
    torch.testing.assert_close(returned[moved], wanted[moved], rtol=1e-3, atol=5e-3)


def driven(kind: str) -> tuple[mujoco.MjModel, list[np.ndarray]]:
    """Returns a model and its qpos, qvel and ctrl in some states."""
    if kind == "prisms":
        step = 0.1
        model = test_fused_prisms.model_on(test_fused_prisms.noise(step), step, "cylinder")
        return model, [*test_fused_prisms.states_on(model, step), np.zeros((48, 0))]
    if kind == "sites":
        model = test_fused_sites.model_of("a pose relative to an ancestor")
        qpos, qvel, _, ctrl = test_fused_sites.states_of(model)
    else:
        model = test_fused_adhesion.model_of(
            actuators=test_fused_adhesion.ADHESION, geom='gap="0.004"'
        )
        qpos, qvel, _, ctrl = test_fused_adhesion.states_of(model)
    return model, [qpos, qvel, ctrl]


@pytest.mark.parametrize("lanes", [1, 2, 8])
@pytest.mark.parametrize("kind", ["sites", "adhesion", "prisms"])
def test_the_kernels_of_sites_adhesion_and_prisms_agree_with_the_cpus(
    built, tmp_path, kind, lanes
) -> None:
    """Likewise, under the sanitizers."""
    model, states = driven(kind)
    qpos, qvel, ctrl = (torch.tensor(x).float() for x in states)
    count = len(qpos)
    tensors = [ctrl, qpos, qvel, torch.zeros_like(qvel), torch.zeros(count, 1, 6)]
    returned, wanted = both_steps(built, tmp_path, Tables(model).pack([1]), tensors, lanes)
    if lanes == 1:
        assert torch.equal(returned, wanted)
    moved = slice(qpos.numel() + qvel.numel())
    torch.testing.assert_close(returned[moved], wanted[moved], rtol=1e-3, atol=5e-3)
