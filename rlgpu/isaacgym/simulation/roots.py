"""Root states between the API's layout and MuJoCo's.

The API: position, quaternion (x, y, z, w), velocity of the centre of mass and angular velocity, in
the environment's axes. A free joint: position, quaternion (w, x, y, z), velocity of the origin, and
angular velocity in the body's axes.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.simulation.layout import ActorLayout
from rlgpu.isaacgym.simulation.readings import Readings
from rlgpu.rotations import quat_multiply, quat_rotate, quat_rotate_inverse, wxyz_of, xyzw_of


class RootedWorld(Protocol):
    """What this module reads and writes of the running simulation."""

    sim: Sim
    layout: ActorLayout
    readings: Readings
    qpos: Tensor
    qvel: Tensor
    mocap_pos: Tensor | None
    mocap_quat: Tensor | None

    @property
    def roots(self) -> Tensor:
        """Root states in the API's layout, shape [N, actors, 13]."""


def read_roots(world: RootedWorld) -> None:
    """Rewrites the root tensor. Fixed roots keep the pose they were given, and do not move."""
    where, roots = world.layout, world.roots
    if where.free:
        pose = world.qpos[:, where.free_qpos].float()  # [N, F, 7]
        vel = world.qvel[:, where.free_qvel].float()  # [N, F, 6]
        quat = xyzw_of(pose[..., 3:])
        ang_vel = quat_rotate(quat, vel[..., 3:])
        arm = quat_rotate(quat, world.readings.root_com().expand_as(ang_vel))
        lin_vel = vel[..., :3] + torch.linalg.cross(ang_vel, arm)
        roots[:, where.free_actors] = torch.cat((pose[..., :3], quat, lin_vel, ang_vel), dim=-1)


def write_roots(world: RootedWorld, mask: Tensor) -> None:
    """Writes the root tensor's rows into the state.

    Args:
        world: The worlds.
        mask: Actors to write, shape [N, A], bool.
    """
    where, roots = world.layout, world.roots
    quat = _unit(roots[..., 3:7])
    if where.free:
        chosen = mask[:, where.free_actors, None]  # [N, F, 1]
        own, q = roots[:, where.free_actors], quat[:, where.free_actors]
        arm = quat_rotate(q, world.readings.root_com().expand_as(own[..., :3]))
        lin_vel = own[..., 7:10] - torch.linalg.cross(own[..., 10:13], arm)
        pose = torch.cat((own[..., :3], wxyz_of(q)), dim=-1)
        vel = torch.cat((lin_vel, quat_rotate_inverse(q, own[..., 10:13])), dim=-1)
        for array, at, values in (
            (world.qpos, where.free_qpos, pose),
            (world.qvel, where.free_qvel, vel),
        ):
            array[:, at] = torch.where(chosen, values.to(array.dtype), array[:, at])
    if world.mocap_pos is not None and world.mocap_quat is not None and where.held.numel():
        chosen, own = mask[:, where.held, None], roots[:, where.held]
        turned = quat_multiply(quat[:, where.held], world.readings.mount.expand_as(own[..., 3:7]))
        for array, values in (
            (world.mocap_pos, own[..., :3]),
            (world.mocap_quat, wxyz_of(turned)),
        ):
            held = array[:, where.held_mocap]
            array[:, where.held_mocap] = torch.where(chosen, values.to(array.dtype), held)


def _unit(quat: Tensor) -> Tensor:
    """Returns unit quaternions; one of zeros becomes the identity."""
    norm = quat.norm(dim=-1, keepdim=True)
    identity = torch.tensor([0.0, 0.0, 0.0, 1.0], device=quat.device)
    return torch.where(norm > 1e-6, quat / norm.clamp(min=1e-6), identity)
