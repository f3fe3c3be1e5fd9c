"""Gaussian actions and their log-probabilities, from counter-based random numbers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ActionSlot(NamedTuple):
    """One step of a rollout, as acting leaves it; every tensor is overwritten."""

    actions: Tensor
    """Unclipped actions, shape [N, A]."""
    log_probs: Tensor
    """Their log-probabilities, shape [N]."""
    mean: Tensor
    """Means they were drawn around, shape [N, A]."""
    values: Tensor
    """The critic's values, shape [N]."""


def sample_actions(
    mean: Tensor, values: Tensor, log_std: Tensor, rng_state: Tensor, slot: ActionSlot
) -> None:
    """Draws actions ~ N(mean, exp(log_std)) and fills a slot of the rollout.

    The random numbers are Philox 4x32-10 of (seed, call, row, action): they do not depend on the
    number of threads or the device, and ``rng_state`` is all a checkpoint needs.

    Args:
        mean: Means, shape [N, A]; rows may be apart.
        values: Values, copied into the slot, shape [N].
        log_std: Logarithms of the standard deviations, shape [A].
        rng_state: Seed and number of calls so far, shape [2], int64; the call number is raised.
        slot: Where the results go.

    Raises:
        ValueError: A tensor has another shape, dtype or device than stated, or a written one is not
            contiguous.
    """
    torch.ops.rlgpu.sample_actions(mean, values, log_std, rng_state, *slot)


def register_fake() -> None:
    """Tells torch that the op returns nothing."""

    @torch.library.register_fake("rlgpu::sample_actions")
    def _(mean: Tensor, *_rest: Tensor) -> None:
        return None
