"""Gaussian actions squashed to [-1, 1] by tanh."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rlgpu.nn.distributions.base import Distribution
from rlgpu.nn.distributions.gaussian import Normal
from rlgpu.ops import ActionSlot

_POINTS = 32
"""Of the quadrature that an entropy is computed by."""


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
        points, weights = np.polynomial.hermite.hermgauss(_POINTS)
        for name, values in (
            ("_points", points * math.sqrt(2.0)), ("_weights", weights / math.sqrt(math.pi)),
        ):  # fmt: skip
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        self._points: Tensor
        self._weights: Tensor

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
        """Returns entropies by Gauss-Hermite quadrature, so without noise."""
        mean, log_std = self.normal.moments(outputs)
        actions = mean[..., None] + log_std.exp()[..., None] * self._points
        change = (_log_slope(actions) * self._weights).sum(-1)
        return self.normal.entropy(outputs) + change.sum(-1)

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
