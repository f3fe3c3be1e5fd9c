"""Mirror symmetry: every step is also trained on as it looks in a mirror.

Source: Mittal et al. 2024, "Symmetry considerations for learning task symmetric robot policies";
old log-probabilities are those of the original, as in rsl_rl.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rlgpu.learner.options.base import Option
from rlgpu.learner.storage import Minibatch, RolloutStorage
from rlgpu.nn import RunningNormalizer

Mirror = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Raw observations and actions of rows, seen in a mirror: [B, O] and [B, A]."""


class Symmetry(Option):
    """Adds the mirrored rows to each minibatch."""

    name = "symmetry"

    def __init__(self, mirror: Mirror, normalizer: RunningNormalizer) -> None:
        """Prepares to mirror.

        Args:
            mirror: The task's.
            normalizer: Of the observations.
        """
        self._mirror, self._normalizer = mirror, normalizer
        self._observations = self._actions = self._parameters = torch.zeros(0)

    @torch.no_grad()
    def prepare(self, storage: RolloutStorage) -> None:
        """Mirrors the whole rollout once."""
        raw = storage.observations.flatten(0, 1)
        actions = storage.actions.flatten(0, 1)
        parameters = storage.parameters.flatten(0, 1)
        mirrored, self._actions = self._mirror(raw, actions)
        self._observations = self._normalizer.normalize(mirrored)
        # Means are mirrored as actions are.
        _, self._parameters = self._mirror(raw, parameters)

    def minibatch(self, minibatch: Minibatch) -> Minibatch:
        """Returns the minibatch with its mirror image below."""
        rows, ids = minibatch.rows, minibatch.ids
        image = rows._replace(
            normalized_observations=self._observations[ids],
            actions=self._actions[ids],
            parameters=self._parameters[ids],
        )
        both = (torch.cat(pair) for pair in zip(rows, image, strict=True))
        return minibatch._replace(rows=type(rows)(*both), num_original=rows.values.shape[0])
