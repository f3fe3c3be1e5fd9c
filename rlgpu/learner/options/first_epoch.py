"""Statistics of the observations that grow minibatch by minibatch in the first epoch, as in skrl.

Source: skrl 2.1.1, agents/torch/ppo/ppo.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.learner.options.base import Option
from rlgpu.learner.storage import Minibatch, RolloutStorage
from rlgpu.nn import RunningNormalizer


class FirstEpochStatistics(Option):
    """Normalises each minibatch by the statistics so far, its own included in the first epoch."""

    name = "first_epoch_statistics"

    def __init__(self, normalizer: RunningNormalizer, num_minibatches: int, stop: Tensor) -> None:
        """Prepares to update the statistics.

        Args:
            normalizer: The normaliser of the observations.
            num_minibatches: Minibatches per epoch.
            stop: Whether the update has been stopped, shape [], bool.
        """
        self._normalizer, self._num_minibatches, self._stop = normalizer, num_minibatches, stop
        self._raw = torch.zeros(0)
        self._left = 0

    def prepare(self, storage: RolloutStorage) -> None:
        """Begins the first epoch of an update."""
        self._raw, self._left = storage.observations.flatten(0, 1), self._num_minibatches

    @torch.no_grad()
    def minibatch(self, minibatch: Minibatch) -> Minibatch:
        """Returns the minibatch with its observations normalised again."""
        raw = self._raw[minibatch.ids]
        if self._left:
            self._left -= 1
            # Statistics skip NaN: on a GPU, minibatches after a stop still pass through here.
            self._normalizer.update(raw.masked_fill(self._stop, torch.nan))
        normalized = self._normalizer.normalize(raw)
        return minibatch._replace(rows=minibatch.rows._replace(normalized_observations=normalized))
