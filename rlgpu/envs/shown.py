"""What learners get of a task's observations: noise, limits, and the observations of past steps."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.envs.randomization import Randomizer
from rlgpu.envs.task import Task


class Shown:
    """Turns a task's true observations into those that learners get.

    Columns are those with noise, newest first: of this step, then of the ``history`` - 1 steps
    before. The true ones of this step follow, if the critic sees them.
    """

    def __init__(
        self,
        task: Task,
        randomizer: Randomizer | None,
        num_envs: int,
        device: torch.device,
        *,
        truth: bool,
    ) -> None:
        """Allocates what is remembered.

        Args:
            task: Adds the noise of its robot's sensors.
            randomizer: Adds noise too, if there is one.
            num_envs: Number of environments N.
            device: Device of the tensors.
            truth: Whether the critic sees observations without noise.
        """
        self._task, self._randomizer, self._truth = task, randomizer, truth
        self._steps = task.config.history - 1
        self.past = torch.zeros(num_envs, self._steps * task.num_observations, device=device)
        """Observations with noise of past steps, newest first, shape [N, (history - 1) * O]."""

    def after_step(self, true: Tensor) -> Tensor:
        """Returns what is shown after a step, [N, O] -> [N, O * (history + 1 with truth)].

        Args:
            true: The task's own observations.
        """
        parts = [self._noisy(true)]
        if self._steps:
            parts = [torch.cat((parts[0], self.past), dim=-1)]
            self.past.copy_(parts[0][:, : self.past.shape[1]])
        if self._truth:
            parts.append(self._limited(true))
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]

    def after_reset(self, true: Tensor, mask: Tensor) -> Tensor:
        """Returns what is shown after a reset, in which the first observation counts for all steps.

        Args:
            true: The task's own observations, [N, O].
            mask: The environments that were reset, whose past is forgotten, shape [N], bool.
        """
        noisy = self._noisy(true)
        parts = [noisy]
        if self._steps:
            first = noisy.repeat(1, self._steps)
            self.past.copy_(torch.where(mask[:, None], first, self.past))
            parts.append(first)
        if self._truth:
            parts.append(self._limited(true))
        return torch.cat(parts, dim=-1) if len(parts) > 1 else noisy

    def _noisy(self, true: Tensor) -> Tensor:
        shown = self._task.add_noise(true)
        if self._randomizer:
            shown = self._randomizer.observe(shown)
        return self._limited(shown)

    def _limited(self, observations: Tensor) -> Tensor:
        limit = self._task.config.clip_observations
        return observations if limit == float("inf") else observations.clamp(-limit, limit)
