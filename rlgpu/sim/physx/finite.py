"""Keeps numbers that are not finite from PhysX, where they would spread to other environments."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rlgpu.device import host_may_read


class FiniteGuard:
    """Lets finite numbers through, and remembers which environments gave others."""

    def __init__(self, num_envs: int, device: torch.device) -> None:
        """Begins with none."""
        self.bad = torch.zeros(num_envs, dtype=torch.bool, device=device)
        """Which environments' numbers were not finite, shape [N], bool."""
        self.any_bad = False
        """Whether any were, as far as the host may know."""
        self._host_may_read = host_may_read(device)

    def passed(self, values: Tensor, counts: Tensor | None = None) -> Tensor:
        """Returns the values, 0 where they are not finite.

        Args:
            values: What goes to PhysX, shape [N, ...].
            counts: Which entries of a row make their environment bad, bool; all if None.
        """
        # On the CPU one sum is a quick look: it is finite only if all are.
        is_fine = self._host_may_read and math.isfinite(float(values.sum()))
        if is_fine and self.any_bad:
            self.bad.fill_(False)
        if not is_fine:
            finite = values.isfinite()
            wrong = ~finite if counts is None else ~finite & counts
            self.bad.copy_(wrong.flatten(1).any(dim=1))
            values = torch.where(finite, values, 0.0)
        self.any_bad = not is_fine
        return values
