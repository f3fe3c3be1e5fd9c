"""rsl_rl and rl_games training on our own environment, and the resulting learning curves.

Both run their own rollout and update; an adapter only passes tensors on. Versions: rsl-rl-lib
5.5.1, rl-games 1.6.5; both are optional and imported lazily.
"""

# ruff: noqa: PLC0415
from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from benchmarks.peer_settings import Spec, rsl_rl_config
from benchmarks.peers import library_settings, rl_games_agent
from benchmarks.returns import LastReturns
from rlgpu.envs import VecEnv

if TYPE_CHECKING:
    from tensordict import TensorDict

__all__ = ["Curve", "CurvePoint", "train_rl_games", "train_rsl_rl"]


class CurvePoint(NamedTuple):
    """State of a training run after one iteration."""

    wall_seconds: float
    """Seconds since the first iteration began, including the library's compilation."""
    env_steps: int
    """Environment steps so far."""
    mean_return: float
    """Mean unscaled return of every environment's last finished episode; NaN before the first."""


Curve: TypeAlias = list[CurvePoint]


class _RslRlAdapter:
    """Our environment with rsl_rl's interface."""

    def __init__(self, env: VecEnv, reward_scale: float) -> None:
        self.env, self._reward_scale = env, reward_scale
        self.num_envs, self.num_actions = env.num_envs, env.num_actions
        self.device = str(env.device)
        self.cfg: dict[str, Any] = {}

    def get_observations(self) -> TensorDict:
        """Returns the observations that the next action is chosen from."""
        from tensordict import TensorDict

        # rsl_rl stores them after the next step, which may overwrite them.
        return TensorDict({"policy": self.env.observations.clone()}, [self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Returns new observations, scaled rewards, and which episodes ended and timed out."""
        step = self.env.step(actions)
        done, extras = step.terminated | step.truncated, {"time_outs": step.truncated}
        return self.get_observations(), step.rewards * self._reward_scale, done, extras


class _RlGamesAdapter:
    """Our environment with rl_games' tensor interface.

    Nothing is cloned: rl_games copies observations and rewards before it takes the next step.
    """

    def __init__(self, env: VecEnv) -> None:
        self.env = env

    def reset(self) -> Tensor:
        """Returns the current observations; episodes continue, as ours reset themselves."""
        return self.env.observations

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
        """Returns new observations, unscaled rewards, and which episodes ended and timed out."""
        step = self.env.step(actions)
        done = step.terminated | step.truncated
        return step.observations, step.rewards, done, {"time_outs": step.truncated}

    def set_train_info(self, env_frames: int, *args: Any) -> None:
        """Ignores the progress that rl_games reports."""


def _train(
    env: VecEnv, iterate: Callable[[], object], iterations: int, returns: LastReturns, target: float
) -> Curve:
    """Iterates until the target is reached or iterations run out, and returns the curve."""
    curve: Curve = []
    begun = time.perf_counter()
    for _ in range(iterations):
        iterate()
        # Reading the mean waits for the device, so the clock is read after it.
        mean_return = returns.mean()
        seconds = time.perf_counter() - begun
        curve.append(CurvePoint(seconds, returns.num_steps * env.num_envs, mean_return))
        if mean_return >= target:
            break
    return curve


def _fitted(spec: Spec, env: VecEnv) -> Spec:
    """Returns settings with an environment's sizes.

    Raises:
        ValueError: The rollout does not split into equal minibatches.
    """
    return replace(
        spec,
        num_envs=env.num_envs,
        num_observations=env.num_observations,
        num_actions=env.num_actions,
    )


def train_rsl_rl(
    env: VecEnv, iterations: int, spec: Spec, *, target: float, seed: int = 1
) -> Curve:
    """Trains with rsl_rl and returns the learning curve.

    Args:
        env: The environment, on the training device.
        iterations: Maximum number of rollouts and updates.
        spec: The settings; sizes of the environment are taken from it.
        target: Mean return that ends the training.
        seed: Seed of the library's random numbers.

    Raises:
        ValueError: The rollout does not split into equal minibatches.
    """
    spec, returns = _fitted(spec, env), LastReturns(env)
    with library_settings(env.device):
        from rsl_rl.runners import OnPolicyRunner

        torch.manual_seed(seed)
        adapter, device = _RslRlAdapter(env, spec.reward_scale), str(env.device)
        runner = OnPolicyRunner(adapter, rsl_rl_config(spec), log_dir=None, device=device)
        return _train(env, lambda: runner.learn(1), iterations, returns, target)


def train_rl_games(
    env: VecEnv, iterations: int, spec: Spec, *, target: float, seed: int = 1
) -> Curve:
    """Trains with rl_games and returns the learning curve.

    On a GPU it uses mixed precision and a compiled model; the first iteration includes compilation.

    Args:
        env: The environment, on the training device.
        iterations: Maximum number of rollouts and updates.
        spec: The settings; sizes of the environment are taken from it.
        target: Mean return that ends the training.
        seed: Seed of the library's random numbers; not 0, which rl_games treats as no seed.

    Raises:
        ValueError: The rollout does not split into equal minibatches, or the seed is 0.
    """
    if seed == 0:
        raise ValueError("seed=0 leaves rl_games unseeded: use a positive seed")
    spec, returns = _fitted(spec, env), LastReturns(env)

    def iterate() -> None:
        agent.update_epoch()
        agent.train_epoch()

    with library_settings(env.device), tempfile.TemporaryDirectory() as folder:
        agent = rl_games_agent(spec, _RlGamesAdapter(env), env.device, folder, seed=seed)
        curve = _train(env, iterate, iterations, returns, target)
        agent.writer.close()
        return curve
