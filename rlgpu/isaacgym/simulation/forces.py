"""Forces that scripts apply to bodies; they act in the next ``simulate``."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.isaacgym.records.enums import CoordinateSpace
from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.simulation.layout import ActorLayout
from rlgpu.rotations import quat_rotate, xyzw_of
from rlgpu.sim.mujoco.worlds import Worlds


class Forces:
    """Sums forces and torques on bodies until the next step."""

    def __init__(self, sim: Sim, worlds: Worlds, where: ActorLayout) -> None:
        """Binds nothing yet: most scripts apply no forces."""
        self._sim, self._worlds, self._where = sim, worlds, where
        self._wrench: Tensor | None = None
        self._pending = False

    def moved(self, worlds: Worlds, where: ActorLayout) -> Forces:
        """Returns the forces that wait, to act in rebuilt worlds."""
        new = Forces(self._sim, worlds, where)
        if self._wrench is not None:
            new.bind()
            new._wrench, new._pending = self._wrench, self._pending
        return new

    def bind(self) -> None:
        """Prepares for forces; poses of bodies are needed for some of them."""
        if self._wrench is None:
            array = self._worlds.array
            self._applied = array("xfrc_applied")
            self._xpos, self._xquat = array("xpos"), array("xquat")
            self._com = array("xipos")
            rows, device = len(self._xpos), self._worlds.device
            self._wrench = torch.zeros(rows, self._where.num_bodies, 6, device=device)

    def add(
        self,
        force: Tensor | None,
        torque: Tensor | None,
        space: CoordinateSpace,
        at: Tensor | None = None,
    ) -> None:
        """Adds forces [N] and torques [N m] on all bodies, shape [N, B, 3].

        Args:
            force: Forces, at the centres of mass unless ``at`` is given.
            torque: Torques.
            space: Axes of force and torque, and frame of the points.
            at: Points where the forces act [m].
        """
        self.bind()
        assert self._wrench is not None
        bodies = self._where.bodies
        self._worlds.forward()
        quat = xyzw_of(self._xquat[:, bodies].float())
        local = space == CoordinateSpace.LOCAL_SPACE
        if force is not None:
            force = quat_rotate(quat, force) if local else force
            self._wrench[..., :3] += force
        if torque is not None:
            self._wrench[..., 3:] += quat_rotate(quat, torque) if local else torque
        if force is not None and at is not None:
            if local:
                at = self._xpos[:, bodies].float() + quat_rotate(quat, at)
            elif space == CoordinateSpace.GLOBAL_SPACE:
                origins = [list(e.origin) for e in self._sim.envs for _ in range(e.num_bodies)]
                at = at - torch.tensor(origins, device=at.device).view(at.shape)
            arm = at - self._com[:, bodies].float()
            self._wrench[..., 3:] += torch.linalg.cross(arm, force)
        self._pending = True

    def write(self) -> None:
        """Hands the sum to the engine."""
        if self._pending and self._wrench is not None:
            self._applied[:, self._where.bodies] = self._wrench.to(self._applied.dtype)

    def clear(self) -> None:
        """Forgets the forces after they acted."""
        if self._pending and self._wrench is not None:
            self._applied.zero_()
            self._wrench.zero_()
            self._pending = False
