"""The data of a rollout, in tensors allocated once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.nn import Sequences
from rlgpu.ops import ActionSlot, PpoBatch

Gather = Callable[[Sequence[Tensor], Tensor], list[Tensor]]
"""The op that gathers rows."""


class Minibatch(NamedTuple):
    """What a minibatch is trained on."""

    rows: PpoBatch
    sequences: Sequences | None = None
    """How the rows follow each other, for a recurrent network; None for any other."""
    ids: Rows = ALL_ROWS
    """Which rows of the flattened rollout they are, shape [B], int64."""
    num_original: int | None = None
    """Number of rows from the rollout, if copies of rows follow them; None if there are none."""


class RolloutStorage:
    """Time-major tensors [T, N, ...], filled one time step (slot) after the other."""

    def __init__(
        self,
        horizon_length: int,
        num_envs: int,
        num_observations: int,
        num_actions: int,
        num_parameters: int,
        device: torch.device,
        *,
        kind: torch.dtype = torch.float32,
    ) -> None:
        """Allocates all tensors, filled with zeros.

        Args:
            horizon_length: Steps of a rollout, T.
            num_envs: Number of environments, N.
            num_observations: Width of the observations, O.
            num_actions: Width of the actions, A.
            num_parameters: Width of the parameters of their distribution, P.
            device: Device of all tensors.
            kind: Type of the observations; ``uint8`` are whole numbers from 0 to 255, which are not
                normalised.
        """

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(horizon_length, num_envs, *shape, dtype=dtype, device=device)

        self.horizon_length, self.num_envs = horizon_length, num_envs
        self.observations = zeros(num_observations, dtype=kind)
        """Raw observations that the actions were chosen from, shape [T, N, O]."""
        self.normalized_observations = (
            self.observations if kind == torch.uint8 else zeros(num_observations)
        )
        """The same observations as given to the networks, shape [T, N, O]."""
        self.actions = zeros(num_actions)
        """Unclipped actions, shape [T, N, A]."""
        self.parameters = zeros(num_parameters)
        """Parameters of the distributions they were sampled from, shape [T, N, P]."""
        self.log_probs = zeros()
        """Log-probabilities of the actions, shape [T, N]."""
        self.values = zeros()
        """Values of the critic, in its normalised units, shape [T, N]."""
        self.rewards = zeros()
        """Unscaled rewards, shape [T, N]."""
        self.terminated = zeros(dtype=torch.bool)
        """Whether the episode ended in failure, shape [T, N], bool."""
        self.truncated = zeros(dtype=torch.bool)
        """Whether the episode ended by the time limit, shape [T, N], bool."""
        self.final_observations = zeros(num_observations, dtype=kind)
        """Raw observations after each step, before any reset, shape [T, N, O]."""
        self.last_observations = torch.zeros(num_envs, num_observations, dtype=kind, device=device)
        """Raw observations after the last step, shape [N, O]."""
        self.advantages = zeros()
        """Advantages, normalised over the rollout if so configured, shape [T, N]."""
        self.returns = zeros()
        """Targets of the critic, in its normalised units, shape [T, N]."""
        self.filler: Tensor | None = None
        """Steps that only reset their environment, shape [T, N], bool; None if there are none."""

    def batch(self) -> PpoBatch:
        """Returns the whole rollout flattened, [T, N, ...] -> [T*N, ...], without copying."""
        return PpoBatch(
            normalized_observations=self.normalized_observations.flatten(0, 1),
            actions=self.actions.flatten(0, 1),
            log_probs=self.log_probs.flatten(),
            parameters=self.parameters.flatten(0, 1),
            values=self.values.flatten(),
            advantages=self.advantages.flatten(),
            returns=self.returns.flatten(),
        )

    def slot(self, t: int) -> ActionSlot:
        """Returns views of the tensors that acting fills at step ``t``."""
        return ActionSlot(self.actions[t], self.log_probs[t], self.parameters[t], self.values[t])

    @property
    def ended(self) -> Tensor:
        """Whether an episode ended with a step, either way, shape [T, N], bool."""
        return self.terminated | self.truncated

    def learned_rewards(self, config: TrainConfig) -> Tensor:
        """Returns the rewards as they are learned from, clamped and scaled, shape [T, N]."""
        rewards = self.rewards
        if config.clip_rewards:
            rewards = rewards.clamp(-config.clip_rewards, config.clip_rewards)
        return rewards * config.reward_scale

    def env_order(self) -> Tensor:
        """Returns the items' ids environment by environment, shape [``num_items``], int64."""
        device = self.observations.device
        ids = torch.arange(self.num_items, device=device)
        return ids.view(-1, self.num_envs).t().flatten()

    @property
    def num_items(self) -> int:
        """Number of what minibatches are made of: rows."""
        return self.horizon_length * self.num_envs

    def minibatch(
        self, index: int, num_minibatches: int, ids: Tensor | None, gather_rows: Gather
    ) -> Minibatch:
        """Returns one of several equal minibatches that together cover every row once.

        Args:
            index: Index of the minibatch.
            num_minibatches: Number of minibatches; must divide ``num_items``.
            ids: A permutation of the items, shape [``num_items``], int64; or None for slices in
                time order, which are views.
            gather_rows: Implementation of the op.
        """
        whole = self.batch()
        size = self.num_items // num_minibatches
        here = slice(index * size, (index + 1) * size)
        if ids is None:
            return Minibatch(PpoBatch(*(x[here] for x in whole)), ids=here)
        return Minibatch(gathered(whole, ids[here], gather_rows), ids=ids[here])

    # A recurrent network's memory; there is none here.

    memory_after: Tensor | None = None
    """Memory after each step, before episodes end, shape [T, N, M]."""
    carried: Tensor | None = None
    """Memory before the first step of the next rollout, shape [N, M]."""

    def memory_before(self, t: int) -> Tensor | None:
        """Returns the memory before step ``t``, shape [N, M], without that of ended episodes."""
        return None

    def keep_memory(self, t: int, memory: Tensor | None) -> None:
        """Keeps the memory after step ``t``, shape [N, M]."""

    def carry_memory(self) -> None:
        """Carries the memory after the last step over to the next rollout."""


def epoch_orders(
    storage: RolloutStorage,
    config: TrainConfig,
    shuffle: Callable[[Tensor, int], Tensor],
    rng_state: Tensor,
) -> list[Tensor | None]:
    """Returns the order of the items in each epoch, shape [``num_items``], int64 each.

    They are drawn up front, so that random numbers do not depend on when the KL stops the update.

    Args:
        storage: The rollout.
        config: Contains ``minibatch_order`` and ``num_epochs``.
        shuffle: Implementation of the op.
        rng_state: Seed and number of calls so far, shape [2], int64; the latter is incremented.

    Returns:
        One permutation for each epoch; None for the order of time.
    """
    order, num_epochs = config.minibatch_order, config.num_epochs
    if order == "shuffled":
        return [shuffle(rng_state, storage.num_items) for _ in range(num_epochs)]
    if order == "shuffled_once":
        return [shuffle(rng_state, storage.num_items)] * num_epochs
    return [storage.env_order() if order == "by_env" else None] * num_epochs


def gathered(rows: PpoBatch, ids: Tensor, gather_rows: Gather) -> PpoBatch:
    """Returns some rows, in the order of their ids; those of pixels by torch's own op."""
    pixels = rows.normalized_observations
    if pixels.dtype != torch.uint8:
        return PpoBatch(*gather_rows(rows, ids))
    others = gather_rows(rows[1:], ids)
    return PpoBatch(pixels.index_select(0, ids), *others)
