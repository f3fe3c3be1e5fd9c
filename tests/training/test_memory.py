"""Memory: too much is refused before it is allocated, and training does not take ever more."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train
from rlgpu.training import Trainer, memory

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["num_envs=2000000000"], r"about \d.* [TP]B are needed, .* are free on cpu"),
        (["train.hidden_sizes=[4000000,4000000]"], "are needed"),
        (["train.horizon_length=2000000000"], "are needed"),
        (["train.num_epochs=2000000000"], "are needed"),
        (["test=False", "train.separate=True", "train.hidden_sizes=[2000000,2000000]"], "TB are"),
    ],
)
def test_more_than_is_free_is_refused(tmp_path, capsys, words, message) -> None:
    """With the estimate, before anything is allocated or written."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert train.main(["task=Cartpole", f"runs_dir={tmp_path / 'runs'}", *words]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes
    assert not (tmp_path / "runs").exists()


def test_the_estimate_is_of_the_right_size(tmp_path, monkeypatch) -> None:
    """Between a third and three times what the rollout and the parameters take."""
    seen = {}

    def stop(self: Trainer, *_: object) -> bool:
        tensors = [x for x in vars(self.storage).values() if isinstance(x, torch.Tensor)]
        seen["rollout"] = sum(x.numel() * x.element_size() for x in tensors)
        seen["parameters"] = 4 * sum(x.numel() for x in self.agent.network.parameters())
        seen["needed"] = memory.needed_bytes(
            self.config, self.env.num_observations, self.env.num_actions
        )
        return True

    monkeypatch.setattr(Trainer, "train", stop)
    assert train.main(["task=Ant", "num_envs=2048", f"runs_dir={tmp_path}"]) == 0
    taken = seen["rollout"] + 6 * seen["parameters"]
    assert taken / 3 < seen["needed"] < 3 * taken


def test_a_container_may_allow_less_than_the_machine_has(monkeypatch) -> None:
    """The smaller of the two counts."""
    limits = {"memory.max": "5000000\n", "memory.current": "2000000\n"}
    original = Path.read_text

    def read(self: Path, *words: str, **options: str) -> str:
        return limits[self.name] if self.name in limits else original(self, *words, **options)

    monkeypatch.setattr(Path, "read_text", read)
    assert memory.free_bytes(torch.device("cpu")) == 3_000_000


MEASURED = """
import resource, sys
from pathlib import Path
import train
from rlgpu.training import Trainer

original, sizes = Trainer.collect, {}

def measured(self):
    original(self)
    sizes[self.iteration] = int(Path("/proc/self/statm").read_text().split()[1])

Trainer.collect = measured
assert train.main(sys.argv[1:]) == 0
print("grown by", (sizes[599] - sizes[100]) * resource.getpagesize())
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_iterations(tmp_path) -> None:
    """Less than 3 MB from iteration 100 to 600; benchmarks/RESULTS.md has 10 000 iterations."""
    words = ["task=Cartpole", "num_envs=16", "headless=True", "max_iterations=600"]
    command = [sys.executable, "-c", MEASURED, *words, f"runs_dir={tmp_path}", "train.num_epochs=1"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(result.stdout.rpartition("grown by ")[2]) < 3e6
