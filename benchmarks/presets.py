"""Learning curves of rl_games and rsl_rl beside ours with their presets, on one task and seeds.

    pip install -c requirements.txt -r benchmarks/requirements.txt      the peers
    python benchmarks/presets.py [seeds=3] [iterations=120]

All train on our Cartpole, 512 environments on the fused engine; returns are counted by one piece of
code, in the environment. Prints the mean return of the episodes that ended in each tenth of a run:
the mean over seeds, and the lowest and highest seed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import rlgpu
from benchmarks.command_line import read_command_line
from benchmarks.peer_settings import (
    CARTPOLE_RL_GAMES,
    CARTPOLE_RSL_RL,
    rl_games_params,
    rlgpu_settings,
    rsl_rl_config,
)
from benchmarks.returns import ReturnsByTime
from rlgpu.envs import VecEnv

RL_GAMES = rlgpu_settings(CARTPOLE_RL_GAMES)
RSL_RL = rlgpu_settings(CARTPOLE_RSL_RL) | {"init_at_random_ep_len": False}


def make(seed: int) -> tuple[VecEnv, ReturnsByTime]:
    """Returns environments, and what counts their returns."""
    env = rlgpu.make_env("Cartpole", num_envs=CARTPOLE_RL_GAMES.num_envs, seed=seed)
    return env, ReturnsByTime(env)


def ours(preset: str, settings: dict[str, Any]) -> Callable[[int, int], tuple[ReturnsByTime, int]]:
    """Returns what trains our learner with a preset."""

    def run(seed: int, iterations: int) -> tuple[ReturnsByTime, int]:
        env, returns = make(seed)
        agent = rlgpu.PPOAgent(
            env.observation_space,
            env.action_space,
            CARTPOLE_RL_GAMES.num_envs,
            preset=preset,
            seed=seed,
            max_iterations=iterations,
            **settings,
        )
        for _ in range(iterations):
            while not agent.ready:
                agent.observe(*env.step(agent.act(env.observations).actions))
            agent.update()
        return returns, iterations * agent.horizon_length

    return run


def rl_games(seed: int, iterations: int) -> tuple[ReturnsByTime, int]:
    """Trains the real rl_games."""
    from rl_games.torch_runner import Runner  # noqa: PLC0415

    from rlgpu.export.rl_games import register  # noqa: PLC0415

    env, returns = make(seed)
    register(env)
    config = {
        "env_name": "rlgpu", "max_epochs": iterations, "device_name": "cpu", "score_to_win": 1e9,
        "save_frequency": 0, "save_best_after": 10**6, "print_stats": False, "torch_compile": False,
    }  # fmt: skip
    params = rl_games_params(CARTPOLE_RL_GAMES, env.device, seed=seed, config=config)
    runner = Runner()
    runner.load({"params": params})
    runner.run({"train": True, "play": False})
    return returns, iterations * CARTPOLE_RL_GAMES.horizon_length


def rsl_rl(seed: int, iterations: int) -> tuple[ReturnsByTime, int]:
    """Trains the real rsl_rl."""
    from rsl_rl.runners import OnPolicyRunner  # noqa: PLC0415

    from rlgpu.export.rsl_rl import RslRlEnv  # noqa: PLC0415

    torch.manual_seed(seed)
    env, returns = make(seed)
    config = rsl_rl_config(CARTPOLE_RSL_RL, critic="critic", normalize=False, std_type="scalar")
    runner = OnPolicyRunner(RslRlEnv(env), config, log_dir=None, device="cpu")
    runner.learn(iterations)
    return returns, iterations * CARTPOLE_RSL_RL.horizon_length


def main(arguments: list[str]) -> None:
    """Trains all, and prints a table."""
    options, _ = read_command_line(arguments, {"seeds": 3, "iterations": 120}, __doc__)
    learners = {
        "rl_games": rl_games,
        "ours, preset=rl_games": ours("rl_games", RL_GAMES),
        "rsl_rl": rsl_rl,
        "ours, preset=rsl_rl": ours("rsl_rl", RSL_RL),
    }
    for name, learner in learners.items():
        rows = []
        for seed in range(1, options["seeds"] + 1):
            quiet = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            with (
                tempfile.TemporaryDirectory() as folder,
                contextlib.chdir(folder),
                quiet,
                contextlib.redirect_stdout(quiet),
            ):
                returns, num_steps = learner(seed, options["iterations"])
            rows.append(returns.tenths(num_steps))
        table = np.array(rows)
        for what, row in (
            ("mean", table.mean(0)),
            ("lowest", table.min(0)),
            ("highest", table.max(0)),
        ):
            print(f"{name:22} {what:8}", *(f"{x:6.1f}" for x in row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
