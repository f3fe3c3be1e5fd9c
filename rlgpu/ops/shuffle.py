"""Random permutations from counter-based random numbers."""

from __future__ import annotations

import torch
from torch import Tensor


def shuffle(rng_state: Tensor, count: int) -> Tensor:
    """Returns a random permutation of ``0 .. count - 1``, shape [count], int64.

    It depends only on the seed and the call number, and is the same on every device.

    Args:
        rng_state: Seed and number of calls so far, shape [2], int64; the latter is incremented.
        count: Number of elements.

    Raises:
        ValueError: ``rng_state`` has the wrong shape or dtype, or ``count`` is negative.

    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 3.
    """
    ids: Tensor = torch.ops.rlgpu.shuffle(rng_state, count)
    return ids


def register_fake() -> None:
    """Registers the op's output shape with torch, for tracing without data."""

    @torch.library.register_fake("rlgpu::shuffle")
    def _(rng_state: Tensor, count: int) -> Tensor:
        return rng_state.new_empty(count)
