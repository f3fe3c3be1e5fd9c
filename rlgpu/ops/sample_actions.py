"""Gaussian actions and their log-probabilities, from counter-based random numbers."""

from __future__ import annotations

import torch
from torch import Tensor


def sample_actions(
    mean: Tensor, log_std: Tensor, rng_state: Tensor, *, actions: Tensor, log_probs: Tensor
) -> None:
    """Writes actions ~ N(mean, exp(log_std)) and their log-probabilities into slots of a rollout.

    The random numbers are Philox 4x32-10 of (seed, call, row, action): they do not depend on the
    number of threads or the device, and ``rng_state`` is all a checkpoint needs.

    Args:
        mean: Means, shape [N, A].
        log_std: Logarithms of the standard deviations, shape [A].
        rng_state: Seed and number of calls so far, shape [2], int64; the call number is raised.
        actions: Overwritten by the unclipped actions, shape [N, A].
        log_probs: Overwritten by their log-probabilities, shape [N].

    Raises:
        ValueError: A tensor has another shape, dtype or device than stated, or a written one is not
            contiguous.
    """
    torch.ops.rlgpu.sample_actions(mean, log_std, rng_state, actions, log_probs)


def register_fake() -> None:
    """Tells torch that the op returns nothing."""

    @torch.library.register_fake("rlgpu::sample_actions")
    def _(
        mean: Tensor, log_std: Tensor, rng_state: Tensor, actions: Tensor, log_probs: Tensor
    ) -> None:
        return None
