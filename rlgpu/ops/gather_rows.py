"""Chosen rows of several matrices at once: a shuffled minibatch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gather_rows(sources: Sequence[Tensor], ids: Tensor) -> list[Tensor]:
    """Returns ``source[ids]`` of every source, in one launch on a GPU.

    Args:
        sources: One to eight tensors, shapes [R, W] or [R].
        ids: Rows, each from 0 to R - 1, shape [B], int64.

    Raises:
        ValueError: A tensor has another shape, dtype or device than stated.
    """
    targets: list[Tensor] = torch.ops.rlgpu.gather_rows(list(sources), ids)
    return targets


def register_fake() -> None:
    """Tells torch the shapes that the op returns, for tracing without data."""

    @torch.library.register_fake("rlgpu::gather_rows")
    def _(sources: list[Tensor], ids: Tensor) -> list[Tensor]:
        return [source.new_empty((ids.shape[0], *source.shape[1:])) for source in sources]
