"""Forces on bodies: what an environment's own gravity differs by, and those of the task."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rlgpu.sim.physx.finite import FiniteGuard


class BodyForces:
    """Adds up the forces on bodies, which act at centres of mass.

    An environment with a force that is not finite has zeros there, and counts as diverged.
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
        self.guard = FiniteGuard(num_envs, slot.device)

    def set_weights(self, forces_w: Tensor) -> None:
        """Sets what is added to the scene's own gravity on every body [N], shape [N, B, 3]."""
        self._weights.copy_(forces_w)
        self._slot[:, self._bodies] = self._weights
        self._push()

    def set_applied(self, forces_w: Tensor) -> None:
        """Sets the task's forces [N], shape [N, F, 3]."""
        self._applied.copy_(self.guard.passed(forces_w))
        self._push()

    def _push(self) -> None:
        self._slot[:, self._into] = self._weights[:, self._pushed] + self._applied
