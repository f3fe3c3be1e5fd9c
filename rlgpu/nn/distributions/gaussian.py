"""Gaussian actions: with standard deviations of their own, on fused ops, or by the network."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from rlgpu.nn.distributions.base import Distribution, Gradients
from rlgpu.nn.distributions.noise import normal_noise
from rlgpu.ops import ActionSlot, Kernels, PpoBatch
from rlgpu.ops.reference import SOFT_BOUND


class Normal(Distribution):
    """Independent Gaussians, whatever their means and standard deviations come from."""

    @abstractmethod
    def moments(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns means and log standard deviations, [B, P] -> [B, A] twice."""

    def mode(self, outputs: Tensor) -> Tensor:
        """Returns the means."""
        return self.moments(outputs)[0]

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Returns log-densities."""
        mean, log_std = self.moments(outputs)
        scaled = (actions - mean) * (-log_std).exp()
        terms = -0.5 * scaled.square() - log_std - 0.5 * math.log(2 * math.pi)
        return terms.sum(-1)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Returns entropies."""
        _, log_std = self.moments(outputs)
        return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def snapshot(self, outputs: Tensor, *, old: bool = False) -> Tensor:
        """Returns means and log standard deviations side by side."""
        return torch.cat(self.moments(outputs), dim=-1)

    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns KL(first || second)."""
        mean, log_std = first.chunk(2, dim=-1)
        other_mean, other_log_std = second.chunk(2, dim=-1)
        change = log_std - other_log_std
        shift = ((mean - other_mean) * (-other_log_std).exp()).square()
        return (-change + 0.5 * (2 * change).exp() + 0.5 * shift - 0.5).sum(-1)

    def bounds(self, outputs: Tensor) -> Tensor:
        """Returns the squared excess of means beyond the soft bounds."""
        mean, _ = self.moments(outputs)
        return (mean.abs() - SOFT_BOUND).clamp(min=0.0).square().sum(-1)


class Gaussian(Normal):
    """Their means are the outputs, their log-std a parameter."""

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

    @property
    def old_log_std(self) -> Tensor:
        """The log-std of the acting policy."""
        return self._old_log_std

    def sample(self, outputs: Tensor, values: Tensor, rng_state: Tensor, slot: ActionSlot) -> None:
        """Samples actions; one fused op."""
        self._kernels.gaussian_sample(outputs, values, self.log_std, rng_state, slot)

    def moments(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the outputs, and the log-std for each."""
        return outputs, self.log_std.expand_as(outputs)

    def snapshot(self, outputs: Tensor, *, old: bool = False) -> Tensor:
        """Returns means and log-std, the old one being that of ``remember``."""
        log_std = self._old_log_std if old else self.log_std
        return torch.cat((outputs, log_std.expand_as(outputs)), dim=-1)

    def mean_log_std(self, outputs: Tensor) -> Tensor:
        """Returns the mean of the log-std, which does not depend on the outputs."""
        return self.log_std.detach().mean()

    def remember(self) -> None:
        """Keeps the log-std of the acting policy."""
        self._old_log_std.copy_(self.log_std.detach())

    def ppo_gradients(
        self, outputs: Tensor, values: Tensor, batch: PpoBatch, coefficients: Tensor
    ) -> Gradients:
        """Returns the gradients and metrics; one fused op."""
        found = self._kernels.gaussian_ppo_loss(
            outputs.detach(),
            self.log_std.detach(),
            values.detach(),
            batch,
            self._old_log_std,
            coefficients,
        )
        return Gradients(found.mean, found.values, found.log_std, found.metrics)


class StateGaussian(Normal):
    """Their means are the first half of the outputs, their log-std the other."""

    def __init__(
        self, num_actions: int, limits: tuple[float, float, float], kernels: Kernels
    ) -> None:
        """Prepares the limits.

        Args:
            num_actions: Number of actions A.
            limits: Lowest log-std, the log-std for an output of 0, highest log-std.
            kernels: Implementation of the ops.
        """
        super().__init__()
        self.num_actions, self.num_outputs = num_actions, 2 * num_actions
        self._low, self._initial, self._high = limits
        self._kernels = kernels
        self.register_buffer("log_std", torch.zeros(0), persistent=False)

    def moments(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns both halves, the log-std within its limits."""
        mean, change = outputs.split(self.num_actions, dim=-1)
        return mean, (self._initial + change).clamp(self._low, self._high)

    def sample(self, outputs: Tensor, values: Tensor, rng_state: Tensor, slot: ActionSlot) -> None:
        """Samples actions."""
        mean, log_std = self.moments(outputs)
        slot.actions.copy_(mean + log_std.exp() * normal_noise(self._kernels, rng_state, mean))
        slot.log_probs.copy_(self.log_prob(outputs, slot.actions))
        slot.parameters.copy_(outputs)
        slot.values.copy_(values)

    def mean_log_std(self, outputs: Tensor) -> Tensor:
        """Returns the mean of the outputs' log-std."""
        return self.moments(outputs)[1].mean()
