"""What the Isaac Gym worker adds to a step: python benchmarks/isaacgym_worker.py [num_envs=512].

Isaac Gym is the tests' stand-in that does nothing, so everything measured is ours: targets and
resets written, a request and its answer, results copied and converted. The floor beside it is a
request and its answer alone.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.command_line import read_command_line
from rlgpu.config import compose
from rlgpu.sim import ENGINES, IsaacGymSettings, make_simulator
from rlgpu.tasks import TASKS
from tests.conftest import interpreter

_ROUNDS, _STEPS = 20, 100


def median_ms(function: Callable[[], object]) -> tuple[float, float]:
    """Returns the median and the largest of the rounds' mean times of a call [ms]."""
    means = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        for _ in range(_STEPS):
            function()
        means.append((time.perf_counter() - start) / _STEPS * 1e3)
    return statistics.median(means), max(means)


def step(sim: Any, targets: torch.Tensor) -> None:
    """Does what a control step does to an engine."""
    sim.set_targets(targets)
    sim.step()
    sim.refresh()


def main(num_envs: int) -> None:
    """Prints a line a task."""
    with tempfile.TemporaryDirectory() as folder:
        python = interpreter(Path(folder) / "python", "idle")
        for name, task_class in TASKS.items():
            if name in ("Walk", "StandUp"):
                continue  # their robot is a user's file
            config = compose([f"task={name}"], TASKS, ENGINES).config.task
            sim = make_simulator(
                "isaacgym",
                task_class(config).scene(),
                config.timing(),
                num_envs,
                settings=IsaacGymSettings(python=str(python)),
            )
            targets = torch.zeros(num_envs, len(sim.joint_names))

            median, worst = median_ms(partial(step, sim, targets))
            floor, _ = median_ms(partial(sim._ask, command="nothing"))
            print(
                f"{name}, {num_envs} environments: {median:.3f} ms a step (slowest round "
                f"{worst:.3f}); a request and its answer alone {floor:.3f} ms"
            )
            sim.close()


if __name__ == "__main__":
    torch.set_num_threads(1)  # as the collector steps engines on the CPU
    main(read_command_line(sys.argv[1:], {"num_envs": 512}, __doc__).options["num_envs"])
