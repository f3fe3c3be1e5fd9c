"""Jacobians and mass matrices by joints, from MuJoCo's joint axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rlgpu.sim.mujoco.worlds import Worlds


def joint_jacobian(
    worlds: Worlds, bodies: Sequence[int], dofs: Sequence[int], *, at: str = "xipos"
) -> Callable[[], Tensor]:
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
    body_ids, dof_ids = list(bodies), list(dofs)

    def read() -> Tensor:
        axes = cdof[:, dof_ids].float()  # [N, D, 6]: turn, move
        arm = (points[:, body_ids] - tree[:, root, None]).float()[:, :, None]  # [N, B, 1, 3]
        turn = axes[:, None, :, :3].expand(-1, len(body_ids), -1, -1)
        move = axes[:, None, :, 3:] + torch.linalg.cross(turn, arm.expand_as(turn))
        return torch.cat((move, turn), dim=-1).transpose(-1, -2) * moves

    return read


def joint_mass_matrix(
    worlds: Worlds,
    bodies: Sequence[int],
    dofs: Sequence[int],
    read_jacobian: Callable[[], Tensor] | None = None,
) -> Callable[[], Tensor]:
    """Returns a function that computes mass matrices, shape [N, D, D].

    They are sums over bodies of the Jacobian's products with mass and inertia, plus armature.

    Args:
        worlds: The worlds; their poses must be current at each call.
        bodies: Ids of the bodies that the joints move.
        dofs: The joints' degrees of freedom.
        read_jacobian: Computes Jacobians of the centres of mass; its last columns are the joints'.
    """
    model = worlds.model
    read_jacobian = read_jacobian or joint_jacobian(worlds, bodies, dofs)
    mass = torch.tensor(model.body_mass[list(bodies)], device=worlds.device).float()
    moments = torch.tensor(model.body_inertia[list(bodies)], device=worlds.device).float()
    armature = torch.tensor(model.dof_armature[list(dofs)], device=worlds.device).float()
    frames = worlds.array("ximat")

    def read() -> Tensor:
        jac = read_jacobian()
        move, turn = jac[:, :, :3], jac[:, :, 3:]
        axes = frames[:, list(bodies)].float().reshape(len(jac), len(bodies), 3, 3)
        local = axes.transpose(-1, -2) @ turn
        total = torch.einsum("b,nbik,nbil->nkl", mass, move, move)
        total += torch.einsum("bi,nbik,nbil->nkl", moments, local, local)
        joints = range(total.shape[-1] - len(dofs), total.shape[-1])
        total[:, joints, joints] += armature
        return total

    return read


def is_above(parents: object, ancestor: int, body: int) -> bool:
    """Returns whether a body is another or below it."""
    while body > 0:
        if body == ancestor:
            return True
        body = int(parents[body])  # type: ignore[index]
    return False
