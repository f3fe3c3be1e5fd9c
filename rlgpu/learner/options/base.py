"""What may be added to PPO: each option is one file, called at the points defined here."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rlgpu.learner.storage import Minibatch, RolloutStorage


class Option:
    """Does nothing at every point; options override those that they need."""

    name: str
    """In checkpoints."""

    def rewards(self, storage: RolloutStorage) -> Tensor | None:
        """Returns what is added to the scaled rewards of the task, shape [T, N]."""

    def prepare(self, storage: RolloutStorage) -> None:
        """Looks at a rollout whose advantages are known, before it is trained on."""

    def order(self, ids: Tensor | None) -> Tensor | None:
        """Returns the order that an epoch visits the rows in; None is that of time."""
        return ids

    def minibatch(self, minibatch: Minibatch) -> Minibatch:
        """Returns a minibatch as it is trained on."""
        return minibatch

    def gradients(self, outputs: Tensor, minibatch: Minibatch) -> Tensor | None:
        """Returns what is added to the gradients with respect to the outputs, shape [B, P]."""

    def step(self, minibatch: Minibatch, stop: Tensor) -> None:
        """Trains networks of its own, unless ``stop``."""

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of everything needed to continue training."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
