"""Poses and velocities of all bodies from those of free bodies and of the joints.

Isaac Gym's body states follow a reset only with the next step; the first observations of an episode
need them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import torch
from torch import Tensor

from rlgpu.rotations import quat_multiply, quat_rotate
from rlgpu.sim.frames import Frames
from rlgpu.sim.mujoco.layout import scalar_joints
from rlgpu.sim.mujoco.readout import XYZW


class _Joint(NamedTuple):
    column: int
    """Among the hinges and slides."""
    is_hinge: bool
    axis: Tensor
    anchor: Tensor


class Kinematics:
    """The tree of a model's bodies."""

    def __init__(self, model: mujoco.MjModel, device: torch.device) -> None:
        """Reads the tree; joints have no reference positions."""

        def constant(values: object) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)

        hinge = mujoco.mjtJoint.mjJNT_HINGE
        self._parents = [int(parent) - 1 for parent in model.body_parentid[1:]]
        self._offsets = [constant(pos) for pos in model.body_pos[1:]]
        self._turns = [constant(quat[XYZW]) for quat in model.body_quat[1:]]
        self._joints = [
            [
                _Joint(
                    column,
                    model.jnt_type[j] == hinge,
                    constant(model.jnt_axis[j]),
                    constant(model.jnt_pos[j]),
                )
                for column, j in enumerate(scalar_joints(model))
                if model.jnt_bodyid[j] == body
            ]
            for body in range(1, model.nbody)
        ]

    def __call__(self, free: Mapping[int, Frames], joint_pos: Tensor, joint_vel: Tensor) -> Frames:
        """Returns the frames of all bodies, shape [N, B, ...].

        Args:
            free: Frames of the free bodies, by their numbers, the world's left out.
            joint_pos: Joint positions [rad or m], shape [N, J].
            joint_vel: Joint velocities [rad/s or m/s], shape [N, J].
        """
        num = len(joint_pos)
        zero = torch.zeros(num, 3, device=joint_pos.device)
        upright = torch.tensor([0.0, 0.0, 0.0, 1.0], device=joint_pos.device).expand(num, 4)
        world = Frames(zero, upright, zero, zero)
        found: list[Frames] = []
        for body, parent in enumerate(self._parents):
            above = found[parent] if parent >= 0 else world
            frame = free[body] if body in free else self._attached(body, above)
            for joint in self._joints[body]:
                pos, vel = joint_pos[:, joint.column, None], joint_vel[:, joint.column, None]
                frame = _moved(frame, joint, pos, vel)
            found.append(frame)
        return Frames(*(torch.stack(part, dim=1) for part in zip(*found, strict=True)))

    def _attached(self, body: int, parent: Frames) -> Frames:
        """Returns a body's frame at zero joint positions."""
        num = len(parent.pos_w)
        arm_w = quat_rotate(parent.quat_w, self._offsets[body].expand(num, 3))
        return Frames(
            parent.pos_w + arm_w,
            quat_multiply(parent.quat_w, self._turns[body].expand(num, 4)),
            parent.lin_vel_w + torch.linalg.cross(parent.ang_vel_w, arm_w),
            parent.ang_vel_w,
        )


def _moved(frame: Frames, joint: _Joint, pos: Tensor, vel: Tensor) -> Frames:
    """Returns a frame after a joint's motion, position and velocity of shape [N, 1]."""
    num = len(pos)
    axis_w = quat_rotate(frame.quat_w, joint.axis.expand(num, 3))
    if not joint.is_hinge:
        shift_w = axis_w * pos
        lin_vel_w = frame.lin_vel_w + torch.linalg.cross(frame.ang_vel_w, shift_w) + axis_w * vel
        return frame._replace(pos_w=frame.pos_w + shift_w, lin_vel_w=lin_vel_w)
    turn = torch.cat((joint.axis * (0.5 * pos).sin(), (0.5 * pos).cos()), dim=-1)
    quat_w = quat_multiply(frame.quat_w, turn)
    before_w = quat_rotate(frame.quat_w, joint.anchor.expand(num, 3))
    after_w = quat_rotate(quat_w, joint.anchor.expand(num, 3))
    ang_vel_w = frame.ang_vel_w + axis_w * vel
    of_anchor_w = frame.lin_vel_w + torch.linalg.cross(frame.ang_vel_w, before_w)
    return Frames(
        frame.pos_w + before_w - after_w,
        quat_w,
        of_anchor_w - torch.linalg.cross(ang_vel_w, after_w),
        ang_vel_w,
    )
