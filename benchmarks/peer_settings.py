"""PPO settings of the comparisons, in our names, and the same settings for each peer library.

A setting that only one library has keeps the value of the source named at its template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
import yaml

__all__ = [
    "ANT_RL_GAMES",
    "ANT_RSL_RL",
    "CARTPOLE_RL_GAMES",
    "CARTPOLE_RSL_RL",
    "GPU_SPEC",
    "Spec",
    "rl_games_params",
    "rlgpu_settings",
    "rsl_rl_config",
    "skrl_config",
    "stable_baselines3_settings",
]


@dataclass(frozen=True)
class Spec:
    """Sizes and hyper-parameters, the same for every library; IsaacGymEnvs' Ant by default."""

    num_envs: int = 256
    horizon_length: int = 16
    num_observations: int = 60
    num_actions: int = 8
    hidden_sizes: tuple[int, ...] = (256, 128, 64)
    num_epochs: int = 4
    num_minibatches: int = 2
    gamma: float = field(default=0.99, repr=False)
    gae_lambda: float = field(default=0.95, repr=False)
    clip_ratio: float = field(default=0.2, repr=False)
    learning_rate: float = field(default=3e-4, repr=False)
    entropy_coef: float = field(default=0.0, repr=False)
    value_loss_coef: float = field(default=2.0, repr=False)
    """Factor of half the squared error of values."""
    max_grad_norm: float = field(default=0.0, repr=False)
    """0: gradients are not clipped."""
    reward_scale: float = field(default=0.01, repr=False)

    def __post_init__(self) -> None:
        """Raises ``ValueError`` if the rollout does not split into equal minibatches."""
        if self.num_envs * self.horizon_length % self.num_minibatches:
            raise ValueError(f"{self}: num_minibatches must divide num_envs * horizon_length")

    @property
    def minibatch_size(self) -> int:
        """Rows of one minibatch."""
        return self.num_envs * self.horizon_length // self.num_minibatches


GPU_SPEC = Spec(num_envs=4096)

# Source: isaac-sim/IsaacGymEnvs, isaacgymenvs/cfg/train/AntPPO.yaml.
ANT_RL_GAMES = Spec(num_envs=4096)
# Source: isaac-sim/IsaacLab, source/isaaclab_tasks/isaaclab_tasks/manager_based/classic/ant/agents/
# rsl_rl_ppo_cfg.py; but with the networks of IsaacGymEnvs.
ANT_RSL_RL = Spec(
    num_envs=4096,
    horizon_length=32,
    num_epochs=5,
    num_minibatches=4,
    learning_rate=5e-4,
    max_grad_norm=1.0,
)
# Source: isaac-sim/IsaacGymEnvs, isaacgymenvs/cfg/train/CartpolePPO.yaml.
CARTPOLE_RL_GAMES = Spec(
    num_envs=512,
    num_observations=4,
    num_actions=1,
    hidden_sizes=(32, 32),
    num_epochs=8,
    num_minibatches=1,
    value_loss_coef=4.0,
    max_grad_norm=1.0,
    reward_scale=0.1,
)
# The defaults of rsl_rl and legged_gym, but with small networks and no entropy bonus.
CARTPOLE_RSL_RL = Spec(
    num_envs=512,
    horizon_length=24,
    num_observations=4,
    num_actions=1,
    hidden_sizes=(32, 32),
    num_epochs=5,
    num_minibatches=4,
    learning_rate=1e-3,
    max_grad_norm=1.0,
    reward_scale=1.0,
)

# All other settings are rsl_rl's own defaults.
_RSL_RL = """
obs_groups: {actor: [policy]}
actor: {class_name: MLPModel, activation: elu,
  distribution_cfg: {class_name: GaussianDistribution}}
critic: {class_name: MLPModel, activation: elu}
algorithm: {class_name: PPO, schedule: adaptive}
"""

# Source: isaac-sim/IsaacGymEnvs, isaacgymenvs/cfg/train/AntPPO.yaml; mixed precision, which it
# turns on, is set by device.
_RL_GAMES = """
algo: {name: a2c_continuous}
model: {name: continuous_a2c_logstd}
network:
  name: actor_critic
  separate: false
  space: {continuous: {mu_activation: None, sigma_activation: None, mu_init: {name: default},
    sigma_init: {name: const_initializer, val: 0}, fixed_sigma: true}}
  mlp: {activation: elu, d2rl: false, initializer: {name: default}, regularizer: {name: None}}
config: {name: peer, env_name: peer, ppo: true, normalize_input: true, normalize_value: true,
  normalize_advantage: true, value_bootstrap: true, lr_schedule: adaptive, schedule_type: legacy,
  kl_threshold: 0.008, clip_value: true, bounds_loss_coef: 0.0001}
"""

# Source: Toni-SM/skrl, docs/source/examples/isaacgym/torch_ant_ppo.py, with skrl 2's key names.
# Without the intervals of 0 it would write files.
_SKRL = """
seed: 1
models:
  separate: false
  policy: {class: GaussianMixin, output: ACTIONS, initial_log_std: 0.0}
  value: {class: DeterministicMixin, output: ONE}
memory: {class: RandomMemory, memory_size: -1}
agent: {class: PPO, learning_rate_scheduler: KLAdaptiveLR,
  learning_rate_scheduler_kwargs: {kl_threshold: 0.008}, kl_threshold: 0,
  time_limit_bootstrap: false, observation_preprocessor: RunningStandardScaler,
  value_preprocessor: RunningStandardScaler,
  experiment: {write_interval: 0, checkpoint_interval: 0}}
trainer: {class: SequentialTrainer, headless: true, disable_progressbar: true,
  close_environment_at_exit: false}
"""


def rlgpu_settings(spec: Spec) -> dict[str, Any]:
    """Returns our ``train`` settings."""
    names = (
        "horizon_length", "num_epochs", "num_minibatches", "gamma", "gae_lambda", "clip_ratio",
        "learning_rate", "entropy_coef", "value_loss_coef", "max_grad_norm", "reward_scale",
    )  # fmt: skip
    return {name: getattr(spec, name) for name in names} | {"hidden_sizes": list(spec.hidden_sizes)}


def stable_baselines3_settings(spec: Spec) -> dict[str, Any]:
    """Returns arguments of stable-baselines3's PPO; its losses and clipping are its defaults."""
    return {
        "learning_rate": spec.learning_rate,
        "n_steps": spec.horizon_length,
        "batch_size": spec.minibatch_size,
        "n_epochs": spec.num_epochs,
        "gamma": spec.gamma,
        "gae_lambda": spec.gae_lambda,
        "clip_range": spec.clip_ratio,
        "policy_kwargs": {"net_arch": list(spec.hidden_sizes), "activation_fn": torch.nn.ELU},
    }


def rsl_rl_config(
    spec: Spec, *, critic: str = "policy", normalize: bool = True, std_type: str = "log"
) -> dict[str, Any]:
    """Returns rsl_rl's runner settings, its defaults otherwise.

    It has no reward scale: the environment multiplies rewards. Without ``max_grad_norm``, it clips
    by its default.

    Args:
        spec: The common settings.
        critic: Observation group that the critic sees.
        normalize: Whether observations are normalised.
        std_type: Parameter of the standard deviation: ``log`` or ``scalar``.
    """
    config: dict[str, Any] = yaml.safe_load(_RSL_RL)
    config["num_steps_per_env"] = spec.horizon_length
    config["obs_groups"]["critic"] = [critic]
    config["actor"]["distribution_cfg"]["std_type"] = std_type
    for network in (config["actor"], config["critic"]):
        network |= {"hidden_dims": list(spec.hidden_sizes), "obs_normalization": normalize}
    config["algorithm"] |= {
        "num_learning_epochs": spec.num_epochs,
        "num_mini_batches": spec.num_minibatches,
        "gamma": spec.gamma,
        "lam": spec.gae_lambda,
        "clip_param": spec.clip_ratio,
        "learning_rate": spec.learning_rate,
        "entropy_coef": spec.entropy_coef,
        "value_loss_coef": spec.value_loss_coef / 2,  # its loss has no half
    }
    if spec.max_grad_norm:
        config["algorithm"]["max_grad_norm"] = spec.max_grad_norm
    return config


def rl_games_params(
    spec: Spec,
    device: torch.device,
    *,
    seed: int,
    config: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Returns rl_games' ``params``.

    Args:
        spec: The common settings.
        device: The device to compute on; mixed precision is used on a GPU.
        seed: Seed of all random numbers.
        config: Further entries of its ``config``: the environment, files, when it ends.
    """
    params: dict[str, Any] = yaml.safe_load(_RL_GAMES) | {"seed": seed}
    params["network"]["mlp"]["units"] = list(spec.hidden_sizes)
    params["config"] |= {
        "device": str(device),
        "mixed_precision": device.type == "cuda",
        "num_actors": spec.num_envs,
        "horizon_length": spec.horizon_length,
        "minibatch_size": spec.minibatch_size,
        "mini_epochs": spec.num_epochs,
        "gamma": spec.gamma,
        "tau": spec.gae_lambda,
        "e_clip": spec.clip_ratio,
        "learning_rate": spec.learning_rate,
        "entropy_coef": spec.entropy_coef,
        "critic_coef": spec.value_loss_coef,
        "truncate_grads": spec.max_grad_norm > 0,
        "grad_norm": spec.max_grad_norm or 1.0,
        "reward_shaper": {"scale_value": spec.reward_scale},
        **config,
    }
    return params


def skrl_config(spec: Spec) -> dict[str, Any]:
    """Returns the settings of skrl's runner; otherwise those of its Isaac Gym Ant."""
    config: dict[str, Any] = yaml.safe_load(_SKRL)
    layers = {"layers": list(spec.hidden_sizes), "activations": "elu"}
    for role in ("policy", "value"):
        config["models"][role]["network"] = [{"name": "net", "input": "OBSERVATIONS", **layers}]
    config["agent"] |= {
        "rollouts": spec.horizon_length,
        "learning_epochs": spec.num_epochs,
        "mini_batches": spec.num_minibatches,
        "discount_factor": spec.gamma,
        "gae_lambda": spec.gae_lambda,
        "ratio_clip": spec.clip_ratio,
        "value_clip": spec.clip_ratio,
        "learning_rate": spec.learning_rate,
        "entropy_loss_scale": spec.entropy_coef,
        "value_loss_scale": spec.value_loss_coef / 2,  # its loss has no half
        "grad_norm_clip": spec.max_grad_norm,
        "rewards_shaper_scale": spec.reward_scale,
    }
    config["trainer"]["timesteps"] = spec.horizon_length
    return config
