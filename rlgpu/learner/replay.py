"""A replay buffer on the device: every environment's last steps, sampled with n-step returns."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rlgpu.learner.storage import RolloutStorage


class Transitions(NamedTuple):
    """B sampled transitions over up to n steps each."""

    observations: Tensor
    """Raw, shape [B, O]."""
    actions: Tensor
    """Shape [B, A]."""
    rewards: Tensor
    """Discounted sums over the steps until an episode ends, shape [B]."""
    next_observations: Tensor
    """Raw, after the last of those steps, before any reset, shape [B, O]."""
    discounts: Tensor
    """Factor on the value of the next observations; 0 after a failure, shape [B]."""


class Replay:
    """A ring of time slots, each with one step of every environment."""

    def __init__(self, storage: RolloutStorage, capacity: int) -> None:
        """Allocates the ring.

        Args:
            storage: Of the rollouts that will be added.
            capacity: Transitions to keep, rounded up to whole rollouts, at least two of them.
        """
        horizon, self.num_envs = storage.horizon_length, storage.num_envs
        rollouts = max(-(-capacity // (horizon * self.num_envs)), 2)
        self.num_slots, self._horizon = rollouts * horizon, horizon

        def ring(like: Tensor) -> Tensor:
            return like.new_zeros(self.num_slots, *like.shape[1:])

        self._observations = ring(storage.observations)
        self._final = ring(storage.final_observations)
        self._actions = ring(storage.actions)
        self._rewards = ring(storage.rewards)
        self._terminated = ring(storage.terminated)
        self._ended = ring(storage.terminated)
        device = storage.rewards.device
        self._next = torch.zeros((), dtype=torch.int64, device=device)
        self.filled = torch.zeros((), dtype=torch.int64, device=device)
        """Time slots filled so far, at most ``num_slots``, shape [], int64."""

    def add(self, storage: RolloutStorage, rewards: Tensor) -> None:
        """Adds a complete rollout over the oldest.

        Args:
            storage: The rollout.
            rewards: As they are learned from, shape [T, N].
        """
        slots = self._next + torch.arange(self._horizon, device=rewards.device)
        for ring, new in (
            (self._observations, storage.observations),
            (self._final, storage.final_observations),
            (self._actions, storage.actions),
            (self._rewards, rewards),
            (self._terminated, storage.terminated),
            (self._ended, storage.ended),
        ):
            ring.index_copy_(0, slots, new)
        self._next.copy_((self._next + self._horizon) % self.num_slots)
        self.filled.copy_((self.filled + self._horizon).clamp(max=self.num_slots))

    def sample(self, uniform: Tensor, gamma: float, num_steps: int) -> Transitions:
        """Returns transitions drawn with equal probability from those with n steps behind them.

        Args:
            uniform: Random numbers in [0, 1) that choose slot and environment, shape [B, 2].
            gamma: Discount factor.
            num_steps: Steps n of a return; less where an episode ends before.
        """
        oldest = (self._next - self.filled) % self.num_slots
        choices = (self.filled - num_steps + 1).clamp(min=1)
        ages = (uniform[:, 0] * choices).long().minimum(choices - 1)
        envs = (uniform[:, 1] * self.num_envs).long().clamp(max=self.num_envs - 1)
        first = (oldest + ages) % self.num_slots
        rewards, discounts = torch.zeros_like(uniform[:, 0]), torch.ones_like(uniform[:, 0])
        slot, last, going_on = first, first, torch.ones_like(first, dtype=torch.bool)
        for _ in range(num_steps):
            last = torch.where(going_on, slot, last)
            rewards += torch.where(going_on, discounts * self._rewards[slot, envs], 0.0)
            discounts = torch.where(going_on, discounts * gamma, discounts)
            going_on = going_on & ~self._ended[slot, envs]
            slot = (slot + 1) % self.num_slots
        return Transitions(
            self._observations[first, envs],
            self._actions[first, envs],
            rewards,
            self._final[last, envs],
            discounts * ~self._terminated[last, envs],
        )
