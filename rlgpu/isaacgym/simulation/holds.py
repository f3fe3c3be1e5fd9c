"""Computes what drives need in each physics step; see ``drives``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from rlgpu.isaacgym.simulation.drives import DriveTerms, are_carried
from rlgpu.isaacgym.simulation.layout import Places
from rlgpu.sim.mujoco.worlds import Worlds


class Holds:
    """Writes ``ctrl`` for drives that are stiff and limited, and for those that are carried."""

    def __init__(self, worlds: Worlds, where: Places, terms: DriveTerms) -> None:
        """Reads the drives.

        Args:
            worlds: The worlds.
            where: The places of the degrees of freedom.
            terms: Their drives, each of shape [N or 1, D].
        """
        model = worlds.model
        held = where.holds >= 0
        carried = are_carried(model, where.motors)
        self.any = bool(held.any() or carried.any())
        """Whether there are such drives."""
        if not self.any:
            return
        self._ctrl = worlds.array("ctrl")
        self._qpos, self._qvel = worlds.array("qpos"), worlds.array("qvel")
        self._held = self._select(worlds, where, terms, held)
        self._carried = self._select(worlds, where, terms, carried)
        self._step = float(model.opt.timestep)
        self._last: torch.Tensor | None = None
        self._holds = torch.tensor(where.holds[held], device=worlds.device)
        weights = torch.tensor(model.dof_invweight0[where.dof_qvel[held]]).to(self._qvel)
        # The force at the end of the step is smaller by how much it changes the velocity.
        self._yield = 1 - self._step * self._held.bias_v * weights

    def _select(
        self, worlds: Worlds, where: Places, terms: DriveTerms, chosen: np.ndarray
    ) -> _Drives:
        """Returns some of the drives, of those of shape [D]."""

        def index(values: np.ndarray) -> torch.Tensor:
            return torch.tensor(values[chosen], device=worlds.device)

        def numbers(values: np.ndarray) -> torch.Tensor:
            return torch.tensor(values[..., chosen]).to(self._qvel)

        return _Drives(
            index(where.motors),
            index(where.dof_qpos),
            index(where.dof_qvel),
            *map(numbers, (terms.bias_q, terms.bias_v, terms.limit)),
        )

    def apply(self, wanted: torch.Tensor) -> None:
        """Sets ``ctrl`` for the next physics step.

        Args:
            wanted: The drives' forces at position and velocity zero, shape [N, D]; already in
                ``ctrl``.
        """
        if self._holds.numel():
            target, force = self._force(self._held, wanted)
            force = force / self._yield
            within = force.abs() <= self._held.limit
            most = force.clamp(-self._held.limit, self._held.limit)
            self._ctrl[:, self._held.motors] = torch.where(within, target, most)
            self._ctrl[:, self._holds] = within.to(self._ctrl.dtype)
        if self._carried.motors.numel():
            self._ctrl[:, self._carried.motors] = self._limit(self._carried, wanted)

    def _limit(self, drives: _Drives, wanted: torch.Tensor) -> torch.Tensor:
        """Returns the forces of carried drives, limited if the last ones grew beyond the limit."""
        target, force = self._force(drives, wanted)
        before = target if self._last is None else self._last
        self._last = target
        velocity = self._qvel[:, drives.qvel]
        # At the end of a step a drive has its damping alone, without the step of its spring.
        reached = force - target + before - self._step * drives.bias_q * velocity
        limited = force.clamp(-drives.limit, drives.limit)
        # Efforts without damping do not shrink within a step.
        over = (reached.abs() > drives.limit) | (drives.bias_v == 0)
        return torch.where(over, limited, force)

    def _force(self, drives: _Drives, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns what is wanted of drives, and their forces at the start of the step."""
        target = wanted[:, drives.motors]
        position, velocity = self._qpos[:, drives.qpos], self._qvel[:, drives.qvel]
        return target, target + drives.bias_q * position + drives.bias_v * velocity


class _Drives(NamedTuple):
    """Some drives: indices of shape [H] and numbers of shape [N or 1, H]."""

    motors: torch.Tensor
    qpos: torch.Tensor
    qvel: torch.Tensor
    bias_q: torch.Tensor
    bias_v: torch.Tensor
    limit: torch.Tensor
