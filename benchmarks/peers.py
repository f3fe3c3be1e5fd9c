"""Seconds per PPO iteration of three peer libraries on an environment that costs nothing.

Every function runs the library's own rollout and update, on the CPU in float32, and returns the
seconds of each iteration; logging and checkpoints are left out. Versions: stable-baselines3
2.9.2, rsl-rl-lib 5.5.1, rl-games 1.6.5. The libraries are imported late: none is a requirement.
"""

# ruff: noqa: PLC0415
from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

if TYPE_CHECKING:
    from gymnasium.spaces import Box
    from stable_baselines3.common.vec_env import VecEnv
    from tensordict import TensorDict

__all__ = ["Spec", "rl_games", "rsl_rl", "stable_baselines3"]

_NUM_THREADS = 2
_GAMMA = 0.99
_GAE_LAMBDA = 0.95
_CLIP_RATIO = 0.2
_LEARNING_RATE = 3e-4


@dataclass(frozen=True)
class Spec:
    """Sizes of the problem, the same for every library."""

    num_envs: int = 256
    horizon_length: int = 16
    num_observations: int = 60
    num_actions: int = 8
    hidden_sizes: tuple[int, ...] = (256, 128, 64)
    num_epochs: int = 4
    num_minibatches: int = 2

    @property
    def minibatch_size(self) -> int:
        """Rows of one minibatch.

        Raises:
            ValueError: The rollout does not split into equal minibatches.
        """
        rows = self.num_envs * self.horizon_length
        if rows % self.num_minibatches:
            raise ValueError(
                f"{rows} rows do not split into {self.num_minibatches} equal minibatches; "
                "choose num_minibatches that divides num_envs * horizon_length"
            )
        return rows // self.num_minibatches


@contextmanager
def _fixed_settings() -> Iterator[None]:
    """Fixes the process-wide settings that decide the speed, mutes stdout, restores both.

    rl_games lowers the matmul precision and rsl_rl turns off the checks of distributions, both
    for the whole process: without this, the order of the calls would change what they measure.
    """
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    checks = Distribution._validate_args
    torch.set_num_threads(_NUM_THREADS)
    torch.set_float32_matmul_precision("highest")
    Distribution.set_default_validate_args(__debug__)  # torch's default.
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        Distribution.set_default_validate_args(checks)


def _observations(spec: Spec) -> Tensor:
    """Standard normal observations, always the same, shape [N, O]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(spec.num_envs, spec.num_observations, generator=generator)


def _spaces(spec: Spec) -> tuple[Box, Box]:
    """Unbounded observation space and [-1, 1] action space of one environment."""
    from gymnasium.spaces import Box

    observations = Box(-np.inf, np.inf, (spec.num_observations,), np.float32)
    return observations, Box(-1.0, 1.0, (spec.num_actions,), np.float32)


def _seconds(iterate: Callable[[], object], iterations: int) -> list[float]:
    """Seconds of each of ``iterations`` calls."""
    seconds = []
    for _ in range(iterations):
        start = time.perf_counter()
        iterate()
        seconds.append(time.perf_counter() - start)
    return seconds


def _stable_baselines3_env(spec: Spec) -> VecEnv:
    """The zero-cost environment with stable-baselines3's numpy interface."""
    from stable_baselines3.common.vec_env import VecEnv

    class ZeroCostEnv(VecEnv):
        """Returns the same arrays at every step."""

        def __init__(self) -> None:
            super().__init__(spec.num_envs, *_spaces(spec))
            self.observations = _observations(spec).numpy()
            self.rewards = np.zeros(spec.num_envs, np.float32)
            self.dones = np.zeros(spec.num_envs, np.bool_)
            self.infos: list[dict[str, Any]] = [{} for _ in range(spec.num_envs)]

        def reset(self) -> np.ndarray:
            return self.observations

        def step_async(self, actions: np.ndarray) -> None:
            pass

        def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
            return self.observations, self.rewards, self.dones, self.infos

        def close(self) -> None:
            pass

        def get_attr(self, attr_name: str, indices: object = None) -> list[Any]:
            return [None] * spec.num_envs

        def set_attr(self, attr_name: str, value: Any, indices: object = None) -> None:
            pass

        def env_method(
            self, method_name: str, *args: Any, indices: object = None, **kwargs: Any
        ) -> list[Any]:
            return [None] * spec.num_envs

        def env_is_wrapped(self, wrapper_class: type, indices: object = None) -> list[bool]:
            return [False] * spec.num_envs

    return ZeroCostEnv()


def stable_baselines3(spec: Spec, iterations: int) -> list[float]:
    """Seconds of each PPO iteration of stable-baselines3.

    Its defaults otherwise: separate actor and critic, no observation normaliser (a wrapper there).

    Args:
        spec: Sizes.
        iterations: How many to run, warm-up included.
    """
    from stable_baselines3 import PPO

    with _fixed_settings():
        hidden = list(spec.hidden_sizes)
        model = PPO(
            "MlpPolicy",
            _stable_baselines3_env(spec),
            learning_rate=_LEARNING_RATE,
            n_steps=spec.horizon_length,
            batch_size=spec.minibatch_size,
            n_epochs=spec.num_epochs,
            gamma=_GAMMA,
            gae_lambda=_GAE_LAMBDA,
            clip_range=_CLIP_RATIO,
            policy_kwargs={
                "net_arch": {"pi": hidden, "vf": hidden},
                "activation_fn": torch.nn.ELU,
            },
            device="cpu",
        )
        rows = spec.num_envs * spec.horizon_length
        # One call of `learn` is one iteration: the environments go on where they were.
        return _seconds(lambda: model.learn(rows, reset_num_timesteps=False), iterations)


class _RslRlEnv:
    """The zero-cost environment with rsl_rl's interface."""

    def __init__(self, spec: Spec) -> None:
        from tensordict import TensorDict

        self.num_envs = spec.num_envs
        self.num_actions = spec.num_actions
        self.max_episode_length = 1000
        self.episode_length_buf = torch.zeros(spec.num_envs, dtype=torch.long)
        self.device = "cpu"
        self.cfg: dict[str, Any] = {}
        self._observations = TensorDict({"policy": _observations(spec)}, [spec.num_envs])
        self._rewards = torch.zeros(spec.num_envs)
        self._dones = torch.zeros(spec.num_envs, dtype=torch.bool)

    def get_observations(self) -> TensorDict:
        return self._observations

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        return self._observations, self._rewards, self._dones, {}


def _rsl_rl_config(spec: Spec) -> dict[str, Any]:
    """rsl_rl's runner settings: the common ones, and its defaults otherwise."""
    network = {
        "class_name": "MLPModel",
        "hidden_dims": list(spec.hidden_sizes),
        "activation": "elu",
        "obs_normalization": True,
    }
    return {
        "num_steps_per_env": spec.horizon_length,
        "save_interval": 1_000_000,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {
            **network,
            "distribution_cfg": {"class_name": "GaussianDistribution", "std_type": "log"},
        },
        "critic": network,
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": spec.num_epochs,
            "num_mini_batches": spec.num_minibatches,
            "clip_param": _CLIP_RATIO,
            "gamma": _GAMMA,
            "lam": _GAE_LAMBDA,
            "learning_rate": _LEARNING_RATE,
            "schedule": "adaptive",
        },
    }


def rsl_rl(spec: Spec, iterations: int) -> list[float]:
    """Seconds of each PPO iteration of rsl_rl.

    Its defaults otherwise: separate actor and critic, adaptive learning rate, the check for NaN
    on; observations are normalised. Without a log folder its logger does nothing.

    Args:
        spec: Sizes.
        iterations: How many to run, warm-up included.
    """
    from rsl_rl.runners import OnPolicyRunner

    with _fixed_settings():
        runner = OnPolicyRunner(_RslRlEnv(spec), _rsl_rl_config(spec), log_dir=None, device="cpu")
        return _seconds(lambda: runner.learn(1), iterations)


class _RlGamesEnv:
    """The zero-cost environment with rl_games' tensor interface."""

    def __init__(self, spec: Spec) -> None:
        self._spaces = _spaces(spec)
        self._observations = {"obs": _observations(spec)}
        self._rewards = torch.zeros(spec.num_envs)
        self._dones = torch.zeros(spec.num_envs, dtype=torch.uint8)

    def reset(self) -> dict[str, Tensor]:
        return self._observations

    def step(self, actions: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, dict[str, Any]]:
        return self._observations, self._rewards, self._dones, {}

    def get_env_info(self) -> dict[str, Any]:
        return {"observation_space": self._spaces[0], "action_space": self._spaces[1]}

    def set_train_info(self, env_frames: int, *args: Any) -> None:
        pass


def _rl_games_config(spec: Spec, folder: str) -> dict[str, Any]:
    """IsaacGymEnvs' settings of Ant for rl_games, with the common ones and float32.

    Source: isaac-sim/IsaacGymEnvs, isaacgymenvs/cfg/train/AntPPO.yaml.
    """
    env = _RlGamesEnv(spec)
    space = {
        "mu_activation": "None",
        "sigma_activation": "None",
        "mu_init": {"name": "default"},
        "sigma_init": {"name": "const_initializer", "val": 0},
        "fixed_sigma": True,
    }
    mlp = {
        "units": list(spec.hidden_sizes),
        "activation": "elu",
        "d2rl": False,
        "initializer": {"name": "default"},
        "regularizer": {"name": "None"},
    }
    config = {
        "name": "zero_cost",
        "env_name": "zero_cost",
        "env_info": env.get_env_info(),
        "vec_env": env,
        "device": "cpu",
        "train_dir": folder,
        "ppo": True,
        "mixed_precision": False,
        "normalize_input": True,
        "normalize_value": True,
        "normalize_advantage": True,
        "value_bootstrap": True,
        "num_actors": spec.num_envs,
        "reward_shaper": {"scale_value": 0.01},
        "gamma": _GAMMA,
        "tau": _GAE_LAMBDA,
        "learning_rate": _LEARNING_RATE,
        "lr_schedule": "adaptive",
        "schedule_type": "legacy",
        "kl_threshold": 0.008,
        "grad_norm": 1.0,
        "truncate_grads": False,
        "entropy_coef": 0.0,
        "critic_coef": 2,
        "clip_value": True,
        "bounds_loss_coef": 0.0001,
        "e_clip": _CLIP_RATIO,
        "horizon_length": spec.horizon_length,
        "minibatch_size": spec.minibatch_size,
        "mini_epochs": spec.num_epochs,
    }
    return {
        "seed": 1,
        "torch_threads": 0,  # Keeps the threads that are set.
        "algo": {"name": "a2c_continuous"},
        "model": {"name": "continuous_a2c_logstd"},
        "network": {
            "name": "actor_critic",
            "separate": False,
            "space": {"continuous": space},
            "mlp": mlp,
        },
        "config": config,
    }


def rl_games(spec: Spec, iterations: int) -> list[float]:
    """Seconds of each PPO iteration of rl_games.

    IsaacGymEnvs' Ant settings otherwise: one network for actor and critic, normalised
    observations and values, adaptive learning rate. The agent's own iteration is called instead
    of ``Runner.run``, which by default compiles the model and writes TensorBoard files.

    Args:
        spec: Sizes.
        iterations: How many to run, warm-up included.
    """
    from rl_games.torch_runner import Runner

    with _fixed_settings(), tempfile.TemporaryDirectory() as folder:
        runner = Runner()
        # The runner lowers the precision of float32 products for the whole process.
        torch.set_float32_matmul_precision("highest")
        runner.load({"params": _rl_games_config(spec, folder)})
        agent = runner.algo_factory.create(runner.algo_name, base_name="run", params=runner.params)
        agent.init_tensors()
        agent.obs = agent.env_reset()

        def iterate() -> None:
            agent.update_epoch()
            agent.train_epoch()
            agent.dataset.update_values_dict(None)

        seconds = _seconds(iterate, iterations)
        agent.writer.close()
        return seconds
