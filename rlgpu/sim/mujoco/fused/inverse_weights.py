"""The constants that MuJoCo derives from masses, on the device, for worlds that differ in them.

On a GPU a task draws masses at resets inside a captured rollout, so MuJoCo's own function, which
runs on the host, cannot be asked there.
"""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.rotations import matrix_of, xyzw_of
from rlgpu.sim.mujoco.dynamics import summed_inertia

DERIVED_FROM = frozenset({"body_mass", "body_inertia", "body_ipos", "body_iquat", "dof_armature"})
"""Fields from which these constants are derived, besides the pose."""
_MOST_ROWS = 2048
"""Worlds whose constants are computed at once, which bounds memory."""
_SPREAD = {mujoco.mjtJoint.mjJNT_FREE: (3, 3), mujoco.mjtJoint.mjJNT_BALL: (3,)}
"""Degrees of freedom that share their mean, by the joint's type."""


class InverseWeights:
    """Inverse inertias that bodies and degrees of freedom show in the model's own pose.

    Source: ``mj_setConst``, mujoco/src/engine/engine_setconst.c.
    """

    def __init__(self, model: mujoco.MjModel, device: torch.device) -> None:
        """Reads the pose's geometry, which no mass changes."""
        data = mujoco.MjData(model)
        data.qpos[:] = model.qpos0
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        moves, turns = np.zeros((2, model.nbody, 3, model.nv))
        for body in range(model.nbody):
            mujoco.mj_jacBody(model, data, moves[body], turns[body], body)

        def constant(values: object) -> Tensor:
            return torch.tensor(np.asarray(values), dtype=torch.float64, device=device)

        # Of the bodies' origins, [1, B, 3, V].
        self._moves, self._turns = constant(moves)[None], constant(turns)[None]
        self._axes = constant(data.xmat).view(-1, 3, 3)
        self._is_held = constant(model.body_weldid == 0).bool()
        self._only_slides = constant(model.body_simple == 2).bool()
        self._owner = torch.tensor(model.dof_bodyid, dtype=torch.int64, device=device)
        self._mean = constant(_mean_over_joints(model))  # [V, V]
        self._is_below = constant(_subtrees(model))  # [B, B]
        self._tendons = constant(_tendon_jacobian(model, data))  # [T, V]
        armature = (self._tendons.mT * constant(model.tendon_armature)) @ self._tendons
        # MuJoCo drops what couples joints of different branches.
        self._tendon_armature = armature * constant(_in_mass_matrix(model))  # [V, V]

    def of(self, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the constants by MuJoCo's names, float64.

        ``body_invweight0`` [N, B, 2], ``dof_invweight0`` [N, V], ``tendon_invweight0`` [N, T] and
        ``body_subtreemass`` [N, B].

        Args:
            fields: Fields of the model, at least ``DERIVED_FROM``, each [1 or N, ...], float64.
        """
        given = {name: fields[name] for name in DERIVED_FROM}
        rows = max(len(values) for values in given.values())
        parts = [
            self._of({n: x if len(x) == 1 else x[i : i + _MOST_ROWS] for n, x in given.items()})
            for i in range(0, rows, _MOST_ROWS)
        ]
        if len(parts) == 1:
            return parts[0]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _of(self, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
        mass, inertia = fields["body_mass"], fields["body_inertia"]
        ipos, armature = fields["body_ipos"], fields["dof_armature"]
        arm = (self._axes @ ipos[..., None]).mT  # [N, B, 1, 3]
        turned = torch.linalg.cross(self._turns.mT, arm)  # [N, B, V, 3]
        moves = self._moves + turned.mT  # [N, B, 3, V], of the centres of mass
        # Axes in which inertias are diagonal.
        inertial = self._axes @ matrix_of(xyzw_of(fields["body_iquat"]))
        matrix = summed_inertia(mass, inertia, moves, inertial.mT @ self._turns)
        matrix = matrix + self._tendon_armature + torch.diag_embed(armature)
        inverse = _inverse(matrix)
        weights = torch.stack(
            [_seen_by(jacobians, inverse) for jacobians in (moves, self._turns)], dim=-1
        )
        # Of single bodies on slides, MuJoCo takes the mass for all of it.
        weights[..., 0] = torch.where(self._only_slides, 1.0 / mass, weights[..., 0])
        dofs = inverse.diagonal(dim1=-2, dim2=-1) @ self._mean
        slides = self._only_slides[self._owner]
        return {
            "body_invweight0": weights.masked_fill(self._is_held[:, None], 0.0),
            "dof_invweight0": torch.where(slides, 1.0 / mass[:, self._owner], dofs),
            "tendon_invweight0": ((self._tendons @ inverse) * self._tendons).sum(-1),
            "body_subtreemass": mass @ self._is_below.mT,
        }


@torch.library.custom_op("rlgpu::positive_inverse", mutates_args=())
def _inverse(matrices: Tensor) -> Tensor:
    """Returns the inverses of symmetric positive definite matrices, shape [N, V, V].

    By Gauss-Jordan elimination without pivots, which such matrices do not need. It is elementwise,
    so that any CUDA graph can hold it, and an op, so that torch.compile does not unroll it.
    """
    found = matrices.clone()
    for i in range(matrices.shape[-1]):
        row, column = found[:, i, None].clone(), found[:, :, i, None].clone()
        pivot = row[:, :, i, None].clone()  # [N, 1, 1]
        # With these two entries, one update of rank 1 also leaves row and column i as they must be.
        row[:, :, i] += 1.0
        column[:, i] -= 1.0
        found -= column * (row / pivot)
    return found


@_inverse.register_fake
def _(matrices: Tensor) -> Tensor:
    return torch.empty_like(matrices)


def _seen_by(jacobians: Tensor, inverse: Tensor) -> Tensor:
    """Returns the mean of J M^-1 J^T's diagonal for every body, shape [N, B]."""
    products = (jacobians.flatten(1, 2) @ inverse).unflatten(1, jacobians.shape[1:3])
    return (products * jacobians).sum(-1).mean(-1)


def _subtrees(model: mujoco.MjModel) -> np.ndarray:
    """Returns whether a body, a column, is another, a row, or below it, shape [B, B]."""
    below = np.eye(model.nbody)
    for body in range(model.nbody - 1, 0, -1):
        below[model.body_parentid[body]] += below[body]
    return below


def _in_mass_matrix(model: mujoco.MjModel) -> np.ndarray:
    """Returns whether MuJoCo's mass matrix has an entry for two degrees of freedom, [V, V]."""
    has_entry = np.zeros((model.nv, model.nv))
    for dof in range(model.nv):
        first = int(model.M_rowadr[dof])
        columns = model.M_colind[first : first + int(model.M_rownnz[dof])]
        has_entry[dof, columns] = has_entry[columns, dof] = 1.0
    return has_entry


def _tendon_jacobian(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """Returns how tendons lengthen with each degree of freedom in the data's pose, [T, V]."""
    dense = np.zeros((model.ntendon, model.nv))
    if model.ntendon:
        mujoco.mj_tendon(model, data)
        for tendon in range(model.ntendon):
            first = int(model.ten_J_rowadr[tendon])
            entries = slice(first, first + int(model.ten_J_rownnz[tendon]))
            dense[tendon, model.ten_J_colind[entries]] = data.ten_J.ravel()[entries]
    return dense


def _mean_over_joints(model: mujoco.MjModel) -> np.ndarray:
    """Returns the matrix that replaces the numbers of free and ball joints by their means."""
    mean = np.eye(model.nv)
    for joint in range(model.njnt):
        first = int(model.jnt_dofadr[joint])
        for size in _SPREAD.get(mujoco.mjtJoint(model.jnt_type[joint]), ()):
            mean[first : first + size, first : first + size] = 1.0 / size
            first += size
    return mean
