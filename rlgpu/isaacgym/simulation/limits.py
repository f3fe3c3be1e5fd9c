"""PhysX's limits on velocities, which MuJoCo does not have."""

from __future__ import annotations

import numpy as np
import torch

from rlgpu.isaacgym.simulation.drives import UNLIMITED
from rlgpu.isaacgym.simulation.layout import ActorLayout
from rlgpu.sim.mujoco.worlds import Worlds


class SpeedLimits:
    """Caps joint velocities, and linear and angular velocities of free roots."""

    def __init__(self, worlds: Worlds, where: ActorLayout, properties: np.ndarray) -> None:
        """Reads the limits.

        Args:
            worlds: Whose velocities are capped.
            where: The layout of their model.
            properties: DOF properties of all environments, shape [N, D].
        """
        self._qpos, self._qvel, self._where = worlds.array("qpos"), worlds.array("qvel"), where
        self._step = float(worlds.model.opt.timestep)
        speed = properties["velocity"].astype(float)
        speed = np.where((speed > 0) & (speed < UNLIMITED), speed, np.inf)
        alike = len(speed) == 0 or (speed == speed[:1]).all()
        self._joint = torch.tensor(speed[:1] if alike else speed).to(self._qvel)
        options = [where.actors[i].asset.options for i in where.free]
        most = [[o.max_linear_velocity, o.max_angular_velocity] for o in options]
        self._root = torch.tensor(most).view(-1, 2).to(self._qvel)  # [F, 2]

    def apply(self) -> None:
        """Caps velocities after a physics step.

        A capped joint also gives back the excess distance of the step, so that its position is that
        of the capped velocity.
        """
        where = self._where
        if where.num_dofs:
            velocity = self._qvel[:, where.dof_qvel]
            excess = velocity - velocity.clamp(-self._joint, self._joint)
            # On the host a look costs less than the correction; on a GPU it is the reverse.
            if excess.is_cuda or bool(excess.any()):
                self._qvel[:, where.dof_qvel] = velocity - excess
                self._qpos[:, where.dof_qpos] -= self._step * excess
        if where.free:
            velocity = self._qvel[:, where.free_qvel].unflatten(-1, (2, 3))  # [N, F, 2, 3]
            length = torch.linalg.vector_norm(velocity, dim=-1)
            over = length > self._root
            if over.is_cuda or bool(over.any()):
                # Velocities within the limits keep their bits.
                factor = torch.where(over, self._root / length.clamp(min=1e-9), 1.0)
                self._qvel[:, where.free_qvel] = (velocity * factor[..., None]).flatten(-2)
