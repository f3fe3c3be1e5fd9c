"""Gaussian actions squashed to [-1, 1] by tanh."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rlgpu.nn.distributions.base import Distribution
from rlgpu.nn.distributions.gaussian import Normal
from rlgpu.ops import ActionSlot

_WIDE = 0.8
"""Standard deviation from which an entropy is integrated over tanh's bend, not over the Gaussian.
There both ways err by less than 3e-6, in the entropy and in its gradients."""
_HERMITE_POINTS, _LAGUERRE_POINTS = 24, 16


class SquashedNormal(Distribution):
    """The tanh of Gaussian actions.

    What is stored is the action before tanh, from which its density follows exactly; an action of 1
    could not be undone.
    """

    def __init__(self, normal: Normal) -> None:
        """Squashes a distribution.

        Args:
            normal: The Gaussian actions; a part of this module.
        """
        super().__init__()
        self.normal = normal
        self.num_actions, self.num_outputs = normal.num_actions, normal.num_outputs
        points, weights = np.polynomial.hermite.hermgauss(_HERMITE_POINTS)
        self._keep("_points", points * math.sqrt(2.0))
        self._keep("_weights", weights / math.sqrt(math.pi))
        # Weights of the bend log(1 + exp(-2x)), which falls as exp(-2x) does.
        points, weights = np.polynomial.laguerre.laggauss(_LAGUERRE_POINTS)
        self._keep("_bend_points", points / 2.0)
        self._keep("_bend_weights", weights / 2.0 * np.exp(points) * np.log1p(np.exp(-points)))
        self._points: Tensor
        self._weights: Tensor
        self._bend_points: Tensor
        self._bend_weights: Tensor

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    @property
    def log_std(self) -> Tensor:  # type: ignore[override]
        """Log standard deviations before tanh, if they are parameters of their own, shape [A]."""
        return self.normal.log_std

    def applied(self, actions: Tensor) -> Tensor:
        """Returns their tanh."""
        return actions.tanh()

    def sample(self, outputs: Tensor, values: Tensor, rng_state: Tensor, slot: ActionSlot) -> None:
        """Samples actions before tanh, and their log-probability after it."""
        self.normal.sample(outputs, values, rng_state, slot)
        slot.log_probs.sub_(_log_slope(slot.actions).sum(-1))

    def mode(self, outputs: Tensor) -> Tensor:
        """Returns the means before tanh."""
        return self.normal.mode(outputs)

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Returns log-densities of the squashed actions, given as they are stored."""
        return self.normal.log_prob(outputs, actions) - _log_slope(actions).sum(-1)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Returns entropies by quadrature, so without noise."""
        mean, log_std = self.normal.moments(outputs)
        std = log_std.exp()
        change = torch.where(
            std < _WIDE,
            self._narrow_change(mean, std.clamp(max=_WIDE)),
            self._wide_change(mean, std.clamp(min=_WIDE)),
        )
        return self.normal.entropy(outputs) + change.sum(-1)

    def _narrow_change(self, mean: Tensor, std: Tensor) -> Tensor:
        """Returns the mean log-slope by Gauss-Hermite quadrature, exact for smooth functions.

        A wide Gaussian's points lie too far apart to see the bend of the log-slope at 0.
        """
        actions = mean[..., None] + std[..., None] * self._points
        return (_log_slope(actions) * self._weights).sum(-1)

    def _wide_change(self, mean: Tensor, std: Tensor) -> Tensor:
        """Returns the mean log-slope, 2 log 2 - 2 |x| - 2 log(1 + exp(-2 |x|)), part by part.

        The mean of |x| is known; the last part, the bend at 0, is integrated by Gauss-Laguerre
        quadrature, over which a wide Gaussian's density hardly varies.
        """
        ratio = mean / std
        size = std * math.sqrt(2 / math.pi) * (-0.5 * ratio.square()).exp()
        size = size + mean * torch.erf(ratio * math.sqrt(0.5))
        scaled = (self._bend_points / std[..., None], ratio[..., None])
        density = sum(
            (-0.5 * (scaled[0] + sign * scaled[1]).square()).exp() for sign in (-1.0, 1.0)
        )
        bend = (density * self._bend_weights).sum(-1) / (std * math.sqrt(2 * math.pi))
        return 2.0 * (math.log(2.0) - size - bend)

    def snapshot(self, outputs: Tensor, *, old: bool = False) -> Tensor:
        """Returns that of the Gaussian actions."""
        return self.normal.snapshot(outputs, old=old)

    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns that of the Gaussian actions, which tanh leaves as it is."""
        return self.normal.divergence(first, second)

    def mean_log_std(self, outputs: Tensor) -> Tensor:
        """Returns the mean log-std before tanh."""
        return self.normal.mean_log_std(outputs)

    def remember(self) -> None:
        """Keeps what the acting policy's distribution depends on."""
        self.normal.remember()


def _log_slope(x: Tensor) -> Tensor:
    """Returns log(d tanh(x) / dx), finite for every finite x."""
    return 2.0 * (math.log(2.0) - x - torch.nn.functional.softplus(-2.0 * x))
