"""Gaussian actions with a state-independent standard deviation, on fused ops."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rlgpu.nn.distributions.base import Distribution, Gradients
from rlgpu.ops import ActionSlot, Kernels, PpoBatch


class Gaussian(Distribution):
    """Independent Gaussians: their means are the outputs, their log-std a parameter."""

    def __init__(self, num_actions: int, initial_log_std: float, kernels: Kernels) -> None:
        """Starts with equal standard deviations.

        Args:
            num_actions: Number of actions A.
            initial_log_std: Logarithm of their standard deviations.
            kernels: Implementation of the ops.
        """
        super().__init__()
        self.num_actions = self.num_outputs = num_actions
        self._kernels = kernels
        self.log_std = nn.Parameter(torch.full((num_actions,), float(initial_log_std)))
        self.register_buffer("_old_log_std", torch.zeros(num_actions), persistent=False)
        self._old_log_std: Tensor

    def sample(self, outputs: Tensor, values: Tensor, rng_state: Tensor, slot: ActionSlot) -> None:
        """Samples actions; one fused op."""
        self._kernels.gaussian_sample(outputs, values, self.log_std, rng_state, slot)

    def mode(self, outputs: Tensor) -> Tensor:
        """Returns the means."""
        return outputs

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Returns log-densities."""
        scaled = (actions - outputs) * (-self.log_std).exp()
        terms = -0.5 * scaled.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return terms.sum(-1)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Returns entropies, which do not depend on the outputs."""
        terms = self.log_std + 0.5 * math.log(2 * math.pi * math.e)
        return terms.sum().expand(outputs.shape[0])

    def kl(self, old_outputs: Tensor, outputs: Tensor) -> Tensor:
        """Returns KL(old || new), the old log-std being that of ``remember``."""
        change = self._old_log_std - self.log_std
        shift = ((old_outputs - outputs) * (-self.log_std).exp()).square()
        return (-change + 0.5 * (2 * change).exp() + 0.5 * shift - 0.5).sum(-1)

    def remember(self) -> None:
        """Keeps the log-std of the acting policy."""
        self._old_log_std.copy_(self.log_std.detach())

    def ppo_gradients(
        self, outputs: Tensor, values: Tensor, batch: PpoBatch, coefficients: Tensor
    ) -> Gradients:
        """Returns the gradients and metrics; one fused op."""
        found = self._kernels.gaussian_ppo_loss(
            outputs.detach(), self.log_std.detach(), values.detach(), batch, self._old_log_std,
            coefficients,
        )  # fmt: skip
        return Gradients(found.mean, found.values, found.log_std, found.metrics)
