"""What domain randomisation costs: a step with ten randomised quantities beside one without.

    python benchmarks/randomization.py [num_envs=4096] [task=Go2] [engine=fused]

Steps both environments in turns, so that whatever else runs slows both; prints medians. Actions are
small, so that episodes end at their time limit and a few environments are reset in every step.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.command_line import read_command_line
from rlgpu.config import compose
from rlgpu.envs import VecEnv, scene_of
from rlgpu.envs.randomization_config import Noise, Randomization, Varied
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS

TEN = Randomization(
    observations=Noise(range=[0.0, 0.002], distribution="gaussian"),
    actions=Noise(range=[0.0, 0.02], distribution="gaussian"),
    action_delay=[0, 2],
    gravity=Varied(range=[0.0, 0.1], distribution="gaussian"),
    mass=Varied(range=[0.8, 1.2], operation="scaling"),
    center_of_mass=Varied(range=[-0.01, 0.01]),
    friction=Varied(range=[0.5, 1.25], operation="scaling"),
    stiffness=Varied(range=[0.8, 1.2], operation="scaling"),
    damping=Varied(range=[0.8, 1.2], operation="scaling"),
    armature=Varied(range=[0.8, 1.2], operation="scaling"),
)


def make(name: str, num_envs: int, engine: str, *, randomize: bool) -> VecEnv:
    """Returns environments whose episodes are at random places."""
    config = compose([f"task={name}"], TASKS, ENGINES)
    settings = replace(config.config.task, randomize=randomize, randomization=TEN)
    task = TASKS[name](settings)
    simulator = make_simulator(engine, scene_of(task), settings.timing(), num_envs)
    env = VecEnv(task, simulator, seed=0)
    env.randomize_ages()
    return env


def main(arguments: list[str]) -> None:
    """Prints milliseconds a step, and the ratio."""
    defaults = {"num_envs": 4096, "task": "Go2", "engine": "fused", "rounds": 20}
    options, _ = read_command_line(arguments, defaults, __doc__)
    task, num_envs = options["task"], options["num_envs"]
    envs = {x: make(task, num_envs, options["engine"], randomize=x) for x in (False, True)}
    actions = torch.zeros(num_envs, envs[True].num_actions)
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(options["rounds"]):
        for randomize, env in envs.items():
            start = time.perf_counter()
            for _ in range(5):
                env.step(actions)
            times[randomize].append((time.perf_counter() - start) / 5 * 1e3)
    plain, randomized = (statistics.median(times[x][2:]) for x in (False, True))
    print(f"{task}, {num_envs} environments, {envs[True].sim.description}")
    print(f"plain {plain:.2f} ms a step, randomised {randomized:.2f} ms: {randomized / plain:.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
