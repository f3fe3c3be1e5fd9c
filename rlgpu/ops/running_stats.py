"""Running mean and variance, and the normalisation of observations by them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class RunningStats(NamedTuple):
    """Statistics of all merged batches, and the float32 snapshot used to normalise."""

    mean: Tensor
    """Means, shape [O], float64."""
    var: Tensor
    """Population variances, shape [O], float64."""
    num_rows: Tensor
    """Rows merged so far, shape [], float64."""
    scale: Tensor
    """``1 / sqrt(var + 1e-5)``, shape [O]."""
    offset: Tensor
    """``-mean * scale``, shape [O]."""


def running_stats(x: Tensor, stats: RunningStats) -> None:
    """Merges a batch into the statistics in place; skips rows with a non-finite number.

    Values are clamped to 100 times ``abs(mean) + std`` of the rows merged before, so that one row
    of a diverging simulation does not set the scale for the rest of a run. Sums are float64.

    Args:
        x: Observations, shape [B, O].
        stats: Statistics, overwritten.

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device, or an output is not contiguous.

    Source: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1.
    """
    torch.ops.rlgpu.running_stats(x, *stats)


def normalize(x: Tensor, scale: Tensor, offset: Tensor, clip: float, *, out: Tensor) -> None:
    """Writes ``x * scale + offset``, clamped to +-``clip``; NaN stays NaN.

    Args:
        x: Observations, shape [B, O].
        scale: Factors, shape [O].
        offset: Offsets, shape [O].
        clip: Largest absolute value.
        out: Result, overwritten, shape [B, O].

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device, or ``out`` is not contiguous.
    """
    torch.ops.rlgpu.normalize(x, scale, offset, clip, out)


def register_fake() -> None:
    """Registers fake kernels for the ops, which return nothing."""

    @torch.library.register_fake("rlgpu::running_stats")
    def _(x: Tensor, *_rest: Tensor) -> None:
        return None

    @torch.library.register_fake("rlgpu::normalize")
    def _(x: Tensor, scale: Tensor, offset: Tensor, clip: float, out: Tensor) -> None:
        return None
