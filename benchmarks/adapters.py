"""rsl_rl and rl_games training on our own environment, and the resulting learning curves.

Both run their own rollout and update; an adapter only passes tensors on and adds up returns on the
device. Versions: rsl-rl-lib 5.5.1, rl-games 1.6.5; both are optional and imported lazily.
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
from rlgpu.envs import Step, VecEnv
from rlgpu.training.episodes import EpisodeStatistics

if TYPE_CHECKING:
    from tensordict import TensorDict

__all__ = ["Curve", "CurvePoint", "train_rl_games", "train_rsl_rl"]

_REWARD_SCALE = 0.01
"""rl_games multiplies the Ant's rewards by this; rsl_rl cannot, so the adapter does it."""

# Source: isaac-sim/IsaacLab, source/isaaclab_tasks/isaaclab_tasks/manager_based/classic/ant/agents/
# rsl_rl_ppo_cfg.py; but with normalised observations and the networks of IsaacGymEnvs.
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
    """Seconds since the first iteration began, including the library's compilation."""
    env_steps: int
    """Environment steps so far."""
    mean_return: float
    """Mean unscaled return of every environment's last finished episode; NaN before the first."""


Curve: TypeAlias = list[CurvePoint]


class _Recorder:
    """Steps our environment and records its learning curve; a step never waits for the device."""

    def __init__(self, env: VecEnv) -> None:
        self.env = env
        self.env_steps = 0
        self.curve: Curve = []
        self._statistics = EpisodeStatistics(env.num_envs, 1, env.device)

    def step_env(self, actions: Tensor) -> tuple[Step, Tensor]:
        """Steps the environment; also returns which episodes ended, shape [N], bool."""
        step = self.env.step(actions)
        done = step.terminated | step.truncated
        self.env_steps += self.env.num_envs
        self._statistics.update(step.rewards[None], done[None])
        return step, done

    def train(self, iterate: Callable[[], object], iterations: int, target: float) -> Curve:
        """Iterates until the target is reached or iterations run out, and returns the curve."""
        begun = time.perf_counter()
        for _ in range(iterations):
            iterate()
            # Reading the mean waits for the device, so the clock is read after it.
            mean_return = float(self._statistics.means().mean_return)
            seconds = time.perf_counter() - begun
            self.curve.append(CurvePoint(seconds, self.env_steps, mean_return))
            if mean_return >= target:
                break
        return self.curve


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
        """Returns new observations, scaled rewards, and which episodes ended and timed out."""
        step, done = self.step_env(actions)
        extras = {"time_outs": step.truncated}
        return self.get_observations(), step.rewards * _REWARD_SCALE, done, extras


class _RlGamesAdapter(_Recorder):
    """Our environment with rl_games' tensor interface.

    Nothing is cloned: rl_games copies observations and rewards before it takes the next step.
    """

    def reset(self) -> Tensor:
        """Returns the current observations; episodes continue, as ours reset themselves."""
        return self.env.observations

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
        """Returns new observations, unscaled rewards, and which episodes ended and timed out."""
        step, done = self.step_env(actions)
        return step.observations, step.rewards, done, {"time_outs": step.truncated}

    def set_train_info(self, env_frames: int, *args: Any) -> None:
        """Ignores the progress that rl_games reports."""


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
        env: The environment, on the training device.
        iterations: Maximum number of rollouts and updates.
        target: Mean return that ends the training.
        horizon_length: Steps per environment and rollout.
        num_epochs: Passes over a rollout.
        num_minibatches: Minibatches per pass.
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

    On a GPU it uses mixed precision and a compiled model; the first iteration includes compilation.

    Args:
        env: The environment, on the training device.
        iterations: Maximum number of rollouts and updates.
        target: Mean return that ends the training.
        horizon_length: Steps per environment and rollout.
        num_epochs: Passes over a rollout.
        minibatch_size: Rows per minibatch.
        hidden_sizes: Widths of the shared hidden layers.
        seed: Seed of the library's random numbers; not 0, which rl_games treats as no seed.

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
