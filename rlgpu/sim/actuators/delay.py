"""Targets that come some physics steps late."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_TURNS = (0.6180339887498949, 0.7548776662466927)
"""Irrational steps that spread numbers evenly: from robot to robot, from episode to episode."""


class Delay:
    """The targets of the last physics steps, of which each robot gets one."""

    def __init__(self, steps: Sequence[int], n: int, joints: int, device: torch.device) -> None:
        """Begins without any targets.

        Args:
            steps: Least and most physics steps; empty: none.
            n: Number of environments N.
            joints: Number of joints J.
            device: Of the tensors.
        """
        self._least, self._most = steps or (0, 0)
        self._targets = torch.zeros(n, joints, device=device)
        self._rows = torch.arange(n, device=device)
        self.buffers = {"targets": self._targets}
        """What lasts: targets; with a delay, those of the last steps, each in the place of its step
        modulo the number of places, the step, episodes, delays, and who has just been reset."""
        if self._most:
            self.buffers |= {
                "late": torch.zeros(self._most + 1, n, joints, device=device),
                "steps": torch.zeros((), dtype=torch.int64, device=device),
                "episodes": torch.zeros(n, dtype=torch.int64, device=device),
                "delay": torch.zeros(n, dtype=torch.int64, device=device),
                "is_new": torch.ones(n, dtype=torch.bool, device=device),
            }
            self._draw()

    def _draw(self) -> None:
        """Sets delays, spread evenly over robots and episodes, without a generator."""
        of_robots, of_episodes = _TURNS
        places = self._rows.double() * of_robots + self.buffers["episodes"].double() * of_episodes
        number = ((places % 1.0) * (self._most - self._least + 1)).long()
        self.buffers["delay"].copy_(self._least + number)

    def set(self, targets: Tensor) -> None:
        """Sets the targets from now on, shape [N, J]."""
        self._targets.copy_(targets)

    def next(self) -> Tensor:
        """Returns the targets of the next physics step, shape [N, J]."""
        if not self._most:
            return self._targets
        buffers, late = self.buffers, self.buffers["late"]
        # What an episode begins with counts for the time before it, too.
        late.copy_(torch.where(buffers["is_new"][None, :, None], self._targets, late))
        buffers["is_new"].fill_(False)
        buffers["steps"] += 1
        places = self._most + 1
        now = buffers["steps"] % places
        late.index_copy_(0, now[None], self._targets[None])
        return late[(now - buffers["delay"]) % places, self._rows]

    def reset(self, mask: Tensor) -> None:
        """Begins episodes with other delays, in environments of shape [N], bool."""
        if self._most:
            self.buffers["is_new"].logical_or_(mask)
            self.buffers["episodes"] += mask
            self._draw()
