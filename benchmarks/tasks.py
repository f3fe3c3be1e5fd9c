"""How fast every task collects steps, as a share of its bare engine.

    python benchmarks/tasks.py [engines=fused,mujoco] [num_envs=512] [Task ...]

The bare engine steps under held targets; collecting is everything but the policy: targets, physics,
observations, rewards, resets. Both in turns, medians.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.command_line import read_command_line
from rlgpu.config import compose
from rlgpu.envs import VecEnv, scene_of
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS

STEPS, ROUNDS = 20, 8


def seconds(run: Callable[[], object]) -> float:
    """Returns the time that some steps take."""
    start = time.perf_counter()
    for _ in range(STEPS):
        run()
    return time.perf_counter() - start


def measure(name: str, engine: str, num_envs: int) -> str:
    """Returns a line of the table, or why the engine does not simulate the task."""
    config = compose([f"task={name}"], TASKS, ENGINES).config.task
    task = TASKS[name](config)
    scene = scene_of(task)
    if reasons := ENGINES[engine].accept(scene, config.timing()):
        return f"| {name} | {engine} | - | - | {reasons[0]} |"
    env = VecEnv(task, make_simulator(engine, scene, config.timing(), num_envs), seed=0)
    actions = torch.rand(STEPS, num_envs, env.num_actions) * 2 - 1
    for row in actions:
        env.step(row)
    bare, collecting = [], []
    for _ in range(ROUNDS):
        bare.append(seconds(env.sim.step))
        rows = iter(actions)
        collecting.append(seconds(lambda rows=rows: env.step(next(rows))))  # type: ignore[misc]
    rates = [STEPS * num_envs / statistics.median(x) for x in (bare, collecting)]
    env.sim.close()
    return (
        f"| {name} | {engine} | {rates[0] / 1e3:.1f} | {rates[1] / 1e3:.1f} | "
        f"{rates[1] / rates[0]:.2f} |"
    )


def main(arguments: list[str]) -> None:
    """Prints the table."""
    defaults = {"engines": "fused,mujoco", "num_envs": 512}
    options, tasks = read_command_line(arguments, defaults, __doc__, others="words")
    print("| task | engine | bare, thousand steps/s | collecting | share |")
    print("|---|---|---|---|---|")
    for name in tasks or TASKS:
        for engine in options["engines"].split(","):
            print(measure(name, engine, options["num_envs"]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
