"""rsl_rl and rl_games training on our own environment, and the learning curves that they give.

Both run their own rollout and update; an adapter only passes tensors on and adds up returns on the
device. Versions: rsl-rl-lib 5.5.1, rl-games 1.6.5; imported late: optional.
"""

# ruff: noqa: PLC0415
from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from benchmarks.peers import Spec, library_settings, rl_games_agent, rsl_rl_config
from rlgpu.vec_env import Step, VecEnv

if TYPE_CHECKING:
    from tensordict import TensorDict

__all__ = ["WINDOW", "Curve", "CurvePoint", "train_rl_games", "train_rsl_rl"]

WINDOW = 100
"""Finished episodes that the mean return is taken over."""

_REWARD_SCALE = 0.01
"""What rl_games multiplies the Ant's rewards by; rsl_rl, which cannot, gets them multiplied."""

# Source: isaac-sim/IsaacLab, source/isaaclab_tasks/isaaclab_tasks/manager_based/classic/ant/agents/
# rsl_rl_ppo_cfg.py; but the observations are normalised and the networks those of IsaacGymEnvs.
_RSL_RL_ANT = {
    "value_loss_coef": 1.0,
    "use_clipped_value_loss": True,
    "entropy_coef": 0.0,
    "learning_rate": 5e-4,
    "desired_kl": 0.01,
    "max_grad_norm": 1.0,
}


class CurvePoint(NamedTuple):
    """State of a training run after one iteration."""

    wall_seconds: float
    """Seconds since the first iteration began, the library's compilation included."""
    env_steps: int
    """Environment steps so far."""
    mean_return: float
    """Unscaled return, mean of the last 100 finished episodes; NaN before the first."""


Curve: TypeAlias = list[CurvePoint]


class _Recorder:
    """Steps our environment and keeps its learning curve; a step never waits for the device."""

    def __init__(self, env: VecEnv) -> None:
        self.env = env
        self.env_steps = 0
        self.curve: Curve = []
        self._sums = torch.zeros(env.num_envs, device=env.device)
        # A ring of returns; the spare last place takes what must not be kept and is never read.
        self._returns = torch.zeros(WINDOW + 1, device=env.device)
        self._count = torch.zeros((), dtype=torch.int64, device=env.device)

    def step_env(self, actions: Tensor) -> tuple[Step, Tensor]:
        """Steps the environment; also returns which episodes ended, shape [N], bool."""
        step = self.env.step(actions)
        done = step.terminated | step.truncated
        self.env_steps += self.env.num_envs
        self._sums += step.rewards
        rank = done.cumsum(0)
        # Of more than 100 episodes ending at once, the last 100 count.
        kept = done & (rank > rank[-1] - WINDOW)
        places = torch.where(kept, (self._count + rank - 1) % WINDOW, WINDOW)
        self._returns[places] = self._sums
        self._count += rank[-1]
        self._sums.masked_fill_(done, 0.0)
        return step, done

    def train(self, iterate: Callable[[], object], iterations: int, target: float) -> Curve:
        """Iterates until the target or the last iteration and returns the curve."""
        begun = time.perf_counter()
        for _ in range(iterations):
            iterate()
            # Reading the mean waits for the device, so the clock is read after it.
            mean_return = self._mean_return()
            seconds = time.perf_counter() - begun
            self.curve.append(CurvePoint(seconds, self.env_steps, mean_return))
            if mean_return >= target:
                break
        return self.curve

    def _mean_return(self) -> float:
        known = self._count.clamp(max=WINDOW)
        valid = torch.arange(WINDOW, device=known.device) < known
        return float(torch.where(valid, self._returns[:WINDOW], 0.0).sum() / known)


class _RslRlAdapter(_Recorder):
    """Our environment with rsl_rl's interface."""

    def __init__(self, env: VecEnv) -> None:
        super().__init__(env)
        self.num_envs, self.num_actions = env.num_envs, env.num_actions
        self.device = str(env.device)
        self.cfg: dict[str, Any] = {}

    def get_observations(self) -> TensorDict:
        """Returns the observations that the next action is chosen from."""
        from tensordict import TensorDict

        # rsl_rl stores them after the next step, which may overwrite them.
        return TensorDict({"policy": self.env.observations.clone()}, [self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Returns new observations, scaled rewards, ended episodes and the timed out ones."""
        step, done = self.step_env(actions)
        extras = {"time_outs": step.truncated}
        return self.get_observations(), step.rewards * _REWARD_SCALE, done, extras


class _RlGamesAdapter(_Recorder):
    """Our environment with rl_games' tensor interface.

    Nothing is cloned: rl_games copies observations and rewards before it takes the next step.
    """

    def reset(self) -> Tensor:
        """Returns the current observations; episodes go on, ours reset themselves."""
        return self.env.observations

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
        """Returns new observations, unscaled rewards, ended episodes and the timed out ones."""
        step, done = self.step_env(actions)
        return step.observations, step.rewards, done, {"time_outs": step.truncated}

    def set_train_info(self, env_frames: int, *args: Any) -> None:
        """Ignores what rl_games says about its progress."""


def _spec(
    env: VecEnv,
    horizon_length: int,
    hidden_sizes: tuple[int, ...],
    num_epochs: int,
    num_minibatches: int,
) -> Spec:
    return Spec(
        num_envs=env.num_envs,
        horizon_length=horizon_length,
        num_observations=env.num_observations,
        num_actions=env.num_actions,
        hidden_sizes=hidden_sizes,
        num_epochs=num_epochs,
        num_minibatches=num_minibatches,
    )


def train_rsl_rl(
    env: VecEnv,
    iterations: int,
    *,
    target: float,
    horizon_length: int = 32,
    num_epochs: int = 5,
    num_minibatches: int = 4,
    hidden_sizes: tuple[int, ...] = (256, 128, 64),
    seed: int = 1,
) -> Curve:
    """Trains with rsl_rl and Isaac Lab's Ant settings and returns the learning curve.

    Args:
        env: The environment, on the device that is trained on.
        iterations: Rollouts and updates at most.
        target: Mean return that ends the training.
        horizon_length: Steps of each environment in a rollout.
        num_epochs: Passes over a rollout.
        num_minibatches: Minibatches of a pass.
        hidden_sizes: Widths of the actor's and of the critic's hidden layers.
        seed: Seed of the library's random numbers.

    Raises:
        ValueError: The rollout does not split into equal minibatches.
    """
    spec = _spec(env, horizon_length, hidden_sizes, num_epochs, num_minibatches)
    config = rsl_rl_config(spec)
    config["algorithm"] |= _RSL_RL_ANT
    adapter = _RslRlAdapter(env)
    with library_settings(env.device):
        from rsl_rl.runners import OnPolicyRunner

        torch.manual_seed(seed)
        runner = OnPolicyRunner(adapter, config, log_dir=None, device=str(env.device))
        return adapter.train(lambda: runner.learn(1), iterations, target)


def train_rl_games(
    env: VecEnv,
    iterations: int,
    *,
    target: float,
    horizon_length: int = 16,
    num_epochs: int = 4,
    minibatch_size: int = 32768,
    hidden_sizes: tuple[int, ...] = (256, 128, 64),
    seed: int = 1,
) -> Curve:
    """Trains with rl_games and IsaacGymEnvs' Ant settings and returns the learning curve.

    On a GPU in mixed precision with a compiled model; the first iteration waits for the compiler.

    Args:
        env: The environment, on the device that is trained on.
        iterations: Rollouts and updates at most.
        target: Mean return that ends the training.
        horizon_length: Steps of each environment in a rollout.
        num_epochs: Passes over a rollout.
        minibatch_size: Rows of a minibatch.
        hidden_sizes: Widths of the shared hidden layers.
        seed: Seed of the library's random numbers; not 0, which rl_games takes for none.

    Raises:
        ValueError: The minibatch does not divide the rollout, or the seed is 0.
    """
    rows = env.num_envs * horizon_length
    if rows % minibatch_size:
        raise ValueError(
            f"minibatch_size={minibatch_size} must divide the {rows} rows of a rollout"
        )
    if seed == 0:
        raise ValueError("seed=0 leaves rl_games unseeded: use a positive seed")
    spec = _spec(env, horizon_length, hidden_sizes, num_epochs, rows // minibatch_size)
    adapter = _RlGamesAdapter(env)

    def iterate() -> None:
        agent.update_epoch()
        agent.train_epoch()

    with library_settings(env.device), tempfile.TemporaryDirectory() as folder:
        agent = rl_games_agent(spec, adapter, env.device, folder, seed=seed)
        curve = adapter.train(iterate, iterations, target)
        agent.writer.close()
        return curve
