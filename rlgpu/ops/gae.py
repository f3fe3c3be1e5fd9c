"""Generalised advantage estimation: advantages with truncation, returns, normalisation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Gae(NamedTuple):
    """Advantages and returns of one rollout."""

    advantages: Tensor
    """Advantages, normalised if requested, shape [T, N]."""
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
    """Returns the advantages and returns of a time-major rollout.

    The next value is 0 after a terminated step, and ``final_values`` after a truncated one; if both
    flags are set, the step counts as terminated. Either flag cuts the trace.

    Args:
        rewards: Rewards, already scaled, shape [T, N].
        values: Values of the observations before each step, shape [T, N].
        terminated: Whether the step ended in failure, shape [T, N], bool.
        truncated: Whether the step ended by the time limit, shape [T, N], bool.
        final_values: Values of the final observations; read only where truncated, shape [T, N].
        last_values: Values of the observations after the last step, shape [N].
        gamma: Discount factor.
        gae_lambda: Trace decay.
        normalize: Whether to shift the advantages to mean 0 and divide them by their unbiased
            standard deviation plus 1e-8, over all T*N elements. A single element becomes 0.

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device.

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
    """Registers the op's output shapes with torch, for tracing without data."""

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
