"""Jacobians and mass matrices of actors, from MuJoCo's joint axes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from operator import is_not
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.isaacgym.records.scene import Actor
from rlgpu.isaacgym.simulation.build import Group
from rlgpu.isaacgym.simulation.compose import body_names, prefix
from rlgpu.isaacgym.simulation.drives import actuators_of, are_carried
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


def mass_matrix(group: Group, actor: Actor, fields: Collection[str]) -> Reader:
    """Returns a function that computes an actor's mass matrices, shape [N, columns, columns].

    Args:
        group: The environments that hold it.
        actor: The actor, of the group's stage.
        fields: Model fields that differ between the environments.
    """
    worlds = group.worlds
    bodies, dofs = _ids(worlds, actor)
    if not (actor.asset.fixed and worlds.has_mass_matrix):
        # A free root's columns are of its centre of mass, which MuJoCo's own matrix does not have.
        of_actor = None if actor.asset.fixed else jacobian(worlds, actor)
        armature = _armature(group, actor, fields)
        return joint_mass_matrix(
            worlds, bodies, dofs, of_actor, fields=fields, read_armature=armature
        )
    read = joint_mass_matrix(worlds, bodies, dofs)
    model = worlds.model
    motors, _ = actuators_of(model, model.dof_jntid[dofs])
    if not are_carried(model, motors).any():
        return read
    of_motors = torch.from_numpy(model.actuator_armature[motors]).float().to(worlds.device)
    varies = "actuator_armature" in fields

    def without_drives(rows: Rows = ALL_ROWS) -> Tensor:
        matrix, added = read(rows), of_motors
        if varies:
            added = worlds.field("actuator_armature")[rows][:, motors].float()
        matrix.diagonal(dim1=-2, dim2=-1).sub_(added)
        return matrix

    return without_drives


def _armature(group: Group, actor: Actor, fields: Collection[str]) -> Reader:
    """Returns a function that reads the armature that a script gave an actor's joints.

    The model's own may hold a part of the drives too.
    """
    device = group.worlds.device

    def rows_of(tables: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack([t["armature"] for t in tables])).float().to(device)

    shared = rows_of([own.dof_properties for own in group.actors_at(actor.handle)[:1]])
    if "dof_armature" not in fields:
        return lambda rows=ALL_ROWS: shared
    last: list[np.ndarray] = []
    own = shared

    def read(rows: Rows = ALL_ROWS) -> Tensor:
        nonlocal last, own
        # A change replaces an actor's table, so that most calls only compare identities.
        tables = [own.dof_properties for own in group.actors_at(actor.handle)]
        if len(last) != len(tables) or any(map(is_not, tables, last)):
            last, own = tables, rows_of(tables)
        return own[rows]

    return read


class _Share(NamedTuple):
    """Actors of a name in one group: they are the same actor of each of its worlds."""

    read: Reader
    worlds: list[int]
    rows: Tensor
    """Their rows of the tensor that scripts hold."""


def actor_reading(
    groups: Sequence[Group], name: str, quantity: str, fields: Collection[str]
) -> tuple[Tensor, Callable[[], None]]:
    """Returns Jacobians or mass matrices of all actors of a name, and their update.

    Jacobians have shape [M, bodies, 6, dofs] for M environments with such an actor. Rows are the
    velocity of the centre of mass and the angular velocity. A fixed base drops the root's rows; a
    free one has six columns first, for its own velocity. Mass matrices have shape [M, dofs, dofs].

    Args:
        groups: All environments.
        name: The actors' name.
        quantity: ``jacobian`` or ``mass_matrix``.
        fields: Model fields that differ between environments.

    Raises:
        ValueError: No environment has such an actor, or they are different articulations.
    """
    found = [(group, i, env) for group in groups for i, env in enumerate(group.envs)]
    found.sort(key=lambda place: place[2].index)
    places: dict[tuple[int, int], tuple[Group, Actor, list[int], list[int]]] = {}
    count = 0
    for group, world, env in found:
        if (actor := next((a for a in env.actors if a.name == name), None)) is not None:
            slot = group.slot_of(world, actor)
            key, staged = (id(group), slot), group.stage.actors[slot]
            _, _, worlds, rows = places.setdefault(key, (group, staged, [], []))
            worlds.append(world)
            rows.append(count)
            count += 1
    if not places:
        names = ", ".join(dict.fromkeys(a.name for _, _, env in found for a in env.actors))
        raise ValueError(f"there is no actor {name!r} in an environment; there are {names}")
    shares = []
    for group, actor, worlds, rows in places.values():
        at = torch.tensor(rows, device=group.worlds.device)
        if quantity == "jacobian":
            read = jacobian(group.worlds, actor)
        else:
            read = mass_matrix(group, actor, fields)
        shares.append(_Share(read, worlds, at))
    values = [share.read() for share in shares]
    if len({value.shape[1:] for value in values}) > 1:
        raise ValueError(
            f"the actors {name!r} are different articulations in different environments; give "
            "those of another kind another name"
        )
    first = int(quantity == "jacobian" and next(iter(places.values()))[1].asset.fixed)
    tensor = torch.zeros(count, *values[0][:, first:].shape[1:], device=values[0].device)

    def update() -> None:
        for share in shares:
            own = share.read()[:, first:]
            if len(share.worlds) == len(own) == len(tensor):
                tensor.copy_(own)
            else:
                tensor[share.rows] = own[share.worlds]

    return tensor, update


def _ids(worlds: Worlds, actor: Actor) -> tuple[list[int], list[int]]:
    """Returns an actor's bodies and degrees of freedom."""
    model, own = worlds.model, prefix(actor)
    bodies = [model.body(name).id for name in body_names(actor)]
    return bodies, [int(model.joint(own + name).dofadr[0]) for name in actor.asset.dofs]
