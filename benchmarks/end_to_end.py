"""Wall time and environment steps to a mean return, ours and the peers', on the same environment.

    pip install -c requirements.txt -r benchmarks/requirements.txt      the peers
    python benchmarks/end_to_end.py [--seeds 1 2 3] [--targets 3000 5000] [key=value ...]

Words are those of train.py, e.g. num_envs=4096 or sim=mujoco. rsl_rl and rl_games drive the very
same environment object (our task on our engine) through the thin adapters of adapters.py, each with
the settings that its field uses for the Ant. The return is unscaled, the mean of the last 100
finished training episodes. Wall time begins with the first iteration; compiling within it counts.
Libraries and seeds take turns, each in a process of its own.
A peer that is not installed is left out and named.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.adapters import Curve, CurvePoint, train_rl_games, train_rsl_rl  # noqa: E402
from benchmarks.own_process import last_line  # noqa: E402
from rlgpu.assemble import make_agent, make_env, seed_everything  # noqa: E402
from rlgpu.compose import Composed, compose  # noqa: E402
from rlgpu.display import Display  # noqa: E402
from rlgpu.graphs import working_stream  # noqa: E402
from rlgpu.trainer import Trainer  # noqa: E402
from tasks import TASKS  # noqa: E402

MAX_STEPS = 100_000_000
"""Environment steps after which a library gives up."""
RSL_RL_HORIZON, RL_GAMES_HORIZON = 32, 16


def rlgpu(composed: Composed, target: float) -> Curve:
    """Returns our learning curve, as metrics.csv has it; a run is not cut short."""
    config = composed.config
    env = make_env(config, composed.task_class, config.num_envs, config.seed, training=True)
    agent = make_agent(config, env)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "nn").mkdir()
        trainer = Trainer(config, env, agent, Path(folder))
        display = Display(Console(quiet=True), "", config.max_iterations, Path(folder))
        trainer.train(display)
        rows = list(csv.DictReader((Path(folder) / "metrics.csv").open()))
    names = ("wall_time", "env_steps", "mean_return")
    return [
        CurvePoint(float(row[names[0]]), int(row[names[1]]), float(row[names[2]])) for row in rows
    ]


def rsl_rl(composed: Composed, target: float) -> Curve:
    """Returns rsl_rl's learning curve."""
    config = composed.config
    env = make_env(config, composed.task_class, config.num_envs, config.seed, training=True)
    iterations = MAX_STEPS // (RSL_RL_HORIZON * env.num_envs)
    with working_stream(env.device):
        return train_rsl_rl(
            env, iterations, target=target, horizon_length=RSL_RL_HORIZON, seed=config.seed
        )


def rl_games(composed: Composed, target: float) -> Curve:
    """Returns rl_games' learning curve."""
    config = composed.config
    env = make_env(config, composed.task_class, config.num_envs, config.seed, training=True)
    rows = RL_GAMES_HORIZON * env.num_envs
    with working_stream(env.device):
        return train_rl_games(
            env, MAX_STEPS // rows, target=target, seed=config.seed,
            minibatch_size=min(32768, rows),
        )  # fmt: skip


LIBRARIES: dict[str, Callable[[Composed, float], Curve]] = {
    "rlgpu": rlgpu,
    "rsl_rl": rsl_rl,
    "rl_games": rl_games,
}


def main() -> None:
    """Prints a row a library and seed, then the medians and ratios of steps a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--targets", type=float, nargs="+", default=[3000.0, 5000.0])
    parser.add_argument("--only", choices=LIBRARIES, help=argparse.SUPPRESS)
    words = [word for word in sys.argv[1:] if "=" in word]
    arguments = parser.parse_args([word for word in sys.argv[1:] if "=" not in word])
    if arguments.only:
        composed = compose(["headless=True", *words], TASKS, ROOT / "cfg")
        seed_everything(composed.config)
        print(json.dumps(LIBRARIES[arguments.only](composed, max(arguments.targets))))
        return
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{' '.join(words) or 'default settings'}, {where}")
    rates: dict[str, list[float]] = {}
    for seed in arguments.seeds:
        for name in LIBRARIES:
            more = ["--targets", str(max(arguments.targets)), *words, f"seed={seed}"]
            line = last_line(__file__, name, more)
            if line is None:
                continue
            curve = json.loads(line)
            rates.setdefault(name, []).append(steps_a_second(curve))
            print(f"{name:10s} seed {seed}  {describe(curve, arguments.targets)}", flush=True)
    ours = statistics.median(rates.get("rlgpu", [0.0]))
    for name, each in rates.items():
        rate = statistics.median(each)
        print(f"{name:10s}{rate:14,.0f} steps/s{ours / rate:8.2f} x in ours")


def describe(curve: list[list[float]], targets: list[float]) -> str:
    """Returns when each target was reached, and how the curve ended."""
    words = []
    for target in targets:
        reached = next((p for p in curve if p[2] >= target), None)
        words.append(
            f"{target:.0f} after {reached[0]:.1f} s, {reached[1] / 1e6:.2f} M steps"
            if reached
            else f"{target:.0f} not reached"
        )
    last = curve[-1]
    return f"{'; '.join(words)}; {last[2]:.0f} after {last[0]:.1f} s, {last[1] / 1e6:.2f} M steps"


def steps_a_second(curve: list[list[float]]) -> float:
    """Returns environment steps a second, the first tenth (warm-up, compiling) left out."""
    first, last = curve[len(curve) // 10], curve[-1]
    return (last[1] - first[1]) / (last[0] - first[0])


if __name__ == "__main__":
    main()
