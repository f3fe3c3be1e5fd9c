"""Jacobians and mass matrices of actors, from MuJoCo's joint axes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rlgpu.isaacgym.engine.compose import body_names, prefix
from rlgpu.isaacgym.scene import Actor
from rlgpu.sim.mujoco.worlds import Worlds


def jacobian(worlds: Worlds, actor: Actor) -> Callable[[], Tensor]:
    """Returns a function that computes Jacobians of all bodies, shape [N, bodies, 6, columns].

    Args:
        worlds: The worlds; their poses must be current at each call.
        actor: The actor.
    """
    model, asset = worlds.model, actor.asset
    bodies = [model.body(name).id for name in body_names(actor)]
    dofs = [int(model.joint(prefix(actor) + name).dofadr[0]) for name in asset.dofs]
    owner = [int(model.dof_bodyid[dof]) for dof in dofs]
    moves = torch.tensor(
        [[_is_above(model.body_parentid, o, body) for o in owner] for body in bodies],
        device=worlds.device,
    ).reshape(len(bodies), 1, len(dofs))
    root = int(model.body_rootid[bodies[0]])
    cdof, com, tree = (worlds.array(name) for name in ("cdof", "xipos", "subtree_com"))

    def read() -> Tensor:
        points = com[:, bodies].float()  # [N, b, 3]
        axes = cdof[:, dofs].float()  # [N, d, 6]
        arm = (points - tree[:, root, None].float())[:, :, None]  # [N, b, 1, 3]
        turn = axes[:, None, :, :3].expand(-1, len(bodies), -1, -1)
        move = axes[:, None, :, 3:] + torch.linalg.cross(turn, arm.expand_as(turn))
        columns = torch.cat((move, turn), dim=-1).transpose(-1, -2) * moves  # [N, b, 6, d]
        if asset.fixed:
            return columns
        own = torch.zeros(*columns.shape[:3], 6, device=columns.device)
        own[..., range(6), range(6)] = 1.0
        lever = points - points[:, :1]
        for axis in range(3):
            unit = torch.zeros_like(lever)
            unit[..., axis] = 1.0
            own[..., :3, 3 + axis] = torch.linalg.cross(unit, lever)
        return torch.cat((own, columns), dim=-1)

    return read


def mass_matrix(worlds: Worlds, actor: Actor) -> Callable[[], Tensor]:
    """Returns a function that computes an actor's mass matrices, shape [N, columns, columns].

    They are sums over bodies of the Jacobian's products with mass and inertia, plus armature.
    """
    read_jacobian = jacobian(worlds, actor)
    model, asset = worlds.model, actor.asset
    bodies = [model.body(name).id for name in body_names(actor)]
    dofs = [int(model.joint(prefix(actor) + name).dofadr[0]) for name in asset.dofs]
    mass = torch.tensor(model.body_mass[bodies], device=worlds.device).float()
    moments = torch.tensor(model.body_inertia[bodies], device=worlds.device).float()
    armature = torch.tensor(model.dof_armature[dofs], device=worlds.device).float()
    frames = worlds.array("ximat")

    def read() -> Tensor:
        jac = read_jacobian()
        move, turn = jac[:, :, :3], jac[:, :, 3:]
        axes = frames[:, bodies].float().reshape(len(jac), len(bodies), 3, 3)
        local = axes.transpose(-1, -2) @ turn
        total = torch.einsum("b,nbik,nbil->nkl", mass, move, move)
        total += torch.einsum("bi,nbik,nbil->nkl", moments, local, local)
        start = total.shape[-1] - len(dofs)
        total[:, range(start, total.shape[-1]), range(start, total.shape[-1])] += armature
        return total

    return read


def _is_above(parents: object, ancestor: int, body: int) -> bool:
    """Returns whether a body is another or below it."""
    while body > 0:
        if body == ancestor:
            return True
        body = int(parents[body])  # type: ignore[index]
    return False
