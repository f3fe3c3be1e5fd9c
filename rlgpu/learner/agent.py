"""What training, playing and checkpoints ask of an agent, whatever its algorithm."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from rlgpu.learner.metrics import UpdateMetrics
from rlgpu.learner.storage import RolloutStorage


class Agent(Protocol):
    """Acts, learns, and can be saved."""

    device: torch.device

    @property
    def nonfinite_steps(self) -> Tensor:
        """Optimiser steps skipped because gradients were not finite, shape []."""

    def new_storage(self, num_envs: int) -> RolloutStorage:
        """Returns the storage that this agent's rollouts need."""

    def act(self, storage: RolloutStorage, t: int) -> Tensor:
        """Chooses actions for the observations in slot ``t``; returns those to apply, [N, A]."""

    def no_memory(self, num_envs: int) -> Tensor | None:
        """Returns what is remembered at the start of an episode, shape [N, M]; None without any."""

    def act_deterministic(
        self, observations: Tensor, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the best actions, [N, O] -> [N, A], and what is remembered then."""

    def update(self, storage: RolloutStorage) -> UpdateMetrics[Tensor]:
        """Learns from a complete rollout."""

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of everything needed to continue training."""

    def load_policy(self, state: dict[str, Any]) -> None:
        """Restores only the weights, and the statistics in whose units they compute."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
