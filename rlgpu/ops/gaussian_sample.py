"""Sampling of Gaussian actions, with counter-based random numbers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ActionSlot(NamedTuple):
    """The results of acting in one step of a rollout; every tensor is overwritten."""

    actions: Tensor
    """Unclipped actions, shape [N, A]."""
    log_probs: Tensor
    """Log-probabilities of the actions, shape [N]."""
    parameters: Tensor
    """Parameters of the distributions they were sampled from, such as means, shape [N, P]."""
    values: Tensor
    """The critic's values, shape [N]."""


def gaussian_sample(
    mean: Tensor, values: Tensor, log_std: Tensor, rng_state: Tensor, slot: ActionSlot
) -> None:
    """Samples actions from N(mean, exp(log_std)) and writes the results to a rollout slot.

    The random numbers are Philox 4x32-10 of (seed, call, row, action): they do not depend on the
    number of threads or the device, and a checkpoint needs to save only ``rng_state``.

    Args:
        mean: Means, shape [N, A]; the rows need not be contiguous.
        values: Values, copied into the slot, shape [N].
        log_std: Logarithms of the standard deviations, shape [A].
        rng_state: Seed and number of calls so far, shape [2], int64; the latter is incremented.
        slot: Tensors that the results are written to.

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device, or an output is not contiguous.
    """
    torch.ops.rlgpu.gaussian_sample(mean, values, log_std, rng_state, *slot)


def register_fake() -> None:
    """Registers a fake kernel for the op, which returns nothing."""

    @torch.library.register_fake("rlgpu::gaussian_sample")
    def _(mean: Tensor, *_rest: Tensor) -> None:
        return None
