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
from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.tables import Tables
from tests.compiled import cache, digest
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


@pytest.mark.parametrize("lanes", [1, 2, 8, 32])
def test_the_physics_kernels_agree_with_the_cpus_vectors(built, tmp_path, lanes) -> None:
    """40 ants, two physics steps, with wrenches, under the sanitizers.

    A thread per world agrees bit for bit; several add in another order and agree to rounding.
    """
    model = task_model("Ant")
    packed = Tables(model).pack([model.body("front_left_foot").id, model.body("torso").id])
    ctrl, qpos, qvel, qacc, wrenches = falling_ants(40, 2)
    state = PhysicsState(qpos, qvel, qacc, torch.zeros(40, dtype=torch.bool))
    write_worlds(tmp_path / "in", packed, ctrl, state, num_steps=2, num_watched=2)
    run([str(built / "run_physics"), str(tmp_path / "in"), str(tmp_path / "out"), str(lanes)])
    physics_step(packed, ctrl, state, PhysicsOutputs(wrenches), num_steps=2, num_threads=1, lanes=4)
    assert wrenches.abs().max() > 10.0
    wanted = torch.cat([x.flatten() for x in (qpos, qvel, qacc, wrenches)])
    returned = torch.from_numpy(np.fromfile(tmp_path / "out", np.float32))
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
    qacc, wrenches, ctrl = torch.zeros(24, 8), torch.zeros(24, 1, 6), torch.zeros(24, 0)
    state = PhysicsState(qpos, qvel, qacc, torch.zeros(24, dtype=torch.bool))
    packed = Tables(model).pack([1])
    write_worlds(tmp_path / "in", packed, ctrl, state, num_steps=2, num_watched=1)
    run([str(built / "run_physics"), str(tmp_path / "in"), str(tmp_path / "out"), str(lanes)])
    physics_step(packed, ctrl, state, PhysicsOutputs(wrenches), num_steps=2, num_threads=1, lanes=4)
    assert wrenches.abs().max() > 5.0
    wanted = torch.cat([x.flatten() for x in (qpos, qvel, qacc, wrenches)])
    returned = torch.from_numpy(np.fromfile(tmp_path / "out", np.float32))
    if lanes == 1:
        assert torch.equal(returned, wanted)
    torch.testing.assert_close(returned, wanted, rtol=1e-3, atol=1e-2)
