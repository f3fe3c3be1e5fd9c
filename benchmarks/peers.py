"""Seconds per PPO iteration of three peer libraries on an environment that costs nothing.

Every function runs the library's own rollout and update, on the CPU in float32, and returns the
seconds of each iteration, the slow first ones included; logging and checkpoints are left out.
Versions: stable-baselines3 2.9.2, rsl-rl-lib 5.5.1, rl-games 1.6.5; imported late: optional.
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

# Source: isaac-sim/IsaacGymEnvs, isaacgymenvs/cfg/train/AntPPO.yaml; but float32 on the CPU.
# `torch_threads: 0` keeps the threads that are set.
_RL_GAMES_ANT = """
seed: 1
torch_threads: 0
algo: {name: a2c_continuous}
model: {name: continuous_a2c_logstd}
network:
  name: actor_critic
  separate: false
  space: {continuous: {mu_activation: None, sigma_activation: None, mu_init: {name: default},
    sigma_init: {name: const_initializer, val: 0}, fixed_sigma: true}}
  mlp: {activation: elu, d2rl: false, initializer: {name: default}, regularizer: {name: None}}
config: {name: zero_cost, env_name: zero_cost, device: cpu, mixed_precision: false, ppo: true,
  normalize_input: true, normalize_value: true, normalize_advantage: true, value_bootstrap: true,
  reward_shaper: {scale_value: 0.01}, lr_schedule: adaptive, schedule_type: legacy,
  kl_threshold: 0.008, grad_norm: 1.0, truncate_grads: false, entropy_coef: 0.0, critic_coef: 2,
  clip_value: true, bounds_loss_coef: 0.0001}
"""


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

    def __post_init__(self) -> None:
        """Raises ``ValueError`` if the rollout does not split into equal minibatches."""
        if self.num_envs * self.horizon_length % self.num_minibatches:
            raise ValueError(f"{self}: num_minibatches must divide num_envs * horizon_length")

    @property
    def minibatch_size(self) -> int:
        """Rows of one minibatch."""
        return self.num_envs * self.horizon_length // self.num_minibatches


@contextmanager
def _fixed_settings() -> Iterator[None]:
    """Fixes the process-wide settings that decide the speed, mutes stdout, restores both.

    rl_games lowers the matmul precision, rl_games and rsl_rl turn off the checks of distributions,
    all for the whole process: otherwise the order of the calls would change what they measure.
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


def _constants(spec: Spec) -> tuple[Tensor, Tensor]:
    """Observations, shape [N, O], and rewards, shape [N], of every step: standard normal."""
    generator = torch.Generator().manual_seed(0)
    observations = torch.randn(spec.num_envs, spec.num_observations, generator=generator)
    return observations, torch.randn(spec.num_envs, generator=generator)


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
            self.observations, self.rewards = (each.numpy() for each in _constants(spec))
            self.dones = np.zeros(spec.num_envs, np.bool_)
            self.infos: list[dict[str, Any]] = [{} for _ in range(spec.num_envs)]

        def reset(self) -> np.ndarray:
            return self.observations

        def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
            return self.observations, self.rewards, self.dones, self.infos

        def _nothing(self, *args: object, **kwargs: object) -> Any:
            return [None] * spec.num_envs

        step_async = close = get_attr = set_attr = env_method = env_is_wrapped = _nothing

    return ZeroCostEnv()


def stable_baselines3(spec: Spec, iterations: int) -> list[float]:
    """Seconds of each PPO iteration of stable-baselines3.

    Its defaults otherwise: separate actor and critic, no observation normaliser (a wrapper there).
    """
    with _fixed_settings():
        from stable_baselines3 import PPO
        from stable_baselines3.common.logger import Logger

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
            policy_kwargs={"net_arch": list(spec.hidden_sizes), "activation_fn": torch.nn.ELU},
            device="cpu",
        )
        model.set_logger(Logger(None, []))  # The default one makes a folder at every call.
        rows = spec.num_envs * spec.horizon_length
        # One call of `learn` is one iteration: the environments go on where they were.
        return _seconds(lambda: model.learn(rows, reset_num_timesteps=False), iterations)


class _RslRlEnv:
    """The zero-cost environment with rsl_rl's interface."""

    def __init__(self, spec: Spec) -> None:
        from tensordict import TensorDict

        self.num_envs = spec.num_envs
        self.num_actions = spec.num_actions
        self.device = "cpu"
        self.cfg: dict[str, Any] = {}
        observations, self._rewards = _constants(spec)
        self._observations = TensorDict({"policy": observations}, [spec.num_envs])
        self._dones = torch.zeros(spec.num_envs, dtype=torch.bool)

    def get_observations(self) -> TensorDict:
        return self._observations

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        return self._observations, self._rewards, self._dones, {}


def _rsl_rl_config(spec: Spec) -> dict[str, Any]:
    """rsl_rl's runner settings: the common ones, and its defaults otherwise."""
    gaussian = {"class_name": "GaussianDistribution", "std_type": "log"}
    network = {
        "class_name": "MLPModel",
        "hidden_dims": list(spec.hidden_sizes),
        "activation": "elu",
        "obs_normalization": True,
    }
    return {
        "num_steps_per_env": spec.horizon_length,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {**network, "distribution_cfg": gaussian},
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
    """
    with _fixed_settings():
        from rsl_rl.runners import OnPolicyRunner

        runner = OnPolicyRunner(_RslRlEnv(spec), _rsl_rl_config(spec), log_dir=None, device="cpu")
        return _seconds(lambda: runner.learn(1), iterations)


class _RlGamesEnv:
    """The zero-cost environment with rl_games' tensor interface."""

    def __init__(self, spec: Spec) -> None:
        self._observations, self._rewards = _constants(spec)
        self._dones = torch.zeros(spec.num_envs, dtype=torch.uint8)

    def reset(self) -> Tensor:
        return self._observations

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
        return self._observations, self._rewards, self._dones, {}

    def set_train_info(self, env_frames: int, *args: Any) -> None:
        pass


def _rl_games_params(spec: Spec, folder: str) -> dict[str, Any]:
    """rl_games' settings of IsaacGymEnvs' Ant, with the common ones; files go to ``folder``."""
    import yaml

    params: dict[str, Any] = yaml.safe_load(_RL_GAMES_ANT)
    params["network"]["mlp"]["units"] = list(spec.hidden_sizes)
    params["config"] |= {
        "vec_env": _RlGamesEnv(spec),
        "env_info": dict(zip(("observation_space", "action_space"), _spaces(spec), strict=True)),
        "train_dir": folder,
        "num_actors": spec.num_envs,
        "horizon_length": spec.horizon_length,
        "minibatch_size": spec.minibatch_size,
        "mini_epochs": spec.num_epochs,
        "gamma": _GAMMA,
        "tau": _GAE_LAMBDA,
        "e_clip": _CLIP_RATIO,
        "learning_rate": _LEARNING_RATE,
    }
    return params


def rl_games(spec: Spec, iterations: int) -> list[float]:
    """Seconds of each PPO iteration of rl_games.

    IsaacGymEnvs' Ant settings otherwise: one network for actor and critic, normalised
    observations and values, adaptive learning rate. The agent's own iteration is called instead
    of ``Runner.run``, which by default compiles the model and writes TensorBoard files.
    """
    with _fixed_settings(), tempfile.TemporaryDirectory() as folder:
        from rl_games.torch_runner import Runner

        runner = Runner()
        torch.set_float32_matmul_precision("highest")  # The runner has just lowered it.
        runner.load({"params": _rl_games_params(spec, folder)})
        agent = runner.algo_factory.create(runner.algo_name, base_name="run", params=runner.params)
        agent.init_tensors()
        agent.obs = agent.env_reset()
        seconds = _seconds(agent.train_epoch, iterations)
        agent.writer.close()
        return seconds
