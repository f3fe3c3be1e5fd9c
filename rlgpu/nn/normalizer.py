"""Normalisation by a running mean and variance that stay fixed between updates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rlgpu.ops import Kernels, RunningStats, select_kernels
from rlgpu.spaces import ObservationSpace

CLIP = 5.0
EPSILON = 1e-5  # added to variances, as by the ops


class RunningNormalizer(nn.Module):
    """Normalises by the statistics of all data up to the last ``update``.

    The statistics are float64; a float32 snapshot of them is applied, so that acting and training
    see the same numbers. To float64 values the statistics themselves are applied, in float64, as
    such values may differ by less than float32 can tell.

    Source: epsilon, clip and population variance as in rl_games' running_mean_std.py.
    """

    mean: Tensor
    var: Tensor
    count: Tensor
    scale: Tensor
    offset: Tensor

    def __init__(
        self,
        size: int,
        kernels: Kernels,
        *,
        enabled: bool = True,
        fixed: Sequence[int] = (),
        originals: Sequence[int] = (),
    ) -> None:
        """Starts at mean 0 and variance 1.

        Args:
            size: Size of the last dimension.
            kernels: Implementation of the ops.
            enabled: If False, ``normalize`` and ``denormalize`` return their input.
            fixed: Columns that stay as they are, such as an image's.
            originals: For every column, the one that it repeats without noise; empty: none does.
        """
        super().__init__()
        self._originals = list(originals) or list(range(size))
        self.enabled, self._kernels = enabled, kernels
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("var", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("offset", torch.zeros(size))
        is_fixed = torch.zeros(size, dtype=torch.bool)
        is_fixed[list(fixed)] = True
        self._has_fixed = bool(fixed)
        self.register_buffer("_is_fixed", is_fixed, persistent=False)
        self._is_fixed: Tensor
        # Sets the initial snapshot from an empty batch.
        kernels.running_stats(torch.zeros(0, size), self._stats())

    @classmethod
    def of_observations(
        cls, space: ObservationSpace, kernels: Kernels, *, enabled: bool
    ) -> RunningNormalizer:
        """Returns the normaliser of a space's numbers; images and masks stay as they are.

        Args:
            space: The observations.
            kernels: Implementation of the ops.
            enabled: If False, numbers stay as they are, too.
        """
        fixed = space.columns([part for part in space.parts if part.kind != "numbers"])
        enabled = enabled and space.dtype != "uint8"
        return cls(space.size, kernels, enabled=enabled, fixed=fixed, originals=space.originals)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in ("mean", "var", "scale", "offset"):
            if isinstance(saved := state_dict.get(prefix + name), Tensor):
                state_dict[prefix + name] = self._fitted(saved)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _fitted(self, saved: Tensor) -> Tensor:
        """Returns saved statistics for these columns, if noise was switched on or off since.

        Columns without noise begin with the statistics of the noisy ones, or are left out.
        """
        size, own = len(self._originals), max(self._originals, default=-1) + 1
        if saved.shape == (own,) and own < size:
            return saved[self._originals]
        return saved[:size] if saved.shape == (2 * size,) and own == size else saved

    def _stats(self) -> RunningStats:
        return RunningStats(self.mean, self.var, self.count, self.scale, self.offset)

    def normalize(self, x: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Returns ``x`` shifted, scaled and clamped to +-5, shape [..., size].

        Args:
            x: Tensor to normalise, float32 or float64.
            out: Tensor to write the result to, if given, float32.
        """
        if x.dtype == torch.float64:
            result = (self._of_doubles(x) if self.enabled else x).float()
            return result if out is None else out.copy_(result)
        if not self.enabled:
            return x if out is None else out.copy_(x)
        result = torch.empty_like(x) if out is None else out
        self._kernels.normalize(
            x.view(-1, x.shape[-1]),
            self.scale,
            self.offset,
            CLIP,
            out=result.view(-1, x.shape[-1]),
        )
        return result

    def _of_doubles(self, x: Tensor) -> Tensor:
        means = self.mean.masked_fill(self._is_fixed, 0.0)
        scales = (self.var + EPSILON).rsqrt().masked_fill(self._is_fixed, 1.0)
        return ((x - means) * scales).clamp(-CLIP, CLIP)

    def denormalize(self, x: Tensor) -> Tensor:
        """Returns the inverse of ``normalize``, with ``x`` clamped to +-5 standard deviations."""
        if not self.enabled:
            return x
        return (x.clamp(-CLIP, CLIP) - self.offset) / self.scale

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Merges a batch of shape [..., size] into the statistics; skips non-finite rows."""
        if self.enabled:
            # The compiled op takes float32.
            doubles = x.dtype == torch.float64
            kernels = select_kernels("torch", x.device) if doubles else self._kernels
            kernels.running_stats(x.reshape(-1, x.shape[-1]), self._stats())
            if self._has_fixed:
                self.scale.masked_fill_(self._is_fixed, 1.0)
                self.offset.masked_fill_(self._is_fixed, 0.0)
