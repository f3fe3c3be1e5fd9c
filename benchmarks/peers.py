"""Seconds per PPO iteration of four peer libraries on a zero-cost environment.

Every function runs the library's own rollout and update and returns the seconds of each iteration,
including the slow first ones; logging and checkpoints are left out. On the CPU, all libraries
compute in float32, uncompiled, with two threads; on a GPU, each uses its own default optimisations
and all use TF32 matrix products.
Versions are in requirements.txt; the libraries are optional and imported lazily.
"""

# ruff: noqa: PLC0415
from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from benchmarks.peer_settings import (
    Spec,
    rl_games_params,
    rsl_rl_config,
    skrl_config,
    stable_baselines3_settings,
)
from rlgpu.profile.timing import seconds_once

if TYPE_CHECKING:
    from gymnasium.spaces import Box
    from stable_baselines3.common.vec_env import VecEnv
    from tensordict import TensorDict

__all__ = [
    "library_settings",
    "rl_games",
    "rl_games_agent",
    "rsl_rl",
    "seconds_of_each",
    "skrl",
    "stable_baselines3",
]

_NUM_THREADS = 2


@contextmanager
def library_settings(device: torch.device) -> Iterator[None]:
    """Fixes the process-wide settings that affect speed, silences stdout, then restores both.

    The libraries change some of them for the rest of the process. On a GPU the number of threads is
    left alone and all libraries get TF32, which only rl_games asks for.
    """
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    checks = Distribution._validate_args
    if device.type == "cpu":
        torch.set_num_threads(_NUM_THREADS)
    torch.set_float32_matmul_precision("highest" if device.type == "cpu" else "high")
    Distribution.set_default_validate_args(__debug__)  # torch's default.
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        Distribution.set_default_validate_args(checks)


class _ZeroCostEnv:
    """Base of the environments: the same standard normal tensors at every step."""

    def __init__(self, spec: Spec, device: torch.device) -> None:
        self.num_envs, self.num_actions, self.device = spec.num_envs, spec.num_actions, device
        self.observation_space, self.action_space = _spaces(spec)
        generator = torch.Generator().manual_seed(0)
        observations = torch.randn(spec.num_envs, spec.num_observations, generator=generator)
        self.observations = observations.to(device)
        self.rewards = torch.randn(spec.num_envs, generator=generator).to(device)
        self.dones = torch.zeros(spec.num_envs, dtype=torch.bool, device=device)


def _spaces(spec: Spec) -> tuple[Box, Box]:
    """Unbounded observation space and [-1, 1] action space of one environment."""
    from gymnasium.spaces import Box

    observations = Box(-np.inf, np.inf, (spec.num_observations,), np.float32)
    return observations, Box(-1.0, 1.0, (spec.num_actions,), np.float32)


def seconds_of_each(
    iterate: Callable[[], object], iterations: int, device: torch.device
) -> list[float]:
    """Returns the seconds of each of ``iterations`` calls, synchronising with a GPU after each."""
    return [seconds_once(iterate, device) for _ in range(iterations)]


def _stable_baselines3_env(spec: Spec) -> VecEnv:
    """The zero-cost environment with stable-baselines3's numpy interface."""
    from stable_baselines3.common.vec_env import VecEnv

    class ZeroCostEnv(VecEnv):
        """Returns the same arrays at every step."""

        def __init__(self) -> None:
            super().__init__(spec.num_envs, *_spaces(spec))
            shared = _ZeroCostEnv(spec, torch.device("cpu"))
            self.observations, self.rewards = shared.observations.numpy(), shared.rewards.numpy()
            self.dones = shared.dones.numpy()
            self.infos: list[dict[str, Any]] = [{} for _ in range(spec.num_envs)]

        def reset(self) -> np.ndarray:
            return self.observations

        def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
            return self.observations, self.rewards, self.dones, self.infos

        def _nothing(self, *args: object, **kwargs: object) -> Any:
            return [None] * spec.num_envs

        step_async = close = get_attr = set_attr = env_method = env_is_wrapped = _nothing

    return ZeroCostEnv()


def stable_baselines3(spec: Spec, iterations: int, device: torch.device) -> list[float]:
    """Seconds of each PPO iteration of stable-baselines3.

    Otherwise its defaults: separate actor and critic, no observation normaliser (a wrapper there).

    Raises:
        ValueError: The device is not the CPU.
    """
    if device.type != "cpu":
        raise ValueError(f"stable-baselines3 steps numpy arrays: measure it on cpu, not {device}")
    with library_settings(device):
        from stable_baselines3 import PPO
        from stable_baselines3.common.logger import Logger

        model = PPO(
            "MlpPolicy",
            _stable_baselines3_env(spec),
            **stable_baselines3_settings(spec),
            device="cpu",
        )
        model.set_logger(Logger(None, []))  # The default one creates a folder on every call.
        rows = spec.num_envs * spec.horizon_length
        # One call of `learn` is one iteration: the environments continue where they were.
        return seconds_of_each(
            lambda: model.learn(rows, reset_num_timesteps=False), iterations, device
        )


class _RslRlEnv(_ZeroCostEnv):
    """The zero-cost environment with rsl_rl's interface."""

    def __init__(self, spec: Spec, device: torch.device) -> None:
        from tensordict import TensorDict

        super().__init__(spec, device)
        self.cfg: dict[str, Any] = {}
        self._observations = TensorDict({"policy": self.observations}, [spec.num_envs])

    def get_observations(self) -> TensorDict:
        return self._observations

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        return self._observations, self.rewards, self.dones, {}


def rsl_rl(spec: Spec, iterations: int, device: torch.device) -> list[float]:
    """Seconds of each PPO iteration of rsl_rl.

    Otherwise its defaults: separate actor and critic, adaptive learning rate, no compilation;
    observations are normalised. Without a log folder its logger does nothing.
    """
    with library_settings(device):
        from rsl_rl.runners import OnPolicyRunner

        env = _RslRlEnv(spec, device)
        config = rsl_rl_config(replace(spec, entropy_coef=0.01))  # its default
        runner = OnPolicyRunner(env, config, log_dir=None, device=str(device))
        return seconds_of_each(lambda: runner.learn(1), iterations, device)


class _RlGamesEnv(_ZeroCostEnv):
    """The zero-cost environment with rl_games' tensor interface."""

    def reset(self) -> Tensor:
        return self.observations

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
        return self.observations, self.rewards, self.dones, {}

    def set_train_info(self, env_frames: int, *args: Any) -> None:
        pass


def rl_games_agent(
    spec: Spec, env: object, device: torch.device, folder: str, *, seed: int = 1
) -> Any:
    """Returns an agent of rl_games before its first ``train_epoch``.

    It is set up as in ``Runner.run``, which cannot be stopped between iterations; the model is
    compiled on a GPU.

    Args:
        spec: The settings.
        env: The environment, with rl_games' tensor interface.
        device: The device to compute on; mixed precision is used on a GPU.
        folder: Folder for the files that rl_games always writes.
        seed: Seed of all random numbers.
    """
    from rl_games.common.algo_observer import IsaacAlgoObserver
    from rl_games.torch_runner import Runner

    runner = Runner(IsaacAlgoObserver())
    if device.type == "cpu":
        torch.set_float32_matmul_precision("highest")  # The runner has just lowered it.
    spaces = dict(zip(("observation_space", "action_space"), _spaces(spec), strict=True))
    config = {"vec_env": env, "env_info": spaces, "train_dir": folder}
    params = rl_games_params(spec, device, seed=seed, config=config)
    params["torch_threads"] = 0  # keeps the current number
    runner.load_config(params)  # `load` would copy the environment.
    agent = runner.algo_factory.create(runner.algo_name, base_name="run", params=params)
    if device.type != "cpu":
        agent.model = torch.compile(agent.model, mode="default")
    agent.init_tensors()
    agent.obs = agent.env_reset()
    return agent


def rl_games(spec: Spec, iterations: int, device: torch.device) -> list[float]:
    """Seconds of each PPO iteration of rl_games.

    Otherwise IsaacGymEnvs' Ant settings: one network, normalised observations and values, adaptive
    learning rate; mixed precision and a compiled model on a GPU.
    """
    with library_settings(device), tempfile.TemporaryDirectory() as folder:
        agent = rl_games_agent(spec, _RlGamesEnv(spec, device), device, folder)
        seconds = seconds_of_each(agent.train_epoch, iterations, device)
        agent.writer.close()
        return seconds


class _SkrlEnv(_ZeroCostEnv):
    """The zero-cost environment with the interface of skrl's wrappers."""

    state_space = None

    def reset(self) -> tuple[Tensor, dict[str, Any]]:
        return self.observations, {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        dones = self.dones[:, None]
        return self.observations, self.rewards[:, None], dones, dones, {}

    def state(self) -> None:
        return None


def skrl(spec: Spec, iterations: int, device: torch.device) -> list[float]:
    """Seconds of each PPO iteration of skrl.

    With the settings of its Isaac Gym Ant example: one network, normalised observations and values,
    adaptive learning rate; float32 on a GPU too.
    """
    with library_settings(device):
        from skrl.utils.runner.torch import Runner

        # skrl does this for the whole process, but only when it is first imported.
        Distribution.set_default_validate_args(False)
        runner = Runner(_SkrlEnv(spec, device), skrl_config(spec))
        # The trainer takes the steps of one rollout; the last of them also updates.
        return seconds_of_each(runner.trainer.train, iterations, device)
