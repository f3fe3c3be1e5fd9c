"""Statistics of a rollout without its filler rows, the steps that only reset an environment."""

from __future__ import annotations

import torch
from torch import Tensor


def without_fillers(values: Tensor, filler: Tensor | None) -> Tensor:
    """Returns values with NaN in filler rows, which running statistics skip.

    Args:
        values: Shape [T, N, ...].
        filler: Whether a row is a filler, shape [T, N], bool; None if there are none.
    """
    if filler is None or not values.is_floating_point():
        return values
    mask = filler.view(*filler.shape, *[1] * (values.dim() - filler.dim()))
    return values.masked_fill(mask, torch.nan)


def explained_variance(values: Tensor, returns: Tensor, filler: Tensor | None) -> Tensor:
    """Returns the share of the returns' variance that the values explain, shape [].

    Args:
        values: Values of the critic, shape [T, N].
        returns: Its targets, shape [T, N].
        filler: Whether a row is a filler, shape [T, N], bool; None if there are none.
    """
    errors = returns - values
    if filler is None:
        return 1.0 - errors.var() / returns.var()
    return 1.0 - _variance(errors, ~filler) / _variance(returns, ~filler)


def _variance(values: Tensor, valid: Tensor) -> Tensor:
    count = valid.sum()
    mean = torch.where(valid, values, 0.0).sum() / count
    return torch.where(valid, values - mean, 0.0).square().sum() / (count - 1).clamp(min=1)
