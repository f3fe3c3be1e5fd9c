"""Free bodies among Isaac Gym's actors: the root if it moves freely, and the objects."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import torch
from torch import Tensor

from rlgpu.device.rows import per_row
from rlgpu.rotations import quat_rotate
from rlgpu.sim.frames import Frames
from rlgpu.sim.mujoco.layout import index_of
from rlgpu.sim.physx.actors import actors_of


class FreeBodies:
    """Bodies of which each is the root of an actor of its own."""

    def __init__(self, model: mujoco.MjModel, ids: Sequence[int], com: Tensor) -> None:
        """Finds their actors.

        Args:
            model: The compiled model.
            ids: The bodies, K of them.
            com: Centres of mass of all bodies [m], shape [N, B, 3]; read again each time.
        """
        self.ids = list(ids)
        self._com = com
        roots = [actor.bodies[0] if actor.is_free else -1 for actor in actors_of(model)]
        self._actors = index_of([roots.index(body) for body in ids], com.device)
        self._columns = index_of([body - 1 for body in ids], com.device)

    def read(self, rows: Tensor, frames: Frames) -> None:
        """Writes their frames, [N, K, ...], from the rows of all actors, [N, actors, 13]."""
        read_frames(rows[:, self._actors], self._com[:, self._columns], frames)

    def write(self, rows: Tensor, mask: Tensor, frames: Frames) -> None:
        """Writes the masked environments' rows from frames."""
        arm_w = quat_rotate(frames.quat_w, self._com[:, self._columns].expand_as(frames.ang_vel_w))
        of_com_w = frames.lin_vel_w + torch.linalg.cross(frames.ang_vel_w, arm_w)
        new = torch.cat((frames.pos_w, frames.quat_w, of_com_w, frames.ang_vel_w), dim=-1)
        before = rows[:, self._actors]
        rows[:, self._actors] = torch.where(per_row(mask, new), new, before)


def read_frames(rows: Tensor, com: Tensor, frames: Frames) -> None:
    """Writes frames from Isaac Gym's rows, whose velocities are those of centres of mass.

    Args:
        rows: Positions, quaternions, linear and angular velocities, shape [..., 13].
        com: Centres of mass in the bodies' frames [m], shape [..., 3].
        frames: Where to write them.
    """
    quat_w, lin_vel_w, ang_vel_w = rows[..., 3:7], rows[..., 7:10], rows[..., 10:13]
    arm_w = quat_rotate(quat_w, com.expand_as(ang_vel_w))
    lin_vel_w = lin_vel_w - torch.linalg.cross(ang_vel_w, arm_w)
    for field, values in zip(frames, (rows[..., :3], quat_w, lin_vel_w, ang_vel_w), strict=True):
        field.copy_(values)
