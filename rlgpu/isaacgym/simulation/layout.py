"""Where actors are in MuJoCo's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.isaacgym.records.scene import Actor, Env, Sim
from rlgpu.isaacgym.simulation.compose import body_names, felt_bodies, prefix, shape_names
from rlgpu.isaacgym.simulation.drives import actuators_of
from rlgpu.sim.mujoco.layout import Index, index_of


class Sizes(NamedTuple):
    """Lengths of the arrays of one world, or offsets into arrays of several."""

    qpos: int = 0
    qvel: int = 0
    bodies: int = 0
    actuators: int = 0
    mocaps: int = 0
    sensors: int = 0
    actors: int = 0
    api_bodies: int = 0


class Places(NamedTuple):
    """Indices into the arrays of one row, int64. Bodies, DOFs and actors are in the API's order."""

    actors: tuple[Actor, ...]
    first_bodies: np.ndarray
    """First of the API's bodies of each actor, [A]."""
    bodies: np.ndarray
    """MuJoCo's body of each body, [B]."""
    body_roots: np.ndarray
    """MuJoCo's root of each body's tree, [B]."""
    dof_qpos: np.ndarray
    """Address of each degree of freedom in ``qpos``, [D]."""
    dof_qvel: np.ndarray
    """Address of each degree of freedom in ``qvel``, [D]."""
    dof_actor: np.ndarray
    """Actor of each degree of freedom, [D]."""
    motors: np.ndarray
    """Actuator of each degree of freedom, [D]."""
    holds: np.ndarray
    """Second actuator of each degree of freedom, -1 without one, [D]; see ``drives``."""
    free: np.ndarray
    """Actors with a free root, [F]."""
    free_qpos: np.ndarray
    """Addresses of their free joints in ``qpos``, shape [F, 7]."""
    free_qvel: np.ndarray
    """Addresses of their free joints in ``qvel``, shape [F, 6]."""
    free_bodies: np.ndarray
    """MuJoCo's body of their roots, [F]."""
    held: np.ndarray
    """Actors whose fixed root can be moved, [M]."""
    held_mocap: np.ndarray
    """Their mocap ids, [M]."""
    felt: np.ndarray
    """Bodies whose contacts are summed, [K]."""
    felt_sensors: np.ndarray
    """Their contact sensors, [K]."""

    def shifted(self, by: Sizes) -> Places:
        """Returns the same places behind ``by`` entries of other worlds."""
        return Places(
            self.actors,
            self.first_bodies + by.api_bodies,
            self.bodies + by.bodies,
            self.body_roots + by.bodies,
            self.dof_qpos + by.qpos,
            self.dof_qvel + by.qvel,
            self.dof_actor + by.actors,
            self.motors + by.actuators,
            np.where(self.holds < 0, -1, self.holds + by.actuators),
            self.free + by.actors,
            self.free_qpos + by.qpos,
            self.free_qvel + by.qvel,
            self.free_bodies + by.bodies,
            self.held + by.actors,
            self.held_mocap + by.mocaps,
            self.felt + by.api_bodies,
            self.felt_sensors + by.sensors,
        )


def joined(places: Sequence[Places]) -> Places:
    """Returns the places of several rows as those of one; each is shifted already."""
    columns = list(zip(*places, strict=True))
    actors = tuple(actor for part in columns[0] for actor in part)
    return Places(actors, *(np.concatenate(column) for column in columns[1:]))


@dataclass(frozen=True)
class ModelLayout:
    """Where the parts of one environment are in its model."""

    places: Places
    sizes: Sizes
    joints: np.ndarray
    """MuJoCo's joint of each degree of freedom, [D]."""
    attractor_mocap: tuple[int, ...]
    """Mocap ids of the attractors."""
    shapes: tuple[tuple[int, ...], ...]
    """MuJoCo's geoms of each actor's shapes."""


def model_layout(model: mujoco.MjModel, sim: Sim, env: Env) -> ModelLayout:
    """Returns the layout of a composed model."""
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
    felt = [a.first_body + body for a, body in felt_bodies(sim, env)]
    ids = _ids(joints)
    motors, holds = actuators_of(model, ids)
    places = Places(
        actors=tuple(env.actors),
        first_bodies=_ids([actor.first_body for actor in env.actors]),
        bodies=_ids(bodies),
        body_roots=model.body_rootid[_ids(bodies)].astype(np.int64),
        dof_qpos=model.jnt_qposadr[ids].astype(np.int64),
        dof_qvel=model.jnt_dofadr[ids].astype(np.int64),
        dof_actor=_ids(dof_actor),
        motors=motors,
        holds=holds,
        free=_ids([actor for actor, _ in free]),
        free_qpos=_ids([range(j.qposadr[0], j.qposadr[0] + 7) for j in starts]).reshape(-1, 7),
        free_qvel=_ids([range(j.dofadr[0], j.dofadr[0] + 6) for j in starts]).reshape(-1, 6),
        free_bodies=_ids([body for _, body in free]),
        held=_ids(held),
        held_mocap=_ids(mocap),
        felt=_ids(felt),
        felt_sensors=_ids(range(len(felt))),
    )
    sizes = Sizes(
        model.nq,
        model.nv,
        model.nbody,
        model.nu,
        model.nmocap,
        len(felt),
        len(env.actors),
        len(bodies),
    )
    return ModelLayout(places, sizes, ids, tuple(map(int, attractors)), tuple(shapes))


def layouts_of(
    whole: ModelLayout, envs: Sequence[Env], seats: Sequence[tuple[int, ...]]
) -> tuple[ModelLayout, ...]:
    """Returns the layouts of environments that have some of the actors of a model.

    Args:
        whole: The layout of all actors.
        envs: The environments.
        seats: Which of the model's actors each environment's are.
    """
    found: dict[tuple[int, ...], ModelLayout] = {}
    for env, chosen in zip(envs, seats, strict=True):
        if chosen not in found:
            shapes = tuple(whole.shapes[slot] for slot in chosen)
            joints = whole.joints[_rows_of(whole.places.dof_actor, _ids(chosen))]
            places = _chosen(whole, env, chosen)
            found[chosen] = replace(whole, places=places, joints=joints, shapes=shapes)
    return tuple(found[chosen] for chosen in seats)


def _chosen(whole: ModelLayout, env: Env, seats: Sequence[int]) -> Places:
    """Returns the places of an environment's actors among those of all actors of its model."""
    places, slots = whole.places, _ids(seats)
    sizes = [len(actor.asset.bodies) for actor in env.actors]
    bodies = np.concatenate(
        [
            np.zeros(0, np.int64),
            *(
                first + np.arange(n)
                for first, n in zip(places.first_bodies[slots], sizes, strict=True)
            ),
        ]
    )
    dofs = _rows_of(places.dof_actor, slots)
    free, held = _rows_of(places.free, slots), _rows_of(places.held, slots)
    felt = _rows_of(places.felt, bodies)
    return Places(
        actors=tuple(env.actors),
        first_bodies=_ids([actor.first_body for actor in env.actors]),
        bodies=places.bodies[bodies],
        body_roots=places.body_roots[bodies],
        dof_qpos=places.dof_qpos[dofs],
        dof_qvel=places.dof_qvel[dofs],
        dof_actor=_ranks(places.dof_actor[dofs], slots),
        motors=places.motors[dofs],
        holds=places.holds[dofs],
        free=_ranks(places.free[free], slots),
        free_qpos=places.free_qpos[free],
        free_qvel=places.free_qvel[free],
        free_bodies=places.free_bodies[free],
        held=_ranks(places.held[held], slots),
        held_mocap=places.held_mocap[held],
        felt=_ranks(places.felt[felt], bodies),
        felt_sensors=places.felt_sensors[felt],
    )


def _rows_of(owners: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns the rows that chosen owners have, owner by owner, each in the rows' order."""
    rows = [np.flatnonzero(owners == owner) for owner in chosen]
    return np.concatenate([np.zeros(0, np.int64), *rows])


def _ranks(owners: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns where each owner is among the chosen ones."""
    rank = {int(owner): i for i, owner in enumerate(chosen)}
    return _ids([rank[int(owner)] for owner in owners])


def _ids(values: Sequence[int] | Sequence[range]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


class ActorLayout:
    """``Places`` as indices of tensors; ranges, which read without gathering, if possible."""

    def __init__(self, places: Places, device: torch.device) -> None:
        """Moves the indices to a device."""

        def index(values: np.ndarray) -> Index:
            return index_of(values.tolist(), device)

        def tensor(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(device)

        self.places, self.actors = places, places.actors
        self.num_bodies, self.num_dofs = len(places.bodies), len(places.dof_qpos)
        self.bodies, self.body_roots = index(places.bodies), index(places.body_roots)
        self.dof_qpos, self.dof_qvel = index(places.dof_qpos), index(places.dof_qvel)
        self.motors, self.felt_sensors = index(places.motors), index(places.felt_sensors)
        self.dof_actor = tensor(places.dof_actor)
        self.free = tuple(places.free.tolist())
        self.free_actors, self.free_bodies = tensor(places.free), tensor(places.free_bodies)
        self.free_qpos, self.free_qvel = tensor(places.free_qpos), tensor(places.free_qvel)
        self.held, self.held_mocap = tensor(places.held), tensor(places.held_mocap)
