"""Rows of tensors: what happens to some environments only."""

from __future__ import annotations

import torch
from torch import Tensor

Rows = slice | Tensor
"""Indices of rows, or a range."""
ALL_ROWS = slice(None)


def per_row(mask: Tensor, values: Tensor) -> Tensor:
    """Returns a mask of rows, shape [N], in a shape that broadcasts with ``values``, [N, ...]."""
    return mask.view(-1, *[1] * (values.dim() - 1))


def put_rows(into: Tensor, mask: Tensor, values: Tensor) -> None:
    """Writes the masked rows, without reading the mask on the host."""
    into.copy_(torch.where(per_row(mask, into), values, into))


def write_rows(into: Tensor, rows: Rows, values: Tensor) -> None:
    """Writes rows by their numbers, or all of them, converted to the dtype of ``into``."""
    if isinstance(rows, slice):
        into[rows].copy_(values)
    else:
        into[rows] = values.to(into.dtype)
