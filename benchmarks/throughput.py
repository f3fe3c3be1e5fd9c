"""Environment steps a second: the bare engine, the environment, whole training; medians, one run.

    python benchmarks/throughput.py [key=value ...]      as for train.py, e.g. task=Ant num_envs=512

The bare engine is MuJoCo's batch stepper on the task's model with uniform random efforts, without
casts, observations, rewards or resets. The three are measured in turn, several times over, so that
a busy machine slows all alike; ratios are medians of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mujoco
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import train as command_line  # noqa: E402
from rlgpu.compose import compose  # noqa: E402
from rlgpu.player import make_env  # noqa: E402
from rlgpu.sim.mujoco import MujocoSimulator  # noqa: E402
from rlgpu.trainer import Trainer  # noqa: E402
from tasks import TASKS  # noqa: E402

ROUNDS = 9
WARM_UP_ITERATIONS = 60
ITERATIONS = 4


def main(arguments: list[str]) -> None:
    """Prints medians and ratios."""
    composed = compose(arguments, TASKS, ROOT / "cfg")
    config = composed.config
    env = make_env(config, composed.task_class, config.num_envs, config.seed)
    agent = command_line.make_agent(config, env)
    bare = make_env(config, composed.task_class, config.num_envs, config.seed).sim
    assert isinstance(bare, MujocoSimulator)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, env, agent, Path(folder))
        horizon = config.train.horizon_length

        def step_engine() -> None:
            efforts = 15.0 * (2.0 * torch.rand(bare._ctrl.shape) - 1.0)
            bare._ctrl.copy_(efforts)
            bare._batch.step(nstep=bare.timing.decimation, stage=mujoco.mjtStage.mjSTAGE_NONE)

        def train() -> None:
            trainer.collect()
            agent.update(trainer.storage)

        for _ in range(WARM_UP_ITERATIONS):
            train()
        for _ in range(WARM_UP_ITERATIONS):
            step_engine()
        steps = ITERATIONS * horizon * config.num_envs
        rounds = [
            (
                rate(steps, ITERATIONS * horizon, step_engine),
                rate(steps, ITERATIONS, trainer.collect),
                rate(steps, ITERATIONS, train),
            )
            for _ in range(ROUNDS)
        ]
    engine, collect, whole = (statistics.median(column) for column in zip(*rounds, strict=True))
    share = statistics.median(r[2] / r[0] for r in rounds)
    print(f"{config.task.name}, {config.num_envs} environments, {ROUNDS} rounds, medians")
    print(f"bare engine        {engine:10,.0f} steps/s")
    print(f"rollout            {collect:10,.0f} steps/s")
    print(f"training           {whole:10,.0f} steps/s")
    print(f"training / engine  {share:10.1%}")


def rate(steps: int, calls: int, function: Callable[[], None]) -> float:
    """Returns environment steps a second of ``calls`` calls that make ``steps`` steps in all."""
    begun = time.perf_counter()
    for _ in range(calls):
        function()
    return steps / (time.perf_counter() - begun)


if __name__ == "__main__":
    main(sys.argv[1:])
