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

from rlgpu.rotations import matrix_of, quat_multiply, quat_rotate
from rlgpu.sim.mujoco.dynamics import is_above
from rlgpu.sim.mujoco.layout import index_of, scalar_joints
from rlgpu.sim.physx import mjcf
from rlgpu.sim.simulator import SimState


class Dynamics:
    """Computes ``jacobian_w`` and ``mass_matrix`` of a state.

    The mass matrix is found by composite bodies: what a joint's motion gives all that it moves, as
    momentum about one point, times the motions of the joints above it. Source: Featherstone, Rigid
    Body Dynamics Algorithms, chapter 6.
    """

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

        joints = scalar_joints(model)
        owners = [int(model.jnt_bodyid[j]) for j in joints]
        root, parents = model.body_rootid[body], model.body_parentid
        bodies = [b for b in range(1, model.nbody) if model.body_rootid[b] == root]
        self._bodies = index_of([b - 1 for b in bodies], device)
        self._owners = index_of([owner - 1 for owner in owners], device)
        self._root, self._body = int(root) - 1, body - 1
        self._moves_body = constant([is_above(parents, owner, body) for owner in owners])[:, None]
        # Whether a joint moves a body of the tree, [B, J], and whether it moves another joint.
        self._moves = constant([[is_above(parents, o, b) for o in owners] for b in bodies])
        self._above = constant([[is_above(parents, i, j) for j in owners] for i in owners]).bool()
        self._related = constant([[model.body_rootid[o] == root] for o in owners])
        self._related = self._related * (self._above | self._above.T)
        hinge = mujoco.mjtJoint.mjJNT_HINGE
        self._turns = constant([model.jnt_type[j] == hinge for j in joints])[:, None]
        self._axes, self._anchors = (
            constant(model.jnt_axis[joints]),
            constant(model.jnt_pos[joints]),
        )
        self._mass = constant(model.body_mass[bodies]).clamp(min=1e-9)
        self._inertia = constant([mjcf.inertia_of(model, b) for b in bodies])
        self._later = [
            (i, k)
            for i in range(len(joints))
            for k in range(len(joints) - 1, i, -1)
            if owners[k] == owners[i]
        ]
        """Joints with a later one of the same body, the last first."""

    def write(self, state: SimState) -> None:
        """Writes both, from ``state``'s bodies and joints."""
        axes_w, anchors_w = self._joints_in_world(state)
        turn = axes_w * self._turns  # [N, J, 3]
        slide = axes_w - turn
        arm_w = state.body_pos_w[:, self._body, None] - anchors_w
        move = slide + torch.linalg.cross(turn, arm_w)
        column = torch.cat((move, turn), dim=-1) * self._moves_body
        state.jacobian_w.copy_(column.mT)
        # Motions of what is at the root's origin, about which momenta are taken.
        origin_w = state.body_pos_w[:, self._root, None]
        move = slide + torch.linalg.cross(turn, origin_w - anchors_w)
        mass, first, second = self._composite(state, origin_w)
        momentum = mass * move + torch.linalg.cross(turn, first)
        angular = (second @ turn[..., None])[..., 0] + torch.linalg.cross(first, move)
        products = move @ momentum.mT + turn @ angular.mT
        total = torch.where(self._above, products, products.mT) * self._related
        state.mass_matrix.copy_(total + torch.diag_embed(self._parameters["joint_armature"]))

    def _composite(self, state: SimState, origin_w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns mass, mass times centre and inertia of what each joint moves, about a point.

        Shapes [N, J, 1], [N, J, 3] and [N, J, 3, 3].
        """
        parameters, ids = self._parameters, self._bodies
        quat_w, mass = state.body_quat_w[:, ids], parameters["body_mass"][:, ids, None]
        axes = matrix_of(quat_w)
        com_w = (axes @ parameters["body_com"][:, ids, :, None])[..., 0]
        com_w = com_w + state.body_pos_w[:, ids] - origin_w
        # Inertias grow with masses.
        inertia = axes @ self._inertia @ axes.mT * (mass / self._mass[:, None])[..., None]
        first = mass * com_w
        outer = first[..., None] * com_w[..., None, :]
        trace = outer.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        second = inertia + trace * torch.eye(3, device=mass.device) - outer
        parts = torch.cat((mass, first, second.flatten(-2)), dim=-1)  # [N, B, 13]
        found = (parts.mT @ self._moves).mT
        return found[..., :1], found[..., 1:4], found[..., 4:].unflatten(-1, (3, 3))

    def _joints_in_world(self, state: SimState) -> tuple[Tensor, Tensor]:
        """Returns axes and anchors of the joints, shape [N, J, 3].

        A body's own frame has turned by all its joints; an axis turns only with those before it.
        """
        quat_w = state.body_quat_w[:, self._owners]
        anchors_w = state.body_pos_w[:, self._owners] + quat_rotate(
            quat_w, self._anchors.expand(*quat_w.shape[:2], 3)
        )
        if self._later:
            quat_w = quat_w.clone()
        for joint, other in self._later:
            half = -0.5 * state.joint_pos[:, other, None] * self._turns[other]
            back = torch.cat((self._axes[other] * half.sin(), half.cos()), dim=-1)
            quat_w[:, joint] = quat_multiply(quat_w[:, joint], back)
        return quat_rotate(quat_w, self._axes.expand(*quat_w.shape[:2], 3)), anchors_w
