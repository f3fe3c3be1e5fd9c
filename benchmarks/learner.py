"""Seconds per iteration of PPO alone, ours and the peers', on a zero-cost environment.

    pip install -c requirements.txt -r benchmarks/requirements.txt      the peers
    python benchmarks/learner.py [device=cuda:0] [iterations=30] [rounds=5]

60 observations, 8 actions, 256-128-64 ELU, 4 epochs x 2 minibatches, 16 steps; 4096 environments on
a GPU, 256 on the CPU (float32, two threads). No epoch is skipped. The libraries take turns, so
that a busy machine slows all of them equally; each turn is a new process that trains from scratch,
drops its first iterations and reports a median; the median of the turns is shown.
A peer that is not installed is reported and left out.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.command_line import read_command_line  # noqa: E402
from benchmarks.own_process import last_line  # noqa: E402
from benchmarks.peer_settings import GPU_SPEC, Spec  # noqa: E402
from benchmarks.peers import (  # noqa: E402
    rl_games,
    rsl_rl,
    seconds_of_each,
    skrl,
    stable_baselines3,
)
from rlgpu.config import TrainConfig  # noqa: E402
from rlgpu.device import Phase, working_stream  # noqa: E402
from rlgpu.learner import Ppo, RolloutStorage  # noqa: E402
from rlgpu.ops import Precision, select_kernels  # noqa: E402
from rlgpu.spaces import Continuous, numbers  # noqa: E402

WARM_UP = 3


def rlgpu(
    spec: Spec,
    iterations: int,
    device: torch.device,
    *,
    fused: bool = True,
    graphs: bool = True,
    precision: Precision = "tf32",
) -> list[float]:
    """Returns the seconds of each iteration of our learner, one graph per rollout and update."""
    if device.type == "cpu":
        torch.set_num_threads(2)
    torch.set_float32_matmul_precision("high")
    config = TrainConfig(
        horizon_length=spec.horizon_length,
        num_epochs=spec.num_epochs,
        hidden_sizes=list(spec.hidden_sizes),
        target_kl=0.0,  # every epoch of every iteration is trained
    )
    agent = Ppo(
        config,
        numbers(spec.num_observations),
        Continuous(spec.num_actions),
        max_iterations=iterations,
        num_minibatches=spec.num_minibatches,
        kernels=select_kernels("compiled" if fused else "torch", device),
        device=device,
        seed=0,
        precision=precision,
        use_compile=device.type == "cuda" and graphs,
    )
    widths = (spec.num_observations, spec.num_actions, spec.num_actions)
    storage = RolloutStorage(spec.horizon_length, spec.num_envs, *widths, device)
    observations = torch.randn(spec.num_envs, spec.num_observations, device=device)
    rewards = torch.randn(spec.horizon_length, spec.num_envs, device=device)

    def collect() -> None:
        for t in range(spec.horizon_length):
            storage.observations[t].copy_(observations)
            agent.act(storage, t)
            storage.rewards[t].copy_(rewards[t])
        storage.last_observations.copy_(observations)

    rollout = Phase(collect, device, name="rollout", enabled=graphs)
    update = Phase(lambda: agent.update(storage), device, name="update", enabled=graphs)
    with working_stream(device):
        return seconds_of_each(lambda: (rollout(), update()), iterations, device)


OURS: dict[str, Callable[[Spec, int, torch.device], list[float]]] = {
    "rlgpu": rlgpu,
    "rlgpu, bf16": partial(rlgpu, precision="bf16"),
    "rlgpu, fp32": partial(rlgpu, precision="fp32"),
    "rlgpu, no graphs": partial(rlgpu, graphs=False),
    "rlgpu, plain torch": partial(rlgpu, fused=False),
    "rlgpu, plain torch, no graphs": partial(rlgpu, fused=False, graphs=False),
}
ON_CPU = ("rlgpu", "rlgpu, plain torch")
"""Our variants that differ on the CPU."""
PEERS: dict[str, Callable[[Spec, int, torch.device], list[float]]] = {
    "stable-baselines3": stable_baselines3,
    "rsl_rl": rsl_rl,
    "rl_games": rl_games,
    "skrl": skrl,
}


def main(arguments: list[str]) -> None:
    """Prints one row per library with its ratios to the best peer and to rsl_rl."""
    usual = "cuda:0" if torch.cuda.is_available() else "cpu"
    defaults = {"device": usual, "iterations": 30, "rounds": 5, "only": ""}
    options, _ = read_command_line(arguments, defaults, __doc__)
    device, iterations = torch.device(options["device"]), options["iterations"]
    spec = GPU_SPEC if device.type == "cuda" else Spec()
    if options["only"]:
        seconds = (OURS | PEERS)[options["only"]](spec, iterations, device)
        print(statistics.median(seconds[WARM_UP:]))
        return
    names = [*OURS, *PEERS]
    if device.type == "cuda":
        names.remove("stable-baselines3")  # it steps numpy arrays
    else:
        names = [*ON_CPU, *PEERS]
    medians: dict[str, list[float]] = {}
    for _ in range(options["rounds"]):
        for name in names:
            words = [f"device={device}", f"iterations={iterations}"]
            median = last_line(__file__, name, words)
            if median is not None:
                medians.setdefault(name, []).append(float(median))
    times = {name: statistics.median(each) for name, each in medians.items()}
    best = min((time for name, time in times.items() if name in PEERS), default=0.0)
    rows = spec.num_envs * spec.horizon_length
    print(f"{spec}\n{options['rounds']} rounds of {iterations} iterations, medians")
    if device.type == "cuda":
        print(torch.cuda.get_device_name(device))
    for name, time in sorted(times.items(), key=lambda item: item[1]):
        ratio = f"{best / time:8.2f} x best peer" if best else ""
        if "rsl_rl" in times:
            ratio += f"{times['rsl_rl'] / time:8.2f} x rsl_rl"
        print(f"{name:30s}{1e3 * time:10.3f} ms{rows / time:14,.0f} samples/s{ratio}")


if __name__ == "__main__":
    main(sys.argv[1:])
