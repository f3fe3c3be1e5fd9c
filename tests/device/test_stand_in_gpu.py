"""The GPU's code paths on any machine: the marked tests run on a GPU that is not there.

The stand-in (``tests/stand_ins/gpu``) changes torch for good, so they run in their own process.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT, STAND_INS

CHECKS = """
import pytest, stand_in_gpu, torch
x = torch.arange(6.0, device="cuda").view(2, 3)
assert x.device == torch.device("cuda", 0) and x.sum().item() == 15.0
view = x[:, 1]
view.add_(1.0)  # views share memory
assert x.cpu().tolist() == [[0.0, 2.0, 2.0], [3.0, 5.0, 5.0]]
with pytest.raises(RuntimeError, match="same device"):
    x + torch.ones(3)
layer = torch.nn.Linear(3, 2).to("cuda")
layer(x).sum().backward()
assert layer.weight.grad.device.type == "cuda"

counter, calls = torch.zeros((), device="cuda"), []
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    calls.append(1)
    counter.add_(len(calls))  # the host's number stays what it was
    doubled = counter * 2
assert counter.item() == 0.0  # nothing ran yet
graph.replay(), graph.replay()
assert (counter.item(), doubled.item()) == (2.0, 4.0)

waits = [lambda: x[x > 1], counter.item, lambda: bool(counter > 0), lambda: x[:, [0, 1]], x.cpu,
         lambda: torch.tensor([1.0], device="cuda")]
torch.cuda.set_sync_debug_mode("error")
for wait in waits:
    with pytest.raises(RuntimeError, match="synchronizing"):
        wait()
torch.cuda.set_sync_debug_mode("default")
for wait in waits:
    with pytest.raises(RuntimeError, match="previous error"), torch.cuda.graph(graph):
        wait()
"""


def on_stand_in(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with the stand-in."""
    paths = os.pathsep.join((str(STAND_INS / "gpu"), str(ROOT)))
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )


@pytest.fixture(autouse=True)
def _without_a_gpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")


@pytest.mark.slow
def test_the_stand_in_behaves_like_a_gpu() -> None:
    """Memory, two devices, autograd, graphs that only replay, operations that wait."""
    done = on_stand_in("-c", CHECKS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("of_engines", [True, False], ids=["engines", "others"])
def test_what_is_marked_for_a_gpu_passes_on_the_stand_in(of_engines) -> None:
    """All but tests of kernels, of long training and of Isaac Gym's worker, which needs CUDA.

    Two processes: those of the engines, most of which compile MuJoCo Warp's kernels, and others.
    """
    where = ["tests/sim"] if of_engines else ["tests", "--ignore=tests/ops", "--ignore=tests/sim"]
    done = on_stand_in(
        "-m", "pytest", "-p", "stand_in_gpu", "-m", "cuda", "-p", "no:cacheprovider",
        *where, "-k", "not balances_the_pole and not isaacgym-cuda",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
