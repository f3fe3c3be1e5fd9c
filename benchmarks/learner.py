"""Samples a second of PPO alone, ours and the peers', on an environment that costs nothing.

    pip install -c requirements.txt -r benchmarks/requirements.txt      the peers
    python benchmarks/learner.py [--iterations 30] [--rounds 5]

256 environments x 16 steps, 60 observations, 8 actions, 256-128-64 ELU, 4 epochs x 2 minibatches,
on the CPU in float32. The libraries take turns, so that a busy machine slows all alike; each turn
is a process that trains afresh, drops its first iterations and gives a median; the median of the
turns is shown.
A peer that is not installed is left out and named.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.peers import Spec, rl_games, rsl_rl, stable_baselines3  # noqa: E402
from rlgpu.config import TrainConfig  # noqa: E402
from rlgpu.learner import Ppo  # noqa: E402
from rlgpu.ops import select_kernels  # noqa: E402
from rlgpu.storage import RolloutStorage  # noqa: E402

WARM_UP = 3
CPU = torch.device("cpu")


def rlgpu(spec: Spec, iterations: int) -> list[float]:
    """Returns the seconds of each iteration of our learner, with its compiled kernels."""
    return _ours(spec, iterations, "fused")


def rlgpu_torch(spec: Spec, iterations: int) -> list[float]:
    """Returns the seconds of each iteration of our learner in plain torch."""
    return _ours(spec, iterations, "torch")


def _ours(spec: Spec, iterations: int, kernels: str) -> list[float]:
    torch.set_num_threads(2)
    config = TrainConfig(
        horizon_length=spec.horizon_length,
        num_epochs=spec.num_epochs,
        hidden_sizes=list(spec.hidden_sizes),
        target_kl=0.0,  # every epoch of every iteration is trained
    )
    agent = Ppo(
        config,
        spec.num_observations,
        spec.num_actions,
        max_iterations=iterations,
        num_minibatches=spec.num_minibatches,
        kernels=select_kernels("torch" if kernels == "torch" else "fused", CPU),
        device=CPU,
        seed=0,
    )
    sizes = (spec.num_envs, spec.num_observations, spec.num_actions)
    storage = RolloutStorage(spec.horizon_length, *sizes, CPU)
    observations = torch.randn(spec.num_envs, spec.num_observations)
    rewards = torch.randn(spec.horizon_length, spec.num_envs)
    seconds = []
    for _ in range(iterations):
        begun = time.perf_counter()
        for t in range(spec.horizon_length):
            agent.act(observations, storage, t)
            storage.rewards[t] = rewards[t]
        storage.last_observations.copy_(observations)
        agent.update(storage)
        seconds.append(time.perf_counter() - begun)
    return seconds


LIBRARIES: dict[str, Callable[[Spec, int], list[float]]] = {
    "rlgpu": rlgpu,
    "rlgpu, plain torch": rlgpu_torch,
    "stable-baselines3": stable_baselines3,
    "rsl_rl": rsl_rl,
    "rl_games": rl_games,
}


def median_in_own_process(name: str, iterations: int) -> float | None:
    """Returns a library's median seconds; None if it is not installed.

    A process each, because settings of one library (threads, memory, matmul precision) would
    otherwise speed up or slow down the next.
    """
    command = [sys.executable, __file__, "--only", name, "--iterations", str(iterations)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in result.stderr:
        print(f"{name} is left out: {result.stderr.splitlines()[-1]}")
        return None
    if result.returncode != 0:
        raise RuntimeError(f"{name} failed:\n{result.stderr}")
    return float(result.stdout.split()[-1])


def main() -> None:
    """Prints a row a library and the ratios to the best peer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=LIBRARIES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    spec = Spec()
    if arguments.only:
        seconds = LIBRARIES[arguments.only](spec, arguments.iterations)
        print(statistics.median(seconds[WARM_UP:]))
        return
    medians: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for name in LIBRARIES:
            median = median_in_own_process(name, arguments.iterations)
            if median is not None:
                medians.setdefault(name, []).append(median)
    rows = spec.num_envs * spec.horizon_length
    rates = {name: rows / statistics.median(each) for name, each in medians.items()}
    best = max((rate for name, rate in rates.items() if not name.startswith("rlgpu")), default=0.0)
    print(f"{spec}\n{arguments.rounds} rounds of {arguments.iterations} iterations, medians")
    for name, rate in sorted(rates.items(), key=lambda item: -item[1]):
        ratio = f"{rate / best:6.2f} x best peer" if best else ""
        print(f"{name:20s}{rate:10,.0f} samples/s{1e3 * rows / rate:9.1f} ms{ratio}")


if __name__ == "__main__":
    main()
