"""Where an environment's actors are in MuJoCo's arrays."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.isaacgym.records.scene import Env
from rlgpu.isaacgym.simulation.compose import body_names, prefix, shape_names
from rlgpu.sim.mujoco.layout import Index, index_of


@dataclass(frozen=True)
class ActorLayout:
    """Indices into the arrays of one world. Bodies, DOFs and actors are in the API's order."""

    bodies: Index
    """MuJoCo's body of each body, B of them."""
    body_ids: tuple[int, ...]
    """The same, as numbers for the host."""
    dof_joints: np.ndarray
    """MuJoCo's joint of each degree of freedom, [D]."""
    body_roots: Index
    """MuJoCo's root of each body's tree, [B]."""
    dof_qpos: Index
    """Address of each degree of freedom in ``qpos``, D of them."""
    dof_qvel: Index
    """Address of each degree of freedom in ``qvel``."""
    dof_actor: Tensor
    """Actor of each degree of freedom, [D]."""
    free: tuple[int, ...]
    """Actors with a free root, F of them."""
    free_actors: Tensor
    """The same, [F]."""
    free_qpos: Tensor
    """Addresses of their free joints in ``qpos``, shape [F, 7]."""
    free_qvel: Tensor
    """Addresses of their free joints in ``qvel``, shape [F, 6]."""
    free_bodies: Tensor
    """MuJoCo's body of their roots, [F]."""
    held: Tensor
    """Actors whose fixed root can be moved, M of them."""
    held_mocap: Tensor
    """Their mocap ids, [M]."""
    attractor_mocap: tuple[int, ...]
    """Mocap ids of the attractors."""
    shapes: tuple[tuple[int, ...], ...]
    """MuJoCo's geoms of each actor's shapes."""


def actor_layout(model: mujoco.MjModel, env: Env, device: torch.device) -> ActorLayout:
    """Returns the layout of a composed model, its tensors on ``device``."""

    def tensor(values: list[int] | list[list[int]], *shape: int) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device).reshape(*shape)

    bodies, joints, dof_actor = [], [], []
    free, held, mocap, shapes = [], [], [], []
    for actor in env.actors:
        name, asset = prefix(actor), actor.asset
        own = [model.body(body).id for body in body_names(actor)]
        bodies += own
        joints += [model.joint(name + dof).id for dof in asset.dofs]
        dof_actor += [actor.handle] * len(asset.dofs)
        if not asset.fixed:
            free.append((actor.handle, own[0]))
        elif model.body_mocapid[own[0]] >= 0:
            held.append(actor.handle)
            mocap.append(int(model.body_mocapid[own[0]]))
        shapes.append(tuple(model.geom(shape).id for shape in shape_names(actor)))
    starts = [model.joint(int(model.body_jntadr[body])) for _, body in free]
    attractors = [model.body(f"attractor_{i}").mocapid[0] for i in range(len(env.attractors))]
    return ActorLayout(
        bodies=index_of(bodies, device),
        body_ids=tuple(bodies),
        dof_joints=np.array(joints, dtype=int),
        body_roots=index_of([int(model.body_rootid[body]) for body in bodies], device),
        dof_qpos=index_of([int(model.jnt_qposadr[j]) for j in joints], device),
        dof_qvel=index_of([int(model.jnt_dofadr[j]) for j in joints], device),
        dof_actor=tensor(dof_actor, -1),
        free=tuple(actor for actor, _ in free),
        free_actors=tensor([actor for actor, _ in free], -1),
        free_qpos=tensor([list(range(j.qposadr[0], j.qposadr[0] + 7)) for j in starts], -1, 7),
        free_qvel=tensor([list(range(j.dofadr[0], j.dofadr[0] + 6)) for j in starts], -1, 6),
        free_bodies=tensor([body for _, body in free], -1),
        held=tensor(held, -1),
        held_mocap=tensor(mocap, -1),
        attractor_mocap=tuple(int(i) for i in attractors),
        shapes=tuple(shapes),
    )
