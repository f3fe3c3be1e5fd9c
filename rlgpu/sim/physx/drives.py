"""Drive targets on their way to Isaac Gym."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rlgpu.sim.physx.finite import FiniteGuard
from rlgpu.sim.scene import SceneSpec


class Drives:
    """Writes targets into the slots of the drives they belong to.

    An environment with a target that is not finite gets zeros, and counts as diverged.
    """

    def __init__(
        self,
        scene: SceneSpec,
        names: Sequence[str],
        dofs: slice | Tensor,
        slots: Mapping[str, Tensor],
        num_envs: int,
        device: torch.device,
    ) -> None:
        """Sorts the joints by their drives.

        Args:
            scene: What is driven.
            names: The joints.
            dofs: Where Isaac Gym has them.
            slots: The exchanged tensors.
            num_envs: Number of environments N.
            device: Where they are.
        """
        drives = [scene.drives.get(name) for name in names]
        modes = [drive.mode if drive else "" for drive in drives]
        self._dofs = dofs
        self._into: list[tuple[Tensor, Tensor | None]] = []
        """Slots, and which of the joints have such a drive if not all."""
        for name, mode in (("efforts", "effort"), ("positions", "position")):
            if name in slots:
                mine = torch.tensor([m == mode for m in modes], dtype=torch.bool, device=device)
                self._into.append((slots[name], None if all(mine) else mine))
        # PhysX does not limit efforts that are set.
        limits = [d.effort_limit if d and d.mode == "effort" else math.inf for d in drives]
        has_limits = any(limit < math.inf for limit in limits)
        self._limit = torch.tensor(limits, device=device) if has_limits else None
        driven = [mode != "" for mode in modes]
        self._driven = torch.tensor(driven, dtype=torch.bool, device=device)
        self.guard = FiniteGuard(num_envs, device)

    def write(self, targets: Tensor) -> None:
        """Writes targets [N m, N, rad or m], shape [N, J]."""
        targets = self.guard.passed(targets, self._driven)
        if self._limit is not None:
            targets = targets.clamp(-self._limit, self._limit)
        for slot, mine in self._into:
            slot[:, self._dofs] = targets if mine is None else targets.where(mine, 0.0)
