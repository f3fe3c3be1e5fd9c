"""The constants that MuJoCo derives from masses, on the device, for worlds that differ in them.

On a GPU a task may draw masses in every step, inside a captured rollout, so MuJoCo's own function,
which runs on the host, cannot be asked there.
"""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.sim.mujoco.dynamics import summed_inertia

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
        # Axes in which inertias are diagonal; they do not change with the centre of mass.
        inertial = constant(data.ximat).view(-1, 3, 3)
        self._own_turns = inertial.mT @ self._turns
        self._is_held = constant(model.body_weldid == 0).bool()
        self._only_slides = constant(model.body_simple == 2).bool()
        self._owner = torch.tensor(model.dof_bodyid, dtype=torch.int64, device=device)
        self._mean = constant(_mean_over_joints(model))  # [V, V]

    def of(self, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns ``body_invweight0``, [N, B, 2], and ``dof_invweight0``, [N, V], float64.

        Args:
            fields: Fields of the model, at least those below, each [1 or N, ...], float64.
        """
        mass, inertia = fields["body_mass"], fields["body_inertia"]
        ipos, armature = fields["body_ipos"], fields["dof_armature"]
        arm = (self._axes @ ipos[..., None]).mT  # [N, B, 1, 3]
        turned = torch.linalg.cross(self._turns.mT, arm)  # [N, B, V, 3]
        moves = self._moves + turned.mT  # [N, B, 3, V], of the centres of mass
        matrix = summed_inertia(mass, inertia, moves, self._own_turns)
        # Unlike inv, inv_ex does not make the host wait for what the GPU found.
        inverse = torch.linalg.inv_ex(matrix + torch.diag_embed(armature)).inverse
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
        }


def _seen_by(jacobians: Tensor, inverse: Tensor) -> Tensor:
    """Returns the mean of J M^-1 J^T's diagonal for every body, shape [N, B]."""
    return ((jacobians @ inverse[:, None]) * jacobians).sum(-1).mean(-1)


def _mean_over_joints(model: mujoco.MjModel) -> np.ndarray:
    """Returns the matrix that replaces the numbers of free and ball joints by their means."""
    mean = np.eye(model.nv)
    for joint in range(model.njnt):
        first = int(model.jnt_dofadr[joint])
        for size in _SPREAD.get(mujoco.mjtJoint(model.jnt_type[joint]), ()):
            mean[first : first + size, first : first + size] = 1.0 / size
            first += size
    return mean
