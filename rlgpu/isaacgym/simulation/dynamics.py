"""Jacobians and mass matrices of actors, from MuJoCo's joint axes."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.isaacgym.records.scene import Actor
from rlgpu.isaacgym.simulation.compose import body_names, prefix
from rlgpu.sim.mujoco.dynamics import Reader, joint_jacobian, joint_mass_matrix
from rlgpu.sim.mujoco.worlds import Worlds


def jacobian(worlds: Worlds, actor: Actor) -> Reader:
    """Returns a function that computes Jacobians of all bodies, shape [N, bodies, 6, columns].

    Args:
        worlds: The worlds; their poses must be current at each call.
        actor: The actor.
    """
    bodies, dofs = _ids(worlds, actor)
    of_joints, com = joint_jacobian(worlds, bodies, dofs), worlds.array("xipos")

    def read(rows: Rows = ALL_ROWS) -> Tensor:
        columns = of_joints(rows)
        if actor.asset.fixed:
            return columns
        own = torch.zeros(*columns.shape[:3], 6, device=columns.device)
        own[..., range(6), range(6)] = 1.0
        points = com[rows][:, bodies].float()
        lever = points - points[:, :1]
        for axis in range(3):
            unit = torch.zeros_like(lever)
            unit[..., axis] = 1.0
            own[..., :3, 3 + axis] = torch.linalg.cross(unit, lever)
        return torch.cat((own, columns), dim=-1)

    return read


def mass_matrix(worlds: Worlds, actor: Actor) -> Reader:
    """Returns a function that computes an actor's mass matrices, shape [N, columns, columns]."""
    bodies, dofs = _ids(worlds, actor)
    # A free root's columns are of its centre of mass, which MuJoCo's own matrix does not have.
    of_actor = None if actor.asset.fixed else jacobian(worlds, actor)
    return joint_mass_matrix(worlds, bodies, dofs, of_actor)


def _ids(worlds: Worlds, actor: Actor) -> tuple[list[int], list[int]]:
    """Returns an actor's bodies and degrees of freedom."""
    model, own = worlds.model, prefix(actor)
    bodies = [model.body(name).id for name in body_names(actor)]
    return bodies, [int(model.joint(own + name).dofadr[0]) for name in actor.asset.dofs]
