"""Random network distillation: a reward for reaching what has not been seen often.

A network learns to predict another one that stays as it was drawn; where it has not learned to, the
observations are new.

Source: Burda et al. 2018, "Exploration by random network distillation".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.learner.filler_rows import without_fillers
from rlgpu.learner.optimizer import Optimizer
from rlgpu.learner.options.base import Option
from rlgpu.learner.storage import Minibatch, RolloutStorage
from rlgpu.nn import FlatParameters, Layers, RunningNormalizer
from rlgpu.ops import Kernels, Precision


class Curiosity(Option):
    """Adds the predictor's error to the rewards, in units of its own standard deviation."""

    name = "curiosity"

    def __init__(
        self,
        config: TrainConfig,
        num_observations: int,
        normalizer: RunningNormalizer,
        kernels: Kernels,
        precision: Precision,
        device: torch.device,
    ) -> None:
        """Builds both networks.

        Args:
            config: Contains ``curiosity``.
            num_observations: Width of the observations, O.
            normalizer: The normaliser of the observations.
            kernels: Implementation of the ops.
            precision: Precision of the networks' matrix products.
            device: Device of all tensors.
        """
        self._settings, self._normalizer = config.curiosity, normalizer
        self._reached = torch.zeros(0)
        sizes = [num_observations, *self._settings.hidden_sizes, self._settings.num_features]
        self._predictor, self._drawn = (
            Layers(sizes, config, kernels, precision).to(device) for _ in range(2)
        )
        self._drawn.requires_grad_(False)
        self._flat = FlatParameters(list(self._predictor.parameters()))
        self._optimizer = Optimizer(self._flat, config, kernels)
        self._rate = torch.tensor(self._settings.learning_rate, device=device)
        self._errors = RunningNormalizer(1, kernels).to(device)

    def _error(self, normalized: Tensor) -> Tensor:
        """Returns the mean squared error of each row, [B, O] -> [B]."""
        return (self._predictor(normalized) - self._drawn(normalized)).square().mean(-1)

    @torch.no_grad()
    def rewards(self, storage: RolloutStorage) -> Tensor:
        """Returns how new the observations are that the actions led to, before any reset."""
        self._reached = self._normalizer.normalize(storage.final_observations.flatten(0, 1))
        errors = self._error(self._reached).view_as(storage.rewards)
        self._errors.update(without_fillers(errors, storage.filler)[..., None])
        # The offset would reward the known; the scale alone is 1 / standard deviation.
        novelty = (errors * self._errors.scale).clamp(max=self._settings.limit)
        return self._settings.weight * novelty

    def step(self, minibatch: Minibatch, stop: Tensor) -> None:
        """Trains the predictor on what the minibatch's steps led to."""
        error = self._error(self._reached[minibatch.ids]).mean()
        self._flat.backward([error], [torch.ones_like(error)])
        with torch.no_grad():
            self._optimizer.step(self._rate, stop)

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of both networks, the optimiser and the statistics."""
        return {
            "predictor": {k: v.clone() for k, v in self._predictor.state_dict().items()},
            "drawn": {k: v.clone() for k, v in self._drawn.state_dict().items()},
            "adam": self._optimizer.state_dict(),
            "errors": {k: v.clone() for k, v in self._errors.state_dict().items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self._predictor.load_state_dict(state["predictor"])
        self._drawn.load_state_dict(state["drawn"])
        self._optimizer.load_state_dict(state["adam"])
        self._errors.load_state_dict(state["errors"])
