"""What a rollout leaves behind, in tensors allocated once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rlgpu.ops import ActionSlot, PpoBatch


class RolloutStorage:
    """Time-major tensors [T, N, ...] that acting and stepping write into, slot by slot."""

    def __init__(
        self,
        horizon_length: int,
        num_envs: int,
        num_observations: int,
        num_actions: int,
        device: torch.device,
    ) -> None:
        """Allocates all slots, zeroed."""

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(horizon_length, num_envs, *shape, dtype=dtype, device=device)

        self.horizon_length, self.num_envs = horizon_length, num_envs
        self.observations = zeros(num_observations)
        """Raw observations acted on, shape [T, N, O]."""
        self.normalized = zeros(num_observations)
        """The same as the networks saw them, shape [T, N, O]."""
        self.actions = zeros(num_actions)
        """Unclipped actions, shape [T, N, A]."""
        self.mean = zeros(num_actions)
        """Means they were drawn around, shape [T, N, A]."""
        self.log_probs = zeros()
        """Their log-probabilities, shape [T, N]."""
        self.values = zeros()
        """Critic's values, in its normalised units, shape [T, N]."""
        self.rewards = zeros()
        """Unscaled rewards, shape [T, N]."""
        self.terminated = zeros(dtype=torch.bool)
        """Failures, shape [T, N], bool."""
        self.truncated = zeros(dtype=torch.bool)
        """Ends by the time limit, shape [T, N], bool."""
        self.final_observations = zeros(num_observations)
        """Raw observations after each step and before any reset, shape [T, N, O]."""
        self.last_observations = torch.zeros(num_envs, num_observations, device=device)
        """Raw observations after the last step, shape [N, O]."""
        self.advantages = zeros()
        """Normalised advantages, shape [T, N]."""
        self.returns = zeros()
        """Targets of the critic, in its normalised units, shape [T, N]."""

    def batch(self) -> PpoBatch:
        """Returns the whole rollout flattened, [T, N, ...] -> [T*N, ...], without copying."""
        return PpoBatch(
            observations=self.normalized.flatten(0, 1),
            actions=self.actions.flatten(0, 1),
            log_probs=self.log_probs.flatten(),
            mean=self.mean.flatten(0, 1),
            values=self.values.flatten(),
            advantages=self.advantages.flatten(),
            returns=self.returns.flatten(),
        )

    def slot(self, t: int) -> ActionSlot:
        """Returns what acting fills at step ``t``."""
        return ActionSlot(self.actions[t], self.log_probs[t], self.mean[t], self.values[t])

    def minibatch(
        self,
        index: int,
        num_minibatches: int,
        ids: Tensor | None,
        gather_rows: Callable[[Sequence[Tensor], Tensor], list[Tensor]],
    ) -> PpoBatch:
        """Returns one of equal minibatches that together visit every row once.

        Args:
            index: Which one.
            num_minibatches: How many there are; must divide T*N.
            ids: A permutation of the rows, shape [T*N], int64; or None for slices in time order,
                which are not copied.
            gather_rows: Implementation of the op.
        """
        whole = self.batch()
        size = self.horizon_length * self.num_envs // num_minibatches
        here = slice(index * size, (index + 1) * size)
        if ids is None:
            return PpoBatch(*(x[here] for x in whole))
        return PpoBatch(*gather_rows(whole, ids[here]))
