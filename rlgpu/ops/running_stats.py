"""Running mean and variance, and what they do to observations."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class RunningStats(NamedTuple):
    """Statistics of everything seen, and the float32 snapshot that is applied."""

    mean: Tensor
    """Means, shape [O], float64."""
    var: Tensor
    """Population variances, shape [O], float64."""
    seen: Tensor
    """Rows seen, shape [], float64."""
    scale: Tensor
    """``1 / sqrt(var + 1e-5)``, shape [O]."""
    offset: Tensor
    """``-mean * scale``, shape [O]."""


def running_stats(x: Tensor, stats: RunningStats) -> None:
    """Merges a batch into the statistics, in place; rows with a non-finite number are left out.

    Args:
        x: Observations, shape [B, O].
        stats: Overwritten.

    Raises:
        ValueError: A tensor has another shape, dtype or device than stated, or a written one is not
            contiguous.

    Source: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1.
    """
    torch.ops.rlgpu.running_stats(x, *stats)


def normalize(x: Tensor, scale: Tensor, offset: Tensor, clip: float, *, out: Tensor) -> None:
    """Writes ``x * scale + offset``, clamped to +-``clip``; NaN stays NaN.

    Args:
        x: Observations, shape [B, O].
        scale: Factors, shape [O].
        offset: Summands, shape [O].
        clip: Largest absolute value.
        out: Overwritten, shape [B, O].

    Raises:
        ValueError: A tensor has another shape, dtype or device than stated, or ``out`` is not
            contiguous.
    """
    torch.ops.rlgpu.normalize(x, scale, offset, clip, out)


def register_fake() -> None:
    """Tells torch that the ops return nothing."""

    @torch.library.register_fake("rlgpu::running_stats")
    def _(x: Tensor, *_rest: Tensor) -> None:
        return None

    @torch.library.register_fake("rlgpu::normalize")
    def _(x: Tensor, scale: Tensor, offset: Tensor, clip: float, out: Tensor) -> None:
        return None
