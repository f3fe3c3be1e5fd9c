"""Converts MuJoCo's arrays to the conventions of ``Simulator``, and back for resets.

MuJoCo: quaternions (w, x, y, z); a free joint's velocity is (linear of the origin in world axes,
angular in body axes); ``cvel`` and ``cfrc_ext`` are (angular, linear) and (torque, force) in world
axes at the centre of mass of the whole tree; body 0 is the world.
"""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import torch
from torch import Tensor

from rlgpu.rotations import quat_rotate, quat_rotate_inverse
from rlgpu.sim.mujoco.layout import SCALAR_JOINTS, Layout
from rlgpu.sim.scene import SceneSpec
from rlgpu.sim.simulator import ResetState, SimState

XYZW = [1, 2, 3, 0]
WXYZ = [3, 0, 1, 2]


def empty_state(
    model: mujoco.MjModel, scene: SceneSpec, num_envs: int, device: torch.device
) -> SimState:
    """Returns zeroed tensors for a scene's state, with the root in the asset's pose."""

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(num_envs, *shape, dtype=dtype, device=device)

    joints = sum(int(kind) in map(int, SCALAR_JOINTS) for kind in model.jnt_type)
    bodies = model.nbody - 1
    kept = bodies if scene.body_states else 0
    state = SimState(
        root_pos_w=zeros(3),
        root_quat_w=zeros(4),
        root_lin_vel_w=zeros(3),
        root_ang_vel_w=zeros(3),
        joint_pos=zeros(joints),
        joint_vel=zeros(joints),
        contact_wrench_b=zeros(len(scene.wrench_bodies), 6),
        contact_force_w=zeros(bodies if scene.contact_forces else 0, 3),
        body_pos_w=zeros(kept, 3),
        body_quat_w=zeros(kept, 4),
        body_lin_vel_w=zeros(kept, 3),
        body_ang_vel_w=zeros(kept, 3),
        diverged=zeros(dtype=torch.bool),
        overflowed=zeros(dtype=torch.bool),
    )
    state.root_pos_w.copy_(torch.from_numpy(model.body_pos[1].copy()))
    state.root_quat_w.copy_(torch.from_numpy(model.body_quat[1][XYZW]))
    return state


def read_root(state: SimState, qpos: Tensor, qvel: Tensor) -> None:
    """Writes a free root's pose and velocity into ``state``, from [N, nq] and [N, nv]."""
    state.root_pos_w.copy_(qpos[:, 0:3])
    state.root_quat_w[:, :3].copy_(qpos[:, 4:7])
    state.root_quat_w[:, 3].copy_(qpos[:, 3])
    state.root_lin_vel_w.copy_(qvel[:, 0:3])
    state.root_ang_vel_w.copy_(quat_rotate(state.root_quat_w, qvel[:, 3:6].float()))


def read_bodies(state: SimState, derived: Mapping[str, Tensor], roots: slice | Tensor) -> None:
    """Writes poses and velocities of all bodies.

    Args:
        state: Updated in place.
        derived: ``xpos`` and ``subtree_com`` [N, nbody, 3], ``xquat`` [N, nbody, 4], ``cvel``
            [N, nbody, 6].
        roots: Roots of the bodies' trees, as ``Layout.roots`` says.
    """
    state.body_pos_w.copy_(derived["xpos"][:, 1:])
    state.body_quat_w.copy_(derived["xquat"][:, 1:, XYZW])
    angular, linear = derived["cvel"][:, 1:, :3], derived["cvel"][:, 1:, 3:]
    arm_w = derived["xpos"][:, 1:] - derived["subtree_com"][:, roots]
    state.body_ang_vel_w.copy_(angular)
    state.body_lin_vel_w.copy_(linear + torch.linalg.cross(angular, arm_w))


def reset_positions(where: Layout, to: ResetState) -> Tensor:
    """Returns the positions of a reset, in MuJoCo's order, shape [N, nq]."""
    qpos = where.qpos0.to(to.joint_pos.dtype).repeat(len(to.joint_pos), 1)
    qpos[:, where.qpos] = to.joint_pos
    if where.floating and to.root_pos_w is not None:
        qpos[:, 0:3] = to.root_pos_w
    if where.floating and to.root_quat_w is not None:
        quat = to.root_quat_w / to.root_quat_w.norm(dim=-1, keepdim=True)
        qpos[:, 3:7] = quat[:, WXYZ]
    return qpos


def reset_velocities(where: Layout, to: ResetState, qpos: Tensor, num_dofs: int) -> Tensor:
    """Returns the velocities of a reset in MuJoCo's order, shape [N, nv].

    Args:
        where: The layout.
        to: The state to reset to.
        qpos: Its positions, as ``reset_positions`` returns them.
        num_dofs: Width of the result, nv.
    """
    qvel = qpos.new_zeros(len(qpos), num_dofs)
    qvel[:, where.dofs] = to.joint_vel
    if where.floating and to.root_lin_vel_w is not None:
        qvel[:, 0:3] = to.root_lin_vel_w
    if where.floating and to.root_ang_vel_w is not None:
        qvel[:, 3:6] = quat_rotate_inverse(qpos[:, 3:7][:, XYZW], to.root_ang_vel_w)
    return qvel
