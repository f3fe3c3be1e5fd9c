"""A body's Jacobian and the mass matrix of its joints, from the poses of all bodies.

Isaac Gym has tensors of both, but they follow a reset only with the next step, and the first
actions of an episode need them at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.rotations import quat_multiply, quat_rotate
from rlgpu.sim.isaacgym import mjcf
from rlgpu.sim.mujoco.dynamics import is_above
from rlgpu.sim.mujoco.layout import SCALAR_JOINTS
from rlgpu.sim.simulator import SimState


class Dynamics:
    """Computes ``jacobian_w`` and ``mass_matrix`` of a state."""

    def __init__(self, model: mujoco.MjModel, body: int, parameters: Mapping[str, Tensor]) -> None:
        """Reads masses, inertias and joint axes.

        Args:
            model: The compiled model.
            body: The body whose Jacobian is wanted.
            parameters: All of ``Simulator.parameters``, also those that do not vary; live tensors.
        """
        self._parameters, device = parameters, parameters["body_mass"].device

        def constant(values: object) -> Tensor:
            return torch.tensor(np.array(values), dtype=torch.float32, device=device)

        joints = [j for j in range(model.njnt) if model.jnt_type[j] in map(int, SCALAR_JOINTS)]
        owners = [int(model.jnt_bodyid[j]) for j in joints]
        bodies = [
            b for b in range(1, model.nbody) if model.body_rootid[b] == model.body_rootid[body]
        ]
        self._bodies, self._body = [b - 1 for b in bodies], body - 1
        self._owners = [owner - 1 for owner in owners]
        self._moves = constant(
            [[is_above(model.body_parentid, owner, b) for owner in owners] for b in [*bodies, body]]
        )[..., None]
        """Whether a joint moves a body: those of the tree, and the wanted one's origin."""
        hinge = mujoco.mjtJoint.mjJNT_HINGE
        self._turns = constant([model.jnt_type[j] == hinge for j in joints])[:, None]
        self._axes, self._anchors = (
            constant(model.jnt_axis[joints]),
            constant(model.jnt_pos[joints]),
        )
        self._mass = constant(model.body_mass[bodies]).clamp(min=1e-9)
        self._inertia = constant([mjcf.inertia_of(model, b) for b in bodies])
        self._later = {
            j: [k for k in range(j + 1, len(joints)) if owners[k] == owners[j]]
            for j in range(len(joints))
        }

    def write(self, state: SimState) -> None:
        """Writes both, from ``state``'s bodies and joints."""
        pos_w, quat_w = state.body_pos_w, state.body_quat_w
        parameters = self._parameters
        com_w = pos_w + quat_rotate(quat_w, parameters["body_com"])
        points_w = torch.cat((com_w[:, self._bodies], pos_w[:, self._body, None]), dim=1)
        axes_w, anchors_w = self._joints_in_world(state)
        arm_w = points_w[:, :, None] - anchors_w[:, None]  # [N, points, J, 3]
        axes_w = axes_w[:, None].expand_as(arm_w)
        turn = axes_w * self._turns * self._moves
        move = torch.where(self._turns.bool(), torch.linalg.cross(axes_w, arm_w), axes_w)
        move = move * self._moves
        state.jacobian_w.copy_(torch.cat((move[:, -1], turn[:, -1]), dim=-1).transpose(-1, -2))
        move, turn = move[:, :-1], turn[:, :-1]
        local = _in_body(quat_w[:, self._bodies], turn)
        mass = parameters["body_mass"][:, self._bodies, None, None]
        inertia = self._inertia * (mass / self._mass[:, None, None])  # in proportion
        total = _rows(mass * move).mT @ _rows(move) + _rows(local @ inertia).mT @ _rows(local)
        state.mass_matrix.copy_(total + torch.diag_embed(parameters["joint_armature"]))

    def _joints_in_world(self, state: SimState) -> tuple[Tensor, Tensor]:
        """Returns axes and anchors of the joints, shape [N, J, 3].

        A body's own frame has turned by all its joints; an axis turns only with those before it.
        """
        quat_w = state.body_quat_w[:, self._owners]
        anchors_w = state.body_pos_w[:, self._owners] + quat_rotate(
            quat_w, self._anchors.expand(*quat_w.shape[:2], 3)
        )
        for joint, later in self._later.items():
            for other in reversed(later):
                half = -0.5 * state.joint_pos[:, other, None]
                back = torch.cat((self._axes[other] * half.sin(), half.cos()), dim=-1)
                is_hinge = self._turns[other] > 0
                turned = quat_multiply(quat_w[:, joint], back)
                quat_w[:, joint] = torch.where(is_hinge, turned, quat_w[:, joint])
        return quat_rotate(quat_w, self._axes.expand(*quat_w.shape[:2], 3)), anchors_w


def _rows(vectors: Tensor) -> Tensor:
    """Returns vectors of each body and joint, [N, B, J, 3], as columns of joints, [N, 3 B, J]."""
    return vectors.mT.flatten(1, 2)


def _in_body(quat_w: Tensor, vectors_w: Tensor) -> Tensor:
    """Returns vectors of each body, [N, B, J, 3], in its axes."""
    conjugate = torch.cat((-quat_w[..., :3], quat_w[..., 3:]), dim=-1)[:, :, None]
    return quat_rotate(conjugate.expand(*vectors_w.shape[:3], 4), vectors_w)
