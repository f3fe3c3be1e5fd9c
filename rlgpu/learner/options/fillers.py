"""Environments that reset in the step after an episode's end: that step is not trained on.

Such a step (Gymnasium's next-step autoreset) ignores the action, has no reward and leads from the
last observation of one episode to the first of another. Its rows get no advantage, statistics leave
them out, and others take their places in the minibatches, whose sizes stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.learner.options.base import Option
from rlgpu.learner.storage import RolloutStorage


class Fillers(Option):
    """Leaves out the rows that ``storage.filler`` marks; these are also marked as terminated."""

    name = "fillers"

    def __init__(self, config: TrainConfig) -> None:
        """Prepares to replace rows.

        Args:
            config: Contains how advantages are normalised.
        """
        self._is_global = config.normalize_advantages == "global"
        self._instead = torch.zeros(0)

    @torch.no_grad()
    def prepare(self, storage: RolloutStorage) -> None:
        """Finds the row before each that is left out, and normalises without those."""
        assert storage.filler is not None
        valid = ~storage.filler.flatten()
        rows = torch.arange(len(valid), device=valid.device)
        before = torch.where(valid, rows, -1).cummax(0).values
        self._instead = torch.where(before < 0, valid.long().argmax(), before)
        if self._is_global:
            advantages = storage.advantages.flatten()
            mean = (advantages * valid).sum() / valid.sum()
            squares = ((advantages - mean).square() * valid).sum()
            std = (squares / (valid.sum() - 1).clamp(min=1)).sqrt()
            storage.advantages.copy_(((advantages - mean) / (std + 1e-8)).view_as(storage.filler))

    def order(self, ids: Tensor | None) -> Tensor:
        """Returns the order with other rows in the places of those left out."""
        return self._instead if ids is None else self._instead[ids]
