"""Learning curves of rl_games and rsl_rl beside ours with their presets, on one task and seeds.

    pip install -c requirements.txt -r benchmarks/requirements.txt      the peers
    python benchmarks/presets.py [--seeds 3] [--iterations 120]

All train on our Cartpole, 512 environments on the fused engine; returns are counted by one piece of
code, in the environment. Prints the mean return of the episodes that ended in each tenth of a run:
the mean over seeds, and the lowest and highest seed.
"""

from __future__ import annotations

import argparse
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
from rlgpu.envs import Step, VecEnv

NUM_ENVS = 512
RL_GAMES = {
    "horizon_length": 16,
    "num_epochs": 8,
    "num_minibatches": 1,
    "learning_rate": 3e-4,
    "value_loss_coef": 4.0,
    "reward_scale": 0.1,
    "hidden_sizes": [32, 32],
    "max_grad_norm": 1.0,
}
RSL_RL = {"hidden_sizes": [32, 32], "entropy_coef": 0.0, "init_at_random_ep_len": False}


class Returns:
    """Counts returns of finished episodes, by the step in which they ended."""

    def __init__(self, env: VecEnv) -> None:
        self._env_step, self._running = env.step, torch.zeros(env.num_envs)
        self.steps, self.ended = 0, list[tuple[int, float]]()
        env.step = self._step  # type: ignore[method-assign]

    def _step(self, actions: torch.Tensor) -> Step:
        step = self._env_step(actions)
        self.steps += 1
        self._running += step.rewards
        done = step.terminated | step.truncated
        self.ended += [(self.steps, float(x)) for x in self._running[done]]
        self._running[done] = 0.0
        return step

    def tenths(self, num_steps: int) -> np.ndarray:
        """Returns the mean return in each tenth of a run."""
        steps, values = (np.array(x) for x in zip(*self.ended, strict=True))
        parts = np.minimum((steps - 1) * 10 // num_steps, 9)
        return np.array(
            [values[parts == i].mean() if (parts == i).any() else np.nan for i in range(10)]
        )


def make(seed: int) -> tuple[VecEnv, Returns]:
    """Returns environments, and what counts their returns."""
    env = rlgpu.make_env("Cartpole", num_envs=NUM_ENVS, seed=seed)
    return env, Returns(env)


def ours(preset: str, settings: dict[str, Any]) -> Callable[[int, int], tuple[Returns, int]]:
    """Returns what trains our learner with a preset."""

    def run(seed: int, iterations: int) -> tuple[Returns, int]:
        env, returns = make(seed)
        agent = rlgpu.PPOAgent(
            env.observation_space,
            env.action_space,
            NUM_ENVS,
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


def rl_games(seed: int, iterations: int) -> tuple[Returns, int]:
    """Trains the real rl_games."""
    from rl_games.torch_runner import Runner  # noqa: PLC0415

    from rlgpu.export.rl_games import register  # noqa: PLC0415

    env, returns = make(seed)
    register(env)
    none = {"mu_activation": "None", "sigma_activation": "None", "fixed_sigma": True}
    space = {
        **none,
        "mu_init": {"name": "default"},
        "sigma_init": {"name": "const_initializer", "val": 0},
    }
    config = {
        "name": "cartpole", "env_name": "rlgpu", "num_actors": NUM_ENVS, "horizon_length": 16,
        "minibatch_size": 16 * NUM_ENVS, "mini_epochs": 8, "max_epochs": iterations, "gamma": 0.99,
        "tau": 0.95, "learning_rate": 3e-4, "lr_schedule": "adaptive", "schedule_type": "legacy",
        "kl_threshold": 0.008, "e_clip": 0.2, "critic_coef": 4, "clip_value": True,
        "bounds_loss_coef": 1e-4, "entropy_coef": 0.0, "normalize_input": True,
        "normalize_value": True, "normalize_advantage": True, "value_bootstrap": True, "ppo": True,
        "grad_norm": 1.0, "truncate_grads": True, "device": "cpu", "device_name": "cpu",
        "score_to_win": 1e9, "save_frequency": 0, "save_best_after": 10**6, "print_stats": False,
        "torch_compile": False, "mixed_precision": False, "reward_shaper": {"scale_value": 0.1},
    }  # fmt: skip
    mlp = {"units": [32, 32], "activation": "elu", "initializer": {"name": "default"}}
    network = {
        "name": "actor_critic",
        "separate": False,
        "space": {"continuous": space},
        "mlp": mlp,
    }
    runner = Runner()
    runner.load(
        {
            "params": {
                "seed": seed,
                "algo": {"name": "a2c_continuous"},
                "network": network,
                "model": {"name": "continuous_a2c_logstd"},
                "config": config,
            }
        }
    )
    runner.run({"train": True, "play": False})
    return returns, iterations * 16


def rsl_rl(seed: int, iterations: int) -> tuple[Returns, int]:
    """Trains the real rsl_rl."""
    from rsl_rl.runners import OnPolicyRunner  # noqa: PLC0415

    from rlgpu.export.rsl_rl import RslRlEnv  # noqa: PLC0415

    torch.manual_seed(seed)
    env, returns = make(seed)
    model = {"class_name": "MLPModel", "hidden_dims": [32, 32], "activation": "elu"}
    algorithm = {
        "class_name": "PPO", "num_learning_epochs": 5, "num_mini_batches": 4, "clip_param": 0.2,
        "gamma": 0.99, "lam": 0.95, "value_loss_coef": 1.0, "entropy_coef": 0.0,
        "learning_rate": 1e-3, "max_grad_norm": 1.0, "use_clipped_value_loss": True,
        "schedule": "adaptive", "desired_kl": 0.01, "rnd_cfg": None,
    }  # fmt: skip
    gaussian = {"class_name": "GaussianDistribution", "init_std": 1.0}
    config = {
        "num_steps_per_env": 24,
        "save_interval": 10**6,
        "logger": "tensorboard",
        "obs_groups": {"actor": ["policy"], "critic": ["critic"]},
        "actor": {**model, "distribution_cfg": gaussian},
        "critic": model,
        "algorithm": algorithm,
    }
    runner = OnPolicyRunner(RslRlEnv(env), config, log_dir=None, device="cpu")
    runner.learn(iterations)
    return returns, iterations * 24


def main() -> None:
    """Trains all, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=120)
    given = parser.parse_args()
    learners = {
        "rl_games": rl_games,
        "ours, preset=rl_games": ours("rl_games", RL_GAMES),
        "rsl_rl": rsl_rl,
        "ours, preset=rsl_rl": ours("rsl_rl", RSL_RL),
    }
    for name, learner in learners.items():
        rows = []
        for seed in range(1, given.seeds + 1):
            quiet = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            with (
                tempfile.TemporaryDirectory() as folder,
                contextlib.chdir(folder),
                quiet,
                contextlib.redirect_stdout(quiet),
            ):
                returns, num_steps = learner(seed, given.iterations)
            rows.append(returns.tenths(num_steps))
        table = np.array(rows)
        for what, row in (
            ("mean", table.mean(0)),
            ("lowest", table.min(0)),
            ("highest", table.max(0)),
        ):
            print(f"{name:22} {what:8}", *(f"{x:6.1f}" for x in row), flush=True)


if __name__ == "__main__":
    main()
