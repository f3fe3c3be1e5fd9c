"""Generalised advantage estimation with truncation, returns and normalisation in one op."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Gae(NamedTuple):
    """Advantages and returns of one rollout."""

    advantages: Tensor
    """Advantages, normalised if asked, shape [T, N]."""
    returns: Tensor
    """Targets of the critic: unnormalised advantages plus values, shape [T, N]."""


def gae(
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_values: Tensor,
    last_values: Tensor,
    *,
    gamma: float,
    gae_lambda: float,
    normalize: bool = True,
) -> Gae:
    """Returns advantages and returns of a time-major rollout.

    A terminated step is followed by the value 0, a truncated one by its ``final_values``; where
    both are set the failure wins. Both cut the trace.

    Args:
        rewards: Rewards, already scaled, shape [T, N].
        values: Critic's values of the observations acted on, shape [T, N].
        terminated: Whether the step ended in failure, shape [T, N], bool.
        truncated: Whether the step ended by the time limit, shape [T, N], bool.
        final_values: Value of the true final observation; read only where truncated, shape [T, N].
        last_values: Value of the observation after the last step, shape [N].
        gamma: Discount.
        gae_lambda: Trace decay.
        normalize: Shift and scale the advantages to mean 0 and unbiased standard deviation 1
            (plus 1e-8) over all T*N elements. A single element becomes 0.

    Raises:
        ValueError: A tensor has another shape, dtype or device than stated.

    Source: Schulman et al. 2016, "High-dimensional continuous control using GAE", eqs. 11-16.
    """
    return Gae(
        *torch.ops.rlgpu.gae(
            rewards,
            values,
            terminated,
            truncated,
            final_values,
            last_values,
            gamma,
            gae_lambda,
            normalize,
        )
    )


def register_fake() -> None:
    """Tells torch the shapes that the op returns, for tracing without data."""

    @torch.library.register_fake("rlgpu::gae")
    def _(
        rewards: Tensor,
        values: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        final_values: Tensor,
        last_values: Tensor,
        gamma: float,
        gae_lambda: float,
        normalize: bool,
    ) -> tuple[Tensor, Tensor]:
        shape = rewards.shape
        return rewards.new_empty(shape), rewards.new_empty(shape)
