"""Returns of an environment's episodes, counted as any library steps it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rlgpu.envs import Step, VecEnv
from rlgpu.training.episodes import EpisodeStatistics

__all__ = ["LastReturns", "ReturnsByTime"]


class _Steps:
    """Replaces an environment's ``step`` by one that also shows rewards and ends to ``_add``."""

    def __init__(self, env: VecEnv) -> None:
        self._step_env, self.num_steps = env.step, 0
        env.step = self._step  # type: ignore[method-assign]

    def _step(self, actions: Tensor) -> Step:
        step = self._step_env(actions)
        self.num_steps += 1
        self._add(step.rewards, step.terminated | step.truncated)
        return step

    def _add(self, rewards: Tensor, done: Tensor) -> None:
        raise NotImplementedError


class LastReturns(_Steps):
    """Keeps the returns of the last episodes of each environment; never waits for the device."""

    def __init__(self, env: VecEnv) -> None:
        super().__init__(env)
        self._statistics = EpisodeStatistics(env.num_envs, 1, env.device)

    def _add(self, rewards: Tensor, done: Tensor) -> None:
        self._statistics.update(rewards[None], done[None])

    def mean(self) -> float:
        """Returns their unscaled mean, as our metrics have it; NaN before the first end."""
        return float(self._statistics.means().mean_return)


class ReturnsByTime(_Steps):
    """Keeps the return of every finished episode, with the step in which it ended."""

    def __init__(self, env: VecEnv) -> None:
        super().__init__(env)
        self._running = torch.zeros(env.num_envs, device=env.device)
        self._ended = list[tuple[int, float]]()

    def _add(self, rewards: Tensor, done: Tensor) -> None:
        self._running += rewards
        self._ended += [(self.num_steps, float(x)) for x in self._running[done]]
        self._running[done] = 0.0

    def tenths(self, num_steps: int) -> np.ndarray:
        """Returns the mean return of the episodes that ended in each tenth of a run, shape [10].

        Args:
            num_steps: Steps of the run.
        """
        steps, values = (np.array(x) for x in zip(*self._ended, strict=True))
        parts = np.minimum((steps - 1) * 10 // num_steps, 9)
        return np.array(
            [values[parts == i].mean() if (parts == i).any() else np.nan for i in range(10)]
        )
