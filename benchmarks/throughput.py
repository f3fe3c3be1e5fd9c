"""Environment steps per second of the bare engine, the rollout and whole training: medians.

    python benchmarks/throughput.py [key=value ...]      as for train.py, e.g. task=Ant num_envs=512

The bare engine takes random efforts, without casts, observations, rewards or resets: MuJoCo's batch
stepper on the CPU; on a GPU the physics of a rollout in one CUDA graph. The three are measured in
turn over several rounds, so that a busy machine slows all of them equally; the ratios are the
medians of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import mujoco
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.command_line import read_command_line  # noqa: E402
from rlgpu.config import compose  # noqa: E402
from rlgpu.device import Phase, working_stream  # noqa: E402
from rlgpu.envs import VecEnv  # noqa: E402
from rlgpu.profile.timing import seconds_once  # noqa: E402
from rlgpu.sim import ENGINES  # noqa: E402
from rlgpu.sim.mujoco.batch import BatchWorlds  # noqa: E402
from rlgpu.tasks import TASKS  # noqa: E402
from rlgpu.training import (  # noqa: E402
    Trainer,
    build_env,
    make_agent,
)

ROUNDS = 9
WARM_UP_ITERATIONS = 60
ITERATIONS = {"cpu": 4, "cuda": 20}


def main(arguments: list[str]) -> None:
    """Prints medians and ratios."""
    words = read_command_line(arguments, {}, __doc__, others="all").others
    composed = compose(words, TASKS, ENGINES)
    config = composed.config
    env = build_env(config, composed.task_class, training=True)
    agent = make_agent(config, env)
    bare = build_env(config, composed.task_class, training=True)
    with working_stream(env.device):
        trainer = Trainer(config, env, agent)
        horizon = config.train.horizon_length
        engine = bare_engine(bare, horizon)

        def train() -> None:
            trainer.collect()
            trainer.update()

        for _ in range(WARM_UP_ITERATIONS):
            train()
            engine()
        calls = ITERATIONS[env.device.type]
        steps = horizon * config.num_envs
        rounds = [
            tuple(
                steps / seconds_once(function, env.device, calls)
                for function in (engine, trainer.collect, train)
            )
            for _ in range(ROUNDS)
        ]
    alone, collect, whole = (statistics.median(column) for column in zip(*rounds, strict=True))
    shares = [statistics.median(r[i] / r[0] for r in rounds) for i in (1, 2)]
    print(f"{config.task.name}, {config.num_envs} environments, {ROUNDS} rounds, medians")
    print(env.sim.description)
    print(f"bare engine        {alone:12,.0f} steps/s")
    print(f"rollout            {collect:12,.0f} steps/s")
    print(f"training           {whole:12,.0f} steps/s")
    print(f"rollout / engine   {shares[0]:12.1%}")
    print(f"training / engine  {shares[1]:12.1%}")


def bare_engine(env: VecEnv, horizon: int) -> Callable[[], object]:
    """Returns a function that steps the engine alone ``horizon`` times, under random efforts."""
    sim = env.sim
    efforts = 15.0 * (2.0 * torch.rand(horizon, env.num_envs, env.num_actions) - 1.0)
    efforts = efforts.to(sim.device)
    if isinstance(sim.worlds, BatchWorlds):
        batch, ctrl = sim.worlds._batch, sim.worlds.array("ctrl")

        def step_batch() -> None:
            for t in range(horizon):
                ctrl.copy_(efforts[t])
                batch.step(nstep=sim.timing.decimation, stage=mujoco.mjtStage.mjSTAGE_NONE)

        return step_batch

    def step() -> None:
        for t in range(horizon):
            sim.set_targets(efforts[t])
            sim.step()

    captured: Phase[None] = Phase(
        step, sim.device, name="bare engine", enabled=sim.capturable, joining=sim.capturing
    )

    def step_and_restart() -> None:
        captured()
        sim.refresh()  # once per rollout: otherwise non-finite worlds would stay so

    return step_and_restart


if __name__ == "__main__":
    main(sys.argv[1:])
