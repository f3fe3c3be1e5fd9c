"""Switches the second actuators of stiff drives; see ``drives``."""

from __future__ import annotations

import numpy as np
import torch

from rlgpu.isaacgym.simulation.drives import DriveTerms
from rlgpu.isaacgym.simulation.layout import Places
from rlgpu.sim.mujoco.worlds import Worlds


class Holds:
    """Writes ``ctrl`` for drives that are stiff and limited."""

    def __init__(self, worlds: Worlds, where: Places, terms: DriveTerms) -> None:
        """Reads the drives.

        Args:
            worlds: The worlds.
            where: The places of the degrees of freedom.
            terms: Their drives, each of shape [N or 1, D].
        """
        model = worlds.model
        held = where.holds >= 0
        self.any = bool(held.any())
        """Whether there are such drives."""
        if not self.any:
            return

        def index(values: np.ndarray) -> torch.Tensor:
            return torch.tensor(values[held], device=worlds.device)

        def numbers(values: np.ndarray) -> torch.Tensor:
            return torch.tensor(values[..., held]).to(worlds.array("qvel"))

        self._ctrl = worlds.array("ctrl")
        self._qpos, self._qvel = worlds.array("qpos"), worlds.array("qvel")
        self._motors, self._holds = index(where.motors), index(where.holds)
        self._at_q, self._at_v = index(where.dof_qpos), index(where.dof_qvel)
        self._bias_q, self._bias_v = numbers(terms.bias_q), numbers(terms.bias_v)
        self._limit = numbers(terms.limit)
        step = float(model.opt.timestep)
        # The force at the end of the step is smaller by how much it changes the velocity.
        self._yield = 1 - step * self._bias_v * numbers(model.dof_invweight0[where.dof_qvel])

    def apply(self, wanted: torch.Tensor) -> None:
        """Sets ``ctrl`` for the next physics step.

        Args:
            wanted: The drives' forces at position and velocity zero, shape [N, D]; already in
                ``ctrl``.
        """
        target = wanted[:, self._motors]
        velocity = self._qvel[:, self._at_v]
        force = target + self._bias_q * self._qpos[:, self._at_q] + self._bias_v * velocity
        force = force / self._yield
        within = force.abs() <= self._limit
        most = force.clamp(-self._limit, self._limit)
        self._ctrl[:, self._motors] = torch.where(within, target, most)
        self._ctrl[:, self._holds] = within.to(self._ctrl.dtype)
