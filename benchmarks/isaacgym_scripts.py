"""Environment steps a second of public Isaac Gym tasks, on two engines, of one core's time.

    PYTHONPATH=IsaacGymEnvs taskset -c 0 python benchmarks/isaacgym_scripts.py task=isaacgymenvs:Ant
    PYTHONPATH=legged_gym taskset -c 0 python benchmarks/isaacgym_scripts.py \
        task=legged_gym:anymal_c_flat [num_envs=512] [steps=60]

Steps a task's own class under random actions, first on MuJoCo C, then on the fused engine. Prints
medians of the processor's time, which other jobs change little, and the means of rewards and ends,
which should agree.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.command_line import read_command_line
from rlgpu.foreign.isaacgym import script_task
from rlgpu.foreign.task import EnvRequest


def measure(word: str, engine: str, num_envs: int, steps: int) -> None:
    """Prints what a task does on an engine."""
    task = script_task(word)
    env = task.make(EnvRequest(task.Config(), num_envs, 0, torch.device("cpu"), engine))
    torch.manual_seed(0)
    times, reward, ends = [], 0.0, 0
    for _ in range(steps):
        actions = 2 * torch.rand(num_envs, env.num_actions) - 1
        start = time.process_time()
        step = env.step(actions)
        times.append(time.process_time() - start)
        reward += float(step.rewards.mean()) / steps
        ends += int((step.terminated | step.truncated).sum())
    rate = num_envs / statistics.median(times) / 1e3
    print(f"{word} {engine}: {rate:.1f} thousand steps/s, reward {reward:.3f}, {ends} ends")


def main(arguments: list[str]) -> None:
    """Measures both engines."""
    defaults = {"task": "isaacgymenvs:Ant", "num_envs": 512, "steps": 60}
    options, _ = read_command_line(arguments, defaults, __doc__)
    torch.set_num_threads(1)
    for engine in ("mujoco", "fused"):
        measure(options["task"], engine, options["num_envs"], options["steps"])


if __name__ == "__main__":
    main(sys.argv[1:])
