"""Statistics of finished episodes, kept on the device: returns and lengths."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

LEAST_EPISODES = 100
"""Minimum number of episodes to average over, once that many have finished."""

Number = TypeVar("Number")


class EpisodeMeans(NamedTuple, Generic[Number]):
    """Means over recent episodes; on the device, every field has shape []."""

    mean_return: Number
    """Mean unscaled return; NaN before the first episode has finished."""
    mean_length: Number
    """Mean length in control steps; NaN before the first episode has finished."""
    episodes: Number
    """Episodes finished so far."""


class EpisodeStatistics:
    """Returns and lengths of the last K finished episodes of every environment.

    K is 1 for 100 or more environments, otherwise the smallest number for which K*N is at least
    100. Every environment has the same weight: a window over the latest episodes of all
    environments would favour short ones, which finish more often, and bias the means low.
    """

    def __init__(
        self, num_envs: int, horizon_length: int, device: torch.device, *, random_ages: bool = False
    ) -> None:
        """Starts with no finished episode.

        Args:
            num_envs: Number of environments, N.
            horizon_length: Steps per rollout, T.
            device: Device of the rewards.
            random_ages: Whether the episodes start with a random step count; the first episode of
                each environment is then incomplete and not counted.
        """
        self._kept = -(-LEAST_EPISODES // num_envs)
        # Return and length of the running episodes; float64, since long sums are subtracted.
        self._current = torch.zeros(2, num_envs, dtype=torch.float64, device=device)
        # The extra slot receives episodes that are not kept; it is never read.
        self._finished = torch.zeros(2, self._kept + 1, num_envs, device=device)
        self._count = torch.full((num_envs,), -int(random_ages), device=device)
        # Sums over time by a matrix product; cumsum on a GPU may differ from run to run.
        ones = torch.ones(horizon_length, horizon_length, dtype=torch.float64, device=device)
        self._until = ones.tril()

    def update(self, rewards: Tensor, done: Tensor, steps: Tensor | None = None) -> None:
        """Adds the steps of a rollout, in time order.

        Args:
            rewards: Unscaled rewards, shape [T, N].
            done: Whether the episode ended at the step, shape [T, N], bool.
            steps: Whether a step counts, shape [T, N], bool; each does if None.
        """
        horizon = rewards.shape[0]
        # Returns and lengths summed from the rollout's start; an episode is a difference of two.
        counted = torch.ones_like(rewards) if steps is None else steps
        sums = torch.stack((rewards.double(), counted.double()))
        sums = self._until[:horizon, :horizon] @ sums  # [2, T, N]
        # The last step so far at which an episode of the environment ended, or -1 if none did.
        step = torch.arange(horizon, device=rewards.device)[:, None]
        end = torch.where(done, step, -1).cummax(0).values
        previous = torch.cat((torch.full_like(end[:1], -1), end[:-1]))
        finished = (sums - self._sums_before(sums, previous)).float()

        number = done.cumsum(0) + self._count  # index of the episode in its environment, from 1
        kept = done & (number > number[-1] - self._kept) & (number > 0)
        slots = torch.where(kept, (number - 1) % self._kept, self._kept)
        self._finished.scatter_(1, slots.expand(2, -1, -1), finished)
        self._count.copy_(number[-1])
        self._current.copy_(sums[:, -1] - self._sums_before(sums, end[-1:])[:, 0])

    def _sums_before(self, sums: Tensor, end: Tensor) -> Tensor:
        """Returns the sums before the episode that began after step ``end``, shape [2, T, N].

        If the episode began before this rollout, that is minus what it had accumulated so far.
        """
        at_end = sums.gather(1, end.clamp(min=0).expand(2, -1, -1))
        return torch.where(end < 0, -self._current[:, None], at_end)

    def means(self) -> EpisodeMeans[Tensor]:
        """Returns the means over the episodes kept."""
        slot = torch.arange(self._kept, device=self._count.device)[:, None]
        valid = slot < self._count  # [K, N]
        sums = torch.where(valid, self._finished[:, : self._kept].double(), 0.0).sum((1, 2))
        mean_return, mean_length = (sums / valid.sum()).unbind()
        return EpisodeMeans(mean_return, mean_length, self._count.clamp(min=0).sum())

    def drop_running(self) -> None:
        """Forgets the steps of running episodes, where the environments begin new ones."""
        self._current.zero_()

    def state_dict(self) -> dict[str, Tensor]:
        """Returns copies of the running and the finished episodes."""
        return {
            "current": self._current.clone(),
            "finished": self._finished[:, : self._kept].clone(),
            "count": self._count.clone(),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores what ``state_dict`` returned."""
        self._current.copy_(state["current"])
        self._finished[:, : self._kept].copy_(state["finished"])
        self._count.copy_(state["count"])
