"""Running mean and variance, frozen between updates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPS = 1e-5
CLIP = 5.0


class RunningNormalizer(nn.Module):
    """Normalises by the statistics of everything seen up to the last ``update``.

    Statistics are float64 and merged exactly (Chan et al. 1983); what is applied is a float32
    snapshot, so acting and training see the same numbers.

    Source: epsilon, clip and population variance as in rl_games' running_mean_std.py.
    """

    mean: Tensor
    var: Tensor
    count: Tensor
    _scale: Tensor
    _offset: Tensor

    def __init__(self, size: int, *, enabled: bool = True) -> None:
        """Starts at mean 0 and variance 1.

        Args:
            size: Features of the last dimension.
            enabled: False makes ``normalize`` and ``denormalize`` return their input.
        """
        super().__init__()
        self.enabled = enabled
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("var", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("_scale", torch.ones(size), persistent=False)
        self.register_buffer("_offset", torch.zeros(size), persistent=False)
        self._take_snapshot()
        self.register_load_state_dict_post_hook(lambda module, _: module._take_snapshot())

    def normalize(self, x: Tensor) -> Tensor:
        """Returns ``x`` shifted, scaled and clamped to +-5, shape [..., size]."""
        if not self.enabled:
            return x
        return torch.addcmul(self._offset, x, self._scale).clamp_(-CLIP, CLIP)

    def denormalize(self, x: Tensor) -> Tensor:
        """Returns what ``normalize`` would have turned into ``x``, clamped to +-5 deviations."""
        if not self.enabled:
            return x
        return (x.clamp(-CLIP, CLIP) - self._offset) / self._scale

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Merges a batch into the statistics, shape [..., size]; non-finite rows are left out."""
        if not self.enabled:
            return
        rows = x.reshape(-1, x.shape[-1])
        finite = torch.isfinite(rows.sum(dim=-1, keepdim=True))
        count = finite.sum()
        # Around the current mean float32 loses nothing that matters; the sums are float64.
        shift = self.mean.float()
        centred = torch.where(finite, rows - shift, 0.0)
        offset = centred.sum(0, dtype=torch.float64) / count.clamp(min=1)
        squares = torch.where(finite, (centred - offset.float()).square(), 0.0)
        squares = squares.sum(0, dtype=torch.float64)
        mean = shift.double() + offset
        total = self.count + count
        delta = mean - self.mean
        between = delta.square() * self.count * count / total.clamp(min=1)
        self.var.copy_((self.var * self.count + squares + between) / total.clamp(min=1))
        self.mean.add_(delta * count / total.clamp(min=1))
        self.count.copy_(total)
        self._take_snapshot()

    def _take_snapshot(self) -> None:
        inverse_std = (self.var + EPS).rsqrt()
        self._scale.copy_(inverse_std)
        self._offset.copy_(-self.mean * inverse_std)
