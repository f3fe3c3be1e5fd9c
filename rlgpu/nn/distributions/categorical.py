"""Discrete actions: one choice of several, for each of one or more actions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rlgpu.nn.distributions.base import Distribution
from rlgpu.nn.distributions.noise import uniform_noise
from rlgpu.ops import ActionSlot, Kernels


class Categorical(Distribution):
    """Independent categorical distributions, their logits side by side in the outputs.

    Actions are whole numbers from 0 on, stored as float32 like all actions. A choice whose logit is
    -inf is never taken.
    """

    def __init__(self, choices: Sequence[int], kernels: Kernels) -> None:
        """Prepares one distribution for each action.

        Args:
            choices: Number of choices of each action.
            kernels: Implementation of the ops.
        """
        super().__init__()
        self.choices = list(choices)
        self.num_actions, self.num_outputs = len(self.choices), sum(self.choices)
        self._kernels = kernels
        self.register_buffer("log_std", torch.zeros(0), persistent=False)

    def _log_probs(self, outputs: Tensor) -> list[Tensor]:
        """Returns log-probabilities of the choices of each action, shape [B, choices] each."""
        return [part.log_softmax(-1) for part in outputs.split(self.choices, dim=-1)]

    def sample(self, outputs: Tensor, values: Tensor, rng_state: Tensor, slot: ActionSlot) -> None:
        """Samples by inverting the cumulative probabilities at counter-based uniform numbers."""
        log_probs = self._log_probs(outputs)
        uniform = uniform_noise(self._kernels, rng_state, slot.actions)
        columns = []
        for log_prob, noise in zip(log_probs, uniform.unbind(-1), strict=True):
            cumulative = log_prob.exp().cumsum(-1)
            threshold = noise[:, None] * cumulative[:, -1:]
            columns.append((cumulative <= threshold).sum(-1).to(outputs.dtype))
        slot.actions.copy_(torch.stack(columns, dim=-1))
        slot.log_probs.copy_(self._taken(log_probs, slot.actions))
        slot.parameters.copy_(outputs)
        slot.values.copy_(values)

    def mode(self, outputs: Tensor) -> Tensor:
        """Returns the most likely choices."""
        best = [part.argmax(-1) for part in outputs.split(self.choices, dim=-1)]
        return torch.stack(best, dim=-1).to(outputs.dtype)

    @staticmethod
    def _taken(log_probs: Sequence[Tensor], actions: Tensor) -> Tensor:
        """Returns the log-probability of the choices taken, shape [B]."""
        chosen = [
            log_prob.gather(-1, column[:, None].long())
            for log_prob, column in zip(log_probs, actions.unbind(-1), strict=True)
        ]
        return torch.cat(chosen, dim=-1).sum(-1)

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Returns log-probabilities."""
        return self._taken(self._log_probs(outputs), actions)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Returns entropies; choices that cannot be taken count nothing."""
        parts = [-_expected(x.exp(), x) for x in self._log_probs(outputs)]
        return torch.stack(parts, dim=-1).sum(-1)

    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns KL(first || second)."""
        pairs = zip(self._log_probs(first), self._log_probs(second), strict=True)
        parts = [_expected(old.exp(), old - new) for old, new in pairs]
        return torch.stack(parts, dim=-1).sum(-1)


def _expected(probs: Tensor, values: Tensor) -> Tensor:
    """Returns expectations, [B, choices] twice -> [B]; what has probability 0 counts nothing."""
    safe = torch.where(probs > 0, values, 0.0)
    return (probs * safe).sum(-1)
