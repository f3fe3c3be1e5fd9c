"""Converts MuJoCo's arrays to the conventions of ``Simulator``, and back for resets.

MuJoCo: quaternions (w, x, y, z); a free joint's velocity is (linear of the origin in world axes,
angular in body axes); ``cvel`` is (angular, linear) in world axes at the centre of
mass of the whole tree; body 0 is the world.
"""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import torch
from torch import Tensor

from rlgpu.device.rows import Rows, write_rows
from rlgpu.rotations import quat_rotate, quat_rotate_inverse, wxyz_of, xyzw_of
from rlgpu.sim.frames import Frames, frames_of
from rlgpu.sim.mujoco.layout import Layout, root_body, scalar_joints
from rlgpu.sim.mujoco.object_choices import ObjectChoices
from rlgpu.sim.scene import SceneSpec
from rlgpu.sim.simulator import ResetState, SimState

XYZW = [1, 2, 3, 0]
"""Where NumPy finds (x, y, z, w) in MuJoCo's quaternions; tensors have ``xyzw_of``."""


def empty_state(
    model: mujoco.MjModel, scene: SceneSpec, num_envs: int, device: torch.device
) -> SimState:
    """Returns zeroed tensors for a scene's state, with the root in the asset's pose."""

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(num_envs, *shape, dtype=dtype, device=device)

    joints = len(scalar_joints(model))
    bodies = model.nbody - 1
    kept, objects = bodies if scene.body_states else 0, len(scene.objects)
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
        drive_force=zeros(joints if scene.drive_forces else 0),
        jacobian_w=zeros(6, joints if scene.jacobian_body else 0),
        mass_matrix=zeros(*[joints if scene.jacobian_body else 0] * 2),
        object_pos_w=zeros(objects, 3),
        object_quat_w=zeros(objects, 4),
        object_lin_vel_w=zeros(objects, 3),
        object_ang_vel_w=zeros(objects, 3),
        object_kind=zeros(objects, dtype=torch.int64),
        diverged=zeros(dtype=torch.bool),
        overflowed=zeros(dtype=torch.bool),
    )
    root = root_body(model, scene)
    state.root_pos_w.copy_(torch.from_numpy(model.body_pos[root].copy()))
    state.root_quat_w.copy_(torch.from_numpy(model.body_quat[root][XYZW]))
    return state


def read_free(frames: Frames, qpos: Tensor, qvel: Tensor, rows: Rows) -> None:
    """Writes frames of bodies with free joints.

    Args:
        frames: Updated in place.
        qpos: These rows of MuJoCo's positions, shape [R, ..., 7].
        qvel: These rows of MuJoCo's velocities, shape [R, ..., 6].
        rows: The worlds.
    """
    quat_w = xyzw_of(qpos[..., 3:]).to(frames.quat_w.dtype)
    ang_vel_w = quat_rotate(quat_w, qvel[..., 3:6].to(quat_w.dtype))
    for field, values in zip(
        frames, (qpos[..., :3], quat_w, qvel[..., :3], ang_vel_w), strict=True
    ):
        write_rows(field, rows, values)


def read_bodies(
    state: SimState, derived: Mapping[str, Tensor], roots: slice | Tensor, rows: Rows
) -> None:
    """Writes poses and velocities of all bodies.

    Args:
        state: Updated in place.
        derived: ``xpos`` and ``subtree_com`` [N, nbody, 3], ``xquat`` [N, nbody, 4], ``cvel``
            [N, nbody, 6].
        roots: Roots of the bodies' trees, as ``Layout.roots`` says.
        rows: The worlds.
    """
    xpos, cvel = (derived[name][rows, 1:] for name in ("xpos", "cvel"))
    angular, linear = cvel[..., :3], cvel[..., 3:]
    arm_w = xpos - derived["subtree_com"][rows][:, roots]
    lin_vel_w = linear + torch.linalg.cross(angular, arm_w)
    quat_w = xyzw_of(derived["xquat"][rows, 1:])
    found = (xpos, quat_w, lin_vel_w, angular)
    for field, values in zip(frames_of(state, "body"), found, strict=True):
        write_rows(field, rows, values)


def reset_positions(where: Layout, to: ResetState, choices: ObjectChoices, rows: Rows) -> Tensor:
    """Returns the positions of a reset, in MuJoCo's order, shape [R, nq].

    Args:
        where: The layout.
        to: The state to reset to, of R environments.
        choices: Which bodies the objects are.
        rows: The environments.
    """
    qpos = where.qpos0.to(to.joint_pos.dtype).repeat(len(to.joint_pos), 1)
    qpos[:, where.qpos] = to.joint_pos
    if where.floating:
        pose = _with_pose(qpos[:, where.root_qpos], to.root_pos_w, to.root_quat_w)
        qpos[:, where.root_qpos] = pose
    if to.object_pos_w is not None or to.object_quat_w is not None or not choices.is_trivial:
        poses = choices.select(_object_poses(where, qpos), rows)
        poses = _with_pose(poses, to.object_pos_w, to.object_quat_w)
        qpos[:, where.object_qpos] = choices.spread(poses, rows).flatten(1)
    return qpos


def _object_poses(where: Layout, qpos: Tensor) -> Tensor:
    """Returns poses of all bodies of objects as MuJoCo has them, shape [N, M, 7]; N may be 0."""
    poses = qpos[:, where.object_qpos]
    return poses.view(len(poses), poses.shape[1] // 7, 7)


def _with_pose(rows: Tensor, pos_w: Tensor | None, quat_w: Tensor | None) -> Tensor:
    """Returns poses of MuJoCo's with other positions and orientations, shape [..., 7]."""
    pos, quat = rows[..., :3], rows[..., 3:]
    if pos_w is not None:
        pos = pos_w
    if quat_w is not None:
        quat = wxyz_of(quat_w / quat_w.norm(dim=-1, keepdim=True))
    return torch.cat((pos, quat), dim=-1)


def reset_velocities(
    where: Layout,
    to: ResetState,
    qpos: Tensor,
    num_dofs: int,
    choices: ObjectChoices,
    rows: Rows,
) -> Tensor:
    """Returns the velocities of a reset in MuJoCo's order, shape [N, nv].

    Args:
        where: The layout.
        to: The state to reset to.
        qpos: Its positions, as ``reset_positions`` returns them.
        num_dofs: Width of the result, nv.
        choices: Which bodies the objects are.
        rows: The environments.
    """
    qvel = qpos.new_zeros(len(qpos), num_dofs)
    qvel[:, where.dofs] = to.joint_vel
    if where.floating:
        qvel[:, where.root_dofs] = velocity_rows(
            qpos[:, where.root_qpos], to.root_lin_vel_w, to.root_ang_vel_w
        )
    if to.object_lin_vel_w is not None or to.object_ang_vel_w is not None:
        poses = choices.select(_object_poses(where, qpos), rows)
        velocities = velocity_rows(poses, to.object_lin_vel_w, to.object_ang_vel_w)
        qvel[:, where.object_dofs] = choices.spread(velocities, rows).flatten(1)
    return qvel


def velocity_rows(qpos: Tensor, lin_vel_w: Tensor | None, ang_vel_w: Tensor | None) -> Tensor:
    """Returns velocities of free bodies as MuJoCo has them, shape [..., 6].

    Args:
        qpos: Their poses, as MuJoCo has them, shape [..., 7].
        lin_vel_w: Velocities of their origins [m/s], shape [..., 3]; None is zero.
        ang_vel_w: Angular velocities [rad/s], shape [..., 3]; None is zero.
    """
    none = torch.zeros_like(qpos[..., :3])
    linear = none if lin_vel_w is None else lin_vel_w.to(qpos.dtype)
    if ang_vel_w is None:
        return torch.cat((linear, none), dim=-1)
    angular_b = quat_rotate_inverse(xyzw_of(qpos[..., 3:]), ang_vel_w.to(qpos.dtype))
    return torch.cat((linear, angular_b), dim=-1)
