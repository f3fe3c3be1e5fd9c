"""Rollouts of a recurrent network, trained as sequences of steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlgpu.learner.storage import Gather, Minibatch, RolloutStorage, gathered
from rlgpu.nn import Sequences


class RecurrentStorage(RolloutStorage):
    """Also keeps what the network remembers; minibatches are made of sequences, not of rows.

    A rollout is cut into sequences of S steps of one environment. Each starts with the memory that
    acting had there, and forgets where an episode ends inside it, as acting did.
    """

    def __init__(
        self,
        *sizes: Any,
        memory_size: int,
        sequence_length: int,
        kind: torch.dtype = torch.float32,
    ) -> None:
        """Allocates all tensors, filled with zeros.

        Args:
            *sizes: As for ``RolloutStorage``.
            memory_size: Width of the memory, M.
            sequence_length: Steps of a sequence, S; must divide the rollout's.
            kind: As for ``RolloutStorage``.
        """
        super().__init__(*sizes, kind=kind)
        self.sequence_length = sequence_length
        shape = (self.horizon_length, self.num_envs, memory_size)
        device = self.observations.device
        self.memory = torch.zeros(shape, device=device)
        """Memory before each step, shape [T, N, M]."""
        self.memory_after: Tensor = torch.zeros(shape, device=device)
        self.carried: Tensor = torch.zeros(shape[1:], device=device)
        steps = torch.arange(sequence_length, device=device) * self.num_envs
        chunks = torch.arange(self.horizon_length // sequence_length, device=device)
        firsts = chunks[:, None] * sequence_length * self.num_envs
        starts = (firsts + torch.arange(self.num_envs, device=device)).flatten()
        self._rows = starts + steps[:, None]
        """Rows of each sequence in the flattened rollout, shape [S, sequences]."""

    def memory_before(self, t: int) -> Tensor:
        """Returns the memory before step ``t``, shape [N, M], without that of ended episodes."""
        before = self._unless_ended(t - 1) if t else self.carried
        self.memory[t].copy_(before)
        return self.memory[t]

    def keep_memory(self, t: int, memory: Tensor | None) -> None:
        """Keeps the memory after step ``t``, shape [N, M]."""
        assert memory is not None
        self.memory_after[t].copy_(memory)

    def carry_memory(self) -> None:
        """Carries the memory after the last step over to the next rollout."""
        self.carried.copy_(self._unless_ended(self.horizon_length - 1))

    def _unless_ended(self, t: int) -> Tensor:
        ended = self.terminated[t] | self.truncated[t]
        return self.memory_after[t].masked_fill(ended[:, None], 0.0)

    @property
    def num_items(self) -> int:
        """Number of what minibatches are made of: sequences."""
        return self._rows.shape[1]

    def minibatch(
        self, index: int, num_minibatches: int, ids: Tensor | None, gather_rows: Gather
    ) -> Minibatch:
        """Returns one of several equal minibatches that together cover every sequence once.

        Its rows are in the order of the steps: row s * B + b is step s of sequence b.

        Args:
            index: Index of the minibatch.
            num_minibatches: Number of minibatches; must divide ``num_items``.
            ids: A permutation of the sequences, shape [``num_items``], int64; None for their order.
            gather_rows: Implementation of the op.
        """
        size = self.num_items // num_minibatches
        here = slice(index * size, (index + 1) * size)
        rows = self._rows[:, here] if ids is None else self._rows[:, ids[here]]
        ended = self.ended.flatten()
        sequences = Sequences(self.memory.flatten(0, 1)[rows[0]], ended[rows])
        ids = rows.flatten()
        return Minibatch(gathered(self.batch(), ids, gather_rows), sequences, ids)
