"""Teacher and student: the policy also learns to do what a trained one would.

The teacher may see columns that are hidden from the student, and has statistics of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.learner.options.base import Option
from rlgpu.learner.storage import Minibatch, RolloutStorage

Teacher = Callable[[Tensor], Tensor]
"""Outputs of a trained policy for raw observations, [B, O] -> [B, P]."""


class Distillation(Option):
    """Draws the outputs towards the teacher's by their squared distance."""

    name = "distillation"

    def __init__(self, config: TrainConfig, teacher: Teacher) -> None:
        """Prepares to ask.

        Args:
            config: Contains ``distillation``.
            teacher: The trained policy.
        """
        self._settings, self._teacher = config.distillation, teacher
        self._wanted = torch.zeros(0)

    @torch.no_grad()
    def prepare(self, storage: RolloutStorage) -> None:
        """Asks the teacher about the whole rollout once."""
        self._wanted = self._teacher(storage.observations.flatten(0, 1))

    def minibatch(self, minibatch: Minibatch) -> Minibatch:
        """Returns the minibatch, without advantages if only the teacher is to be learned from."""
        if not self._settings.only:
            return minibatch
        rows = minibatch.rows
        silent = rows._replace(advantages=torch.zeros_like(rows.advantages))
        return minibatch._replace(rows=silent)

    def gradients(self, outputs: Tensor, minibatch: Minibatch) -> Tensor:
        """Returns the gradient of the weighted mean squared distance."""
        distance = outputs.detach() - self._wanted[minibatch.ids]
        return distance * (2.0 * self._settings.weight / distance.shape[0])
