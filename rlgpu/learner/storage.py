"""The data of a rollout, in tensors allocated once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rlgpu.ops import ActionSlot, PpoBatch


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
    ) -> None:
        """Allocates all tensors, filled with zeros.

        Args:
            horizon_length: Steps of a rollout, T.
            num_envs: Number of environments, N.
            num_observations: Width of the observations, O.
            num_actions: Width of the actions, A.
            num_parameters: Width of the parameters of their distribution, P.
            device: Device of all tensors.
        """

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(horizon_length, num_envs, *shape, dtype=dtype, device=device)

        self.horizon_length, self.num_envs = horizon_length, num_envs
        self.observations = zeros(num_observations)
        """Raw observations that the actions were chosen from, shape [T, N, O]."""
        self.normalized_observations = zeros(num_observations)
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
        self.final_observations = zeros(num_observations)
        """Raw observations after each step, before any reset, shape [T, N, O]."""
        self.last_observations = torch.zeros(num_envs, num_observations, device=device)
        """Raw observations after the last step, shape [N, O]."""
        self.advantages = zeros()
        """Advantages, normalised over the rollout if so configured, shape [T, N]."""
        self.returns = zeros()
        """Targets of the critic, in its normalised units, shape [T, N]."""

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

    def minibatch(
        self,
        index: int,
        num_minibatches: int,
        ids: Tensor | None,
        gather_rows: Callable[[Sequence[Tensor], Tensor], list[Tensor]],
    ) -> PpoBatch:
        """Returns one of several equal minibatches that together cover every row once.

        Args:
            index: Index of the minibatch.
            num_minibatches: Number of minibatches; must divide T*N.
            ids: A permutation of the rows, shape [T*N], int64; or None for slices in time order,
                which are views.
            gather_rows: Implementation of the op.
        """
        whole = self.batch()
        size = self.horizon_length * self.num_envs // num_minibatches
        here = slice(index * size, (index + 1) * size)
        if ids is None:
            return PpoBatch(*(x[here] for x in whole))
        return PpoBatch(*gather_rows(whole, ids[here]))
