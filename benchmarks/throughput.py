"""Environment steps a second: the bare engine, the environment, whole training; medians, one run.

    python benchmarks/throughput.py [key=value ...]      as for train.py, e.g. task=Ant num_envs=512

The bare engine takes random efforts, without casts, observations, rewards or resets: MuJoCo's batch
stepper on the CPU; on a GPU the physics of a rollout in one CUDA graph. The three are measured in
turn, several times over, so that a busy machine slows all alike; ratios are medians of the rounds'.
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

from rlgpu.assemble import make_agent, make_env  # noqa: E402
from rlgpu.compose import compose  # noqa: E402
from rlgpu.graphs import Phase, working_stream  # noqa: E402
from rlgpu.sim.mujoco import MujocoSimulator  # noqa: E402
from rlgpu.trainer import Trainer  # noqa: E402
from rlgpu.vec_env import VecEnv  # noqa: E402
from tasks import TASKS  # noqa: E402

ROUNDS = 9
WARM_UP_ITERATIONS = 60
ITERATIONS = {"cpu": 4, "cuda": 20}


def main(arguments: list[str]) -> None:
    """Prints medians and ratios."""
    composed = compose(arguments, TASKS, ROOT / "cfg")
    config = composed.config
    env = make_env(config, composed.task_class, config.num_envs, config.seed, training=True)
    agent = make_agent(config, env)
    bare = make_env(config, composed.task_class, config.num_envs, config.seed, training=True)
    with tempfile.TemporaryDirectory() as folder, working_stream(env.device):
        trainer = Trainer(config, env, agent, Path(folder))
        horizon = config.train.horizon_length
        engine = bare_engine(bare, horizon)

        def train() -> None:
            trainer.collect()
            trainer.update()

        for _ in range(WARM_UP_ITERATIONS):
            train()
            engine()
        calls = ITERATIONS[env.device.type]
        steps = calls * horizon * config.num_envs
        rounds = [
            tuple(
                rate(steps, calls, function, env.device)
                for function in (engine, trainer.collect, train)
            )
            for _ in range(ROUNDS)
        ]
    alone, collect, whole = (statistics.median(column) for column in zip(*rounds, strict=True))
    share = statistics.median(r[2] / r[0] for r in rounds)
    print(f"{config.task.name}, {config.num_envs} environments, {ROUNDS} rounds, medians")
    print(env.sim.description)
    print(f"bare engine        {alone:12,.0f} steps/s")
    print(f"rollout            {collect:12,.0f} steps/s")
    print(f"training           {whole:12,.0f} steps/s")
    print(f"training / engine  {share:12.1%}")


def bare_engine(env: VecEnv, horizon: int) -> Callable[[], object]:
    """Returns a function that steps the engine alone ``horizon`` times, under random efforts."""
    sim = env.sim
    efforts = 15.0 * (2.0 * torch.rand(horizon, env.num_envs, env.num_actions) - 1.0)
    efforts = efforts.to(sim.device)
    if isinstance(sim, MujocoSimulator):
        batch, ctrl = sim._batch, sim._ctrl

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
        sim.refresh()  # once a rollout: worlds that are no longer finite would stay so

    return step_and_restart


def rate(steps: int, calls: int, function: Callable[[], object], device: torch.device) -> float:
    """Returns environment steps a second of ``calls`` calls that make ``steps`` steps in all."""

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    begun = clock()
    for _ in range(calls):
        function()
    return steps / (clock() - begun)


if __name__ == "__main__":
    main(sys.argv[1:])
