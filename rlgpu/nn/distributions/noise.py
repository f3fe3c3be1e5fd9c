"""Random numbers that depend on nothing but a seed and a number of calls: the sampling op's own."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.ops import ActionSlot, Kernels

_BELOW_ONE = 1.0 - 2.0**-24
"""Largest float32 below 1."""


def normal_noise(kernels: Kernels, rng_state: Tensor, like: Tensor) -> Tensor:
    """Returns standard normal numbers.

    Args:
        kernels: Implementation of the op.
        rng_state: Seed and number of calls so far, shape [2], int64; the latter is incremented.
        like: A tensor of the shape [B, A] and the device of the result.
    """
    zeros = torch.zeros_like(like)
    unused = zeros.new_empty(2, len(zeros))
    slot = ActionSlot(torch.empty_like(zeros), unused[0], torch.empty_like(zeros), unused[1])
    kernels.gaussian_sample(zeros, zeros[:, 0], zeros[0], rng_state, slot)
    return slot.actions


def uniform_noise(kernels: Kernels, rng_state: Tensor, like: Tensor) -> Tensor:
    """Returns uniform numbers in [0, 1); see ``normal_noise``."""
    return torch.special.ndtr(normal_noise(kernels, rng_state, like)).clamp(max=_BELOW_ONE)
