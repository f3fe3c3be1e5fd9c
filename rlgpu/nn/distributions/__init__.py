"""Distributions of actions: sampling, log-probability, entropy, KL, mode, PPO's loss on each."""

from __future__ import annotations

from rlgpu.config import TrainConfig
from rlgpu.nn.distributions.base import Distribution, Gradients
from rlgpu.nn.distributions.categorical import Categorical
from rlgpu.nn.distributions.gaussian import Gaussian, Normal, StateGaussian
from rlgpu.nn.distributions.noise import uniform_noise
from rlgpu.nn.distributions.squashed import SquashedNormal
from rlgpu.ops import Kernels
from rlgpu.spaces import ActionSpace, Discrete

__all__ = [
    "Categorical",
    "Distribution",
    "Gaussian",
    "Gradients",
    "Normal",
    "SquashedNormal",
    "StateGaussian",
    "make_distribution",
    "uniform_noise",
]


def make_distribution(space: ActionSpace, config: TrainConfig, kernels: Kernels) -> Distribution:
    """Returns the distribution of a space's actions.

    Args:
        space: The actions.
        config: Contains the kind of continuous actions' distribution.
        kernels: Implementation of the ops.
    """
    if isinstance(space, Discrete):
        return Categorical(space.choices, kernels)
    normal: Normal = Gaussian(space.size, config.initial_log_std, kernels)
    if config.state_dependent_std:
        limits = (config.min_log_std, config.initial_log_std, config.max_log_std)
        normal = StateGaussian(space.size, limits, kernels)
    return SquashedNormal(normal) if config.action_distribution == "tanh_gaussian" else normal
