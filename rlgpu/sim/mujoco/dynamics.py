"""Jacobians and mass matrices by joints, from MuJoCo's joint axes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import torch
from torch import Tensor

from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.rotations import matrix_of, xyzw_of
from rlgpu.sim.mujoco.layout import index_of
from rlgpu.sim.mujoco.worlds import Worlds


class Reader(Protocol):
    """Computes a quantity of some worlds from their poses."""

    def __call__(self, rows: Rows = ALL_ROWS) -> Tensor:
        """Returns it, a row for each of these worlds."""


def joint_jacobian(
    worlds: Worlds, bodies: Sequence[int], dofs: Sequence[int], *, at: str = "xipos"
) -> Reader:
    """Returns a function that computes bodies' Jacobians, shape [N, B, 6, D], linear part first.

    Args:
        worlds: The worlds; their poses must be current at each call.
        bodies: Ids of the bodies, of one tree.
        dofs: Degrees of freedom of its joints.
        at: ``xipos``: of the centres of mass; ``xpos``: of the bodies' origins.
    """
    model = worlds.model
    owner = [int(model.dof_bodyid[dof]) for dof in dofs]
    moves = torch.tensor(
        [[is_above(model.body_parentid, o, body) for o in owner] for body in bodies],
        device=worlds.device,
    ).reshape(len(bodies), 1, len(dofs))
    root = int(model.body_rootid[bodies[0]])
    cdof, points, tree = (worlds.array(name) for name in ("cdof", at, "subtree_com"))
    body_ids, dof_ids = (index_of(list(ids), worlds.device) for ids in (bodies, dofs))

    def read(rows: Rows = ALL_ROWS) -> Tensor:
        axes = cdof[rows][:, dof_ids].float()  # [N, D, 6]: turn, move
        arm = (points[rows][:, body_ids] - tree[rows, root, None]).float()[:, :, None]
        turn = axes[:, None, :, :3].expand(-1, len(bodies), -1, -1)
        move = axes[:, None, :, 3:] + torch.linalg.cross(turn, arm.expand_as(turn))
        return torch.cat((move, turn), dim=-1).transpose(-1, -2) * moves

    return read


def joint_mass_matrix(
    worlds: Worlds,
    bodies: Sequence[int],
    dofs: Sequence[int],
    read_jacobian: Reader | None = None,
    *,
    fields: Collection[str] = (),
    read_armature: Reader | None = None,
) -> Reader:
    """Returns a function that computes mass matrices, shape [N, D, D].

    Where the worlds do not have them, they are sums over bodies of the Jacobian's products with
    mass and inertia, plus armature.

    Args:
        worlds: The worlds; their poses must be current at each call.
        bodies: Ids of the bodies that the joints move.
        dofs: The joints' degrees of freedom.
        read_jacobian: Computes Jacobians of the centres of mass; its last columns are the joints'.
        fields: Model fields that differ between the worlds.
        read_armature: Computes the armature of the sums, shape [N or 1, D]; the model's if None.
    """
    if read_jacobian is None and worlds.has_mass_matrix:
        return _gathered_mass_matrix(worlds, dofs)
    read_jacobian = read_jacobian or joint_jacobian(worlds, bodies, dofs)
    read_armature = read_armature or _field_reader(worlds, "dof_armature", dofs, fields)
    read_mass = _field_reader(worlds, "body_mass", bodies, fields)
    read_moments = _field_reader(worlds, "body_inertia", bodies, fields)
    read_axes = _axes_reader(worlds, bodies, fields)
    body_ids, frames = index_of(list(bodies), worlds.device), worlds.array("xmat")

    def read(rows: Rows = ALL_ROWS) -> Tensor:
        jac = read_jacobian(rows)
        move, turn = jac[:, :, :3], jac[:, :, 3:]
        frame = frames[rows][:, body_ids].float().reshape(len(jac), len(bodies), 3, 3)
        # From inertial axes to the bodies' axes to the world's.
        axes = frame @ read_axes(rows)
        local = axes.transpose(-1, -2) @ turn
        total = summed_inertia(read_mass(rows), read_moments(rows), move, local)
        first = total.shape[-1] - len(dofs)
        total.diagonal(dim1=-2, dim2=-1)[:, first:].add_(read_armature(rows))
        return total

    return read


def _field_reader(worlds: Worlds, name: str, ids: Sequence[int], fields: Collection[str]) -> Reader:
    """Returns a function that reads entries of a model field, shape [N or 1, len(ids), ...]."""
    chosen = index_of(list(ids), worlds.device)
    if name in fields:
        own = worlds.field(name)
        return lambda rows=ALL_ROWS: own[rows][:, chosen].float()
    shared = torch.tensor(getattr(worlds.model, name)[list(ids)], device=worlds.device)[None]
    shared = shared.float()
    return lambda rows=ALL_ROWS: shared


def _axes_reader(worlds: Worlds, bodies: Sequence[int], fields: Collection[str]) -> Reader:
    """Returns a function that reads inertial axes in the bodies' axes, shape [N or 1, B, 3, 3]."""
    if "body_iquat" in fields:
        read_quat = _field_reader(worlds, "body_iquat", bodies, fields)
        return lambda rows=ALL_ROWS: matrix_of(xyzw_of(read_quat(rows)))
    quat = torch.tensor(worlds.model.body_iquat[list(bodies)], device=worlds.device)
    shared = matrix_of(xyzw_of(quat))[None].float()
    return lambda rows=ALL_ROWS: shared


def summed_inertia(mass: Tensor, inertia: Tensor, moves: Tensor, turns: Tensor) -> Tensor:
    """Returns the mass matrices of bodies, shape [N or 1, D, D], without armature.

    Args:
        mass: Shape [N or 1, B].
        inertia: Principal moments, shape [N or 1, B, 3].
        moves: Jacobians of the centres of mass, shape [N or 1, B, 3, D].
        turns: Jacobians of the rotations, about the bodies' principal axes, likewise.
    """

    def summed(weighted: Tensor, jacobians: Tensor) -> Tensor:
        return weighted.flatten(1, 2).mT @ jacobians.flatten(1, 2)

    return summed(mass[..., None, None] * moves, moves) + summed(inertia[..., None] * turns, turns)


def _gathered_mass_matrix(worlds: Worlds, dofs: Sequence[int]) -> Reader:
    """Returns a function that reads mass matrices from MuJoCo's sparse ones, shape [N, D, D]."""
    model, own = worlds.model, worlds.array("M")
    place = {
        (row, int(model.M_colind[entry])): entry
        for row in range(model.nv)
        for entry in range(model.M_rowadr[row], model.M_rowadr[row] + model.M_rownnz[row])
    }
    # Lower triangles are stored; joints that do not act on each other have no entry.
    entries = [[place.get((max(i, j), min(i, j)), -1) for j in dofs] for i in dofs]
    index = torch.tensor(entries, device=worlds.device)
    is_there, flat = index >= 0, index.clamp(min=0).flatten()

    def read(rows: Rows = ALL_ROWS) -> Tensor:
        return own[rows][:, flat].float().view(-1, *index.shape) * is_there

    return read


def is_above(parents: object, ancestor: int, body: int) -> bool:
    """Returns whether a body is another or below it."""
    while body > 0:
        if body == ancestor:
            return True
        body = int(parents[body])  # type: ignore[index]
    return False
