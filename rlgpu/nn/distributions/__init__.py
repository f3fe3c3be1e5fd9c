"""Distributions of actions: sampling, log-probability, entropy, KL, mode, PPO's loss on each."""

from __future__ import annotations

from rlgpu.nn.distributions.base import Distribution, Gradients
from rlgpu.nn.distributions.categorical import Categorical
from rlgpu.nn.distributions.gaussian import Gaussian
from rlgpu.ops import Kernels
from rlgpu.spaces import ActionSpace, Discrete

__all__ = [
    "Categorical",
    "Distribution",
    "Gaussian",
    "Gradients",
    "make_distribution",
]


def make_distribution(
    space: ActionSpace, kernels: Kernels, *, initial_log_std: float
) -> Distribution:
    """Returns the distribution of a space's actions.

    Args:
        space: The actions.
        kernels: Implementation of the ops.
        initial_log_std: Initial log standard deviation of continuous actions.
    """
    if isinstance(space, Discrete):
        return Categorical(space.choices, kernels)
    return Gaussian(space.size, initial_log_std, kernels)
