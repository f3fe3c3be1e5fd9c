"""Gathers selected rows of several matrices at once, for shuffled minibatches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gather_rows(sources: Sequence[Tensor], ids: Tensor) -> list[Tensor]:
    """Returns ``source[ids]`` for every source; a single launch on a GPU.

    Args:
        sources: One to eight tensors, shapes [R, W] or [R].
        ids: Row indices from 0 to R - 1, shape [B], int64.

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device.
    """
    targets: list[Tensor] = torch.ops.rlgpu.gather_rows(list(sources), ids)
    return targets


def register_fake() -> None:
    """Registers the op's output shapes with torch, for tracing without data."""

    @torch.library.register_fake("rlgpu::gather_rows")
    def _(sources: list[Tensor], ids: Tensor) -> list[Tensor]:
        return [source.new_empty((ids.shape[0], *source.shape[1:])) for source in sources]
