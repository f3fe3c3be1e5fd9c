"""Forces on bodies: what an environment's own gravity differs by, and those of the task."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rlgpu.device import host_may_read


class BodyForces:
    """Adds up the forces on bodies, which act at centres of mass.

    PhysX must not see a number that is not finite: it spreads to other environments. An environment
    with such a force has none, and counts as diverged.
    """

    def __init__(self, slot: Tensor, bodies: Sequence[int], pushed: Sequence[int]) -> None:
        """Begins without forces.

        Args:
            slot: The exchanged forces in Isaac Gym's order, shape [N, ..., 3].
            bodies: Where Isaac Gym has the model's bodies.
            pushed: Which of those the task pushes.
        """
        self._slot, self._bodies = slot, list(bodies)
        self._pushed, self._into = list(pushed), [bodies[body] for body in pushed]
        num_envs = slot.shape[0]
        self._weights = slot.new_zeros(num_envs, len(self._bodies), 3)
        self._applied = slot.new_zeros(num_envs, len(self._pushed), 3)
        self.bad = torch.zeros(num_envs, dtype=torch.bool, device=slot.device)
        """Which environments' forces were not finite, shape [N], bool."""
        self.any_bad = False
        """Whether any were, as far as the host may know."""
        self._host_may_read = host_may_read(slot.device)

    def set_weights(self, forces_w: Tensor) -> None:
        """Sets what is added to the scene's own gravity on every body [N], shape [N, B, 3]."""
        self._weights.copy_(forces_w)
        self._slot[:, self._bodies] = self._weights
        self._push()

    def set_applied(self, forces_w: Tensor) -> None:
        """Sets the task's forces [N], shape [N, F, 3]."""
        is_fine = self._host_may_read and math.isfinite(float(forces_w.sum()))
        if is_fine and self.any_bad:
            self.bad.fill_(False)
        if not is_fine:
            finite = forces_w.isfinite()
            self.bad.copy_(~finite.flatten(1).all(dim=1))
            forces_w = torch.where(finite, forces_w, 0.0)
        self.any_bad = not is_fine
        self._applied.copy_(forces_w)
        self._push()

    def _push(self) -> None:
        self._slot[:, self._into] = self._weights[:, self._pushed] + self._applied
