"""What a distribution of actions must define, and PPO's loss on any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgpu.ops import ActionSlot, PpoBatch
from rlgpu.ops.reference import clipped_losses


class Gradients(NamedTuple):
    """Gradients of the mean loss of a minibatch, and its metrics."""

    outputs: Tensor
    """With respect to the network's outputs, shape [B, P]."""
    values: Tensor
    """With respect to the values, shape [B]."""
    log_std: Tensor
    """With respect to the distribution's ``log_std``, of its shape."""
    metrics: Tensor
    """Means over the rows, in the order of ``METRICS``, shape [6]."""


class Distribution(nn.Module, ABC):
    """A distribution of actions, given by P outputs of a network for each row."""

    num_actions: int
    """Number of actions A."""
    num_outputs: int
    """Number of outputs P of the network for a row."""
    log_std: Tensor
    """Log standard deviations that are parameters of their own, shape [A]; [0] without any."""

    @property
    def old_log_std(self) -> Tensor:
        """The ``log_std`` of the acting policy, kept by ``remember``, of the same shape."""
        return self.log_std

    @abstractmethod
    def sample(self, outputs: Tensor, values: Tensor, rng_state: Tensor, slot: ActionSlot) -> None:
        """Samples actions and writes what acting yields to a rollout slot.

        Args:
            outputs: Of the network, shape [N, P].
            values: The critic's, copied into the slot, shape [N].
            rng_state: Seed and number of calls so far, shape [2], int64; the latter is incremented.
            slot: Tensors that the results are written to.
        """

    def applied(self, actions: Tensor) -> Tensor:
        """Returns what the environments are given for actions as they are stored, [N, A]."""
        return actions

    @abstractmethod
    def mode(self, outputs: Tensor) -> Tensor:
        """Returns the most likely actions, [N, P] -> [N, A]."""

    @abstractmethod
    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Returns log-probabilities, [B, P] and [B, A] -> [B]."""

    @abstractmethod
    def entropy(self, outputs: Tensor) -> Tensor:
        """Returns entropies [nat], [B, P] -> [B]."""

    def kl(self, old_outputs: Tensor, outputs: Tensor) -> Tensor:
        """Returns KL(old || new) of each row [nat], [B, P] twice -> [B]."""
        return self.divergence(self.snapshot(old_outputs, old=True), self.snapshot(outputs))

    def snapshot(self, outputs: Tensor, *, old: bool = False) -> Tensor:
        """Returns all that rows' distributions depend on, [B, P] -> [B, P'].

        Args:
            outputs: Of the network.
            old: Whether they are the acting policy's, that of ``remember``.
        """
        return outputs

    @abstractmethod
    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns KL(first || second) of snapshots [nat], [B, P'] twice -> [B]."""

    def bounds(self, outputs: Tensor) -> Tensor:
        """Returns what the bounds loss is of each row, [B, P] -> [B]; 0 unless actions have any."""
        return outputs.new_zeros(outputs.shape[0])

    def mean_log_std(self, outputs: Tensor) -> Tensor:
        """Returns the mean log-std of the actions, [..., P] -> []; 0 if they have none."""
        return outputs.new_zeros(())

    def remember(self) -> None:
        """Keeps what the acting policy's distribution depends on beside its outputs."""

    def ppo_gradients(
        self, outputs: Tensor, values: Tensor, batch: PpoBatch, coefficients: Tensor
    ) -> Gradients:
        """Returns the gradients of PPO's mean loss over B rows, and the means of its metrics.

        The loss is that of ``rlgpu.ops.gaussian_ppo_loss``.

        Args:
            outputs: Current outputs, shape [B, P].
            values: Current values, shape [B].
            batch: The minibatch's data from the rollout.
            coefficients: Coefficients from ``PpoCoefficients.tensor``, shape [5].
        """
        clip_ratio, value_loss_coef, clip_value, entropy_coef, bounds_coef = coefficients
        outputs, values = (x.detach().requires_grad_() for x in (outputs, values))
        with torch.enable_grad():
            log_probs = self.log_prob(outputs, batch.actions)
            losses = clipped_losses(log_probs, values, batch, clip_ratio, clip_value)
            entropy = self.entropy(outputs)
            bounds = self.bounds(outputs)
            policy_loss = losses.surrogate - entropy_coef * entropy + bounds_coef * bounds
            loss = (policy_loss + value_loss_coef * losses.value_error).mean()
            trained = [outputs, values, *([self.log_std] if self.log_std.requires_grad else [])]
            grad_outputs, grad_values, *rest = torch.autograd.grad(loss, trained)
        with torch.no_grad():
            kl = self.kl(batch.parameters, outputs)
            terms = (
                losses.surrogate,
                losses.value_error,
                entropy,
                bounds,
                kl,
                losses.clipped,
            )
            metrics = torch.stack([term.mean() for term in terms])
        grad_log_std = rest[0] if rest else torch.zeros_like(self.log_std)
        return Gradients(grad_outputs, grad_values, grad_log_std, metrics)
