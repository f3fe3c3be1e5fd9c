"""A random permutation, from counter-based random numbers."""

from __future__ import annotations

import torch
from torch import Tensor


def shuffle(rng_state: Tensor, count: int) -> Tensor:
    """Returns a random permutation of ``0 .. count - 1``, shape [count], int64.

    It is a function of the seed and the call number, the same on every device.

    Args:
        rng_state: Seed and number of calls so far, shape [2], int64; the call number is raised.
        count: Elements.

    Raises:
        ValueError: ``rng_state`` has another shape or dtype than stated, or ``count`` is negative.

    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 3.
    """
    ids: Tensor = torch.ops.rlgpu.shuffle(rng_state, count)
    return ids


def register_fake() -> None:
    """Tells torch the shape that the op returns, for tracing without data."""

    @torch.library.register_fake("rlgpu::shuffle")
    def _(rng_state: Tensor, count: int) -> Tensor:
        return rng_state.new_empty(count)
