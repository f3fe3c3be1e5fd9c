"""Wall time and environment steps to reach a mean return, ours and the peers', on one environment.

    pip install -c requirements.txt -r benchmarks/requirements.txt      the peers
    python benchmarks/end_to_end.py [seeds=1,2,3] [targets=3000,5000] [key=value ...]

Other keys are those of train.py, e.g. num_envs=4096 or sim=mujoco. rsl_rl and rl_games drive the
same environment object (our task on our engine) through the thin adapters of adapters.py, each with
the settings commonly used with it for the Ant. The return is unscaled, the mean over each
environment's last finished episode. Wall time starts with the first iteration and includes
compilation. Libraries and seeds take turns, each in a separate process.
A peer that is not installed is reported and left out.
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.adapters import Curve, CurvePoint, train_rl_games, train_rsl_rl  # noqa: E402
from benchmarks.command_line import read_command_line  # noqa: E402
from benchmarks.own_process import last_line  # noqa: E402
from benchmarks.peer_settings import ANT_RL_GAMES, ANT_RSL_RL  # noqa: E402
from rlgpu.config import Composed, compose  # noqa: E402
from rlgpu.device import working_stream  # noqa: E402
from rlgpu.sim import ENGINES  # noqa: E402
from rlgpu.tasks import TASKS  # noqa: E402
from rlgpu.training import (  # noqa: E402
    Trainer,
    build_env,
    make_agent,
    seed_everything,
)
from rlgpu.training.console import Display  # noqa: E402

MAX_STEPS = 100_000_000
"""Environment steps after which a library is stopped."""
MINIBATCH_SIZE = 32768
"""Of rl_games, or the whole rollout if that is smaller."""


def rlgpu(composed: Composed, target: float) -> Curve:
    """Returns our learning curve from metrics.csv; the run does not stop at the target."""
    config = composed.config
    env = build_env(config, composed.task_class, training=True)
    agent = make_agent(config, env)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "nn").mkdir()
        display = Display(Console(quiet=True), "", config.max_iterations, Path(folder))
        Trainer(config, env, agent).train(Path(folder), display)
        rows = list(csv.DictReader((Path(folder) / "metrics.csv").open()))
    names = ("wall_time", "env_steps", "mean_return")
    return [
        CurvePoint(float(row[names[0]]), int(row[names[1]]), float(row[names[2]])) for row in rows
    ]


def rsl_rl(composed: Composed, target: float) -> Curve:
    """Returns rsl_rl's learning curve."""
    config = composed.config
    env = build_env(config, composed.task_class, training=True)
    iterations = MAX_STEPS // (ANT_RSL_RL.horizon_length * env.num_envs)
    with working_stream(env.device):
        return train_rsl_rl(env, iterations, ANT_RSL_RL, target=target, seed=config.seed)


def rl_games(composed: Composed, target: float) -> Curve:
    """Returns rl_games' learning curve."""
    config = composed.config
    env = build_env(config, composed.task_class, training=True)
    rows = ANT_RL_GAMES.horizon_length * env.num_envs
    if rows > MINIBATCH_SIZE and rows % MINIBATCH_SIZE:
        raise ValueError(
            f"minibatches of {MINIBATCH_SIZE} must divide the {rows} rows of a rollout"
        )
    spec = replace(ANT_RL_GAMES, num_envs=env.num_envs, num_minibatches=-(-rows // MINIBATCH_SIZE))
    with working_stream(env.device):
        return train_rl_games(env, MAX_STEPS // rows, spec, target=target, seed=config.seed)


LIBRARIES: dict[str, Callable[[Composed, float], Curve]] = {
    "rlgpu": rlgpu,
    "rsl_rl": rsl_rl,
    "rl_games": rl_games,
}


def main(arguments: list[str]) -> None:
    """Prints one row per library and seed, then the medians and ratios of steps per second."""
    defaults = {"seeds": [1, 2, 3], "targets": [3000.0, 5000.0], "only": ""}
    options, words = read_command_line(arguments, defaults, __doc__, others="all")
    targets = options["targets"]
    if options["only"]:
        composed = compose(["headless=True", *words], TASKS, ENGINES)
        seed_everything(composed.config)
        print(json.dumps(LIBRARIES[options["only"]](composed, max(targets))))
        return
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{' '.join(words) or 'default settings'}, {where}")
    rates: dict[str, list[float]] = {}
    for seed in options["seeds"]:
        for name in LIBRARIES:
            more = [f"targets={max(targets)}", *words, f"seed={seed}"]
            line = last_line(__file__, name, more)
            if line is None:
                continue
            curve = json.loads(line)
            rates.setdefault(name, []).append(steps_a_second(curve))
            print(f"{name:10s} seed {seed}  {describe(curve, targets)}", flush=True)
    ours = statistics.median(rates.get("rlgpu", [0.0]))
    for name, each in rates.items():
        rate = statistics.median(each)
        print(f"{name:10s}{rate:14,.0f} steps/s; ours is{ours / rate:8.2f} x as fast")


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
    """Returns environment steps per second without the first tenth (warm-up, compilation)."""
    first, last = curve[len(curve) // 10], curve[-1]
    return (last[1] - first[1]) / (last[0] - first[0])


if __name__ == "__main__":
    main(sys.argv[1:])
