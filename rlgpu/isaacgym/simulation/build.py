"""Builds the worlds of a simulation: model, fields that differ, engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import mujoco
import numpy as np
import torch

from rlgpu.isaacgym.records.geometry import Quat, Transform, Vec3
from rlgpu.isaacgym.records.properties import DOF_PROPERTIES
from rlgpu.isaacgym.records.scene import Actor, Env, Sim
from rlgpu.isaacgym.simulation import variation
from rlgpu.isaacgym.simulation.compose import body_names, compose_model, prefix
from rlgpu.isaacgym.simulation.drives import drive_fields
from rlgpu.isaacgym.simulation.grouping import Kind
from rlgpu.isaacgym.simulation.layout import ModelLayout, layouts_of, model_layout
from rlgpu.isaacgym.simulation.sharing import num_threads_of
from rlgpu.sim.mujoco.model import compiled
from rlgpu.sim.mujoco.readout import XYZW
from rlgpu.sim.mujoco.worlds import Worlds, WorldsRequest, worlds_class

_NO_DOFS = np.zeros(0, DOF_PROPERTIES)


class UnsupportedVariation(NotImplementedError):
    """Environments differ in model fields that an engine's worlds share."""

    def __init__(self, engine: str, fields: Sequence[str]) -> None:
        """Keeps the fields, and a phrase that says why."""
        self.fields = tuple(fields)
        reason = f"environments differ in {', '.join(fields)}, which the {engine} engine shares"
        self.reasons = (reason,)
        super().__init__(f"{reason}; use --sim mujoco")


@dataclass(frozen=True)
class Group:
    """Environments of one kind and the worlds that simulate them."""

    kind: Kind
    worlds: Worlds
    stage: Env
    """Environment of all actors that the model holds."""
    layout: ModelLayout
    """Where the parts of ``stage`` are."""
    layouts: tuple[ModelLayout, ...]
    """Where the parts of each environment are."""

    @property
    def envs(self) -> tuple[Env, ...]:
        """The environments, in the order of the worlds."""
        return self.kind.envs

    def slot_of(self, world: int, actor: Actor) -> int:
        """Returns the handle in ``stage`` of an actor of one of the worlds."""
        return self.kind.seats[world][actor.handle] if self.kind.roster else actor.handle

    def actors_at(self, slot: int) -> list[Actor]:
        """Returns each environment's actor by its handle in ``stage``; that of it if absent."""
        if self.kind.roster is None:
            return [env.actors[slot] for env in self.envs]
        found = []
        for env, seats in zip(self.envs, self.kind.seats, strict=True):
            found.append(
                env.actors[seats.index(slot)] if slot in seats else self.stage.actors[slot]
            )
        return found


def dof_properties(envs: Sequence[Env]) -> np.ndarray:
    """Returns the DOF properties of environments of one kind, shape [N, D]."""
    rows = [np.concatenate([_NO_DOFS, *(a.dof_properties for a in env.actors)]) for env in envs]
    return np.stack(rows)


def build_groups(
    sim: Sim, kinds: Sequence[Kind], also: frozenset[str] = frozenset()
) -> tuple[list[Group], frozenset[str]]:
    """Builds the worlds of all environments as they are described now.

    Args:
        sim: The simulation.
        kinds: Its environments in groups.
        also: Further model fields to have a row for each world, for later writes.

    Returns:
        The groups, and the model fields that have a row for each world.

    Raises:
        UnsupportedVariation: Environments of a kind differ in what the engine's worlds share.
    """
    mujoco.set_mju_user_warning(lambda _text: None)
    parts = [_compose(sim, kind, also) for kind in kinds]
    # All groups have the same fields, so that these can be joined.
    names = frozenset(also).union(*(part.fields for part in parts))
    moves_centres = variation.may_move_centres
    for i, kind in enumerate(kinds):
        if moves_centres(kind, names) and not moves_centres(kind, also):
            parts[i] = _compose(sim, kind, names)
    groups = []
    for kind, (model, stage, where, wheres, fields) in zip(kinds, parts, strict=True):
        _note_terrain(sim, model)
        threads = sim.usable_threads
        if len(kinds) > 1:
            threads = num_threads_of(len(kind.envs), threads)
        worlds = make_worlds(sim, model, names, len(kind.envs), threads)
        for name, values in fields.items():
            worlds.field(name).copy_(torch.from_numpy(np.ascontiguousarray(values)))
        if fields:
            worlds.fields_written(sorted(fields))
        groups.append(Group(kind, worlds, stage, where, wheres))
    kinds_said = "" if len(kinds) == 1 else f" of {len(kinds)} kinds"
    sim.notes.add(f"{len(sim.envs)} environments{kinds_said} on {groups[0].worlds.description}")
    return groups, names


class _Composed(NamedTuple):
    """The model of a kind of environments and the fields in which these differ."""

    model: mujoco.MjModel
    stage: Env
    layout: ModelLayout
    layouts: tuple[ModelLayout, ...]
    fields: dict[str, np.ndarray]


def _compose(sim: Sim, kind: Kind, also: frozenset[str]) -> _Composed:
    stage = kind.stage
    free_centres = variation.may_move_centres(kind, also)
    model = compiled(compose_model(sim, stage), free_centres=free_centres)
    properties = dof_properties(kind.envs)
    where = model_layout(model, sim, stage)
    layouts = (where,) * len(kind.envs)
    if kind.roster is not None:
        layouts = layouts_of(where, kind.envs, kind.seats)
    drives = drive_fields(
        model, where.joints, properties[:1], by_joint=sim.holds_armature_in_joints
    )
    for name, values in drives.items():
        getattr(model, name)[:] = values[0]
    _add_damping(model, stage)
    fields = {name: rows[list(kind.recipes)] for name, rows in kind.sizes.items()}
    fields |= variation.of_drives(sim, kind, model, properties, where, tuple(fields))
    fields |= variation.of_bodies(sim, kind.envs, model, fields, layouts)
    fields |= _of_statics(sim, kind.envs, model, fields)
    return _Composed(model, stage, where, layouts, fields)


def initial_poses(env: Env) -> list[Transform]:
    """Returns the poses of an environment's bodies before the simulation is prepared.

    Scripts place objects by them while they are still creating environments.
    """
    sim = env.sim
    key = tuple((*actor.recipe, *actor.pose.values()) for actor in env.actors)
    if key not in sim.initial_poses:
        model = compose_model(sim, env).compile()
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        found = [data.body(name) for actor in env.actors for name in body_names(actor)]
        sim.initial_poses[key] = [
            Transform(Vec3(*body.xpos.tolist()), Quat(*body.xquat[XYZW].tolist())) for body in found
        ]
    return sim.initial_poses[key]


def _add_damping(model: mujoco.MjModel, env: Env) -> None:
    """Gives free roots the damping of their assets' options: a share of the velocity a second."""
    for actor in env.actors:
        options = actor.asset.options
        if not actor.asset.fixed:
            start = int(model.joint(f"{prefix(actor)}:free").dofadr[0])
            rates = [options.linear_damping] * 3 + [options.angular_damping] * 3
            model.dof_damping[start : start + 6] = rates * model.dof_M0[start : start + 6]


def _note_terrain(sim: Sim, model: mujoco.MjModel) -> None:
    """Says if the engine's boxes do not stand well on height fields."""
    sure = (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE)
    kinds = {
        mujoco.mjtGeom(kind)
        for kind, mask in zip(model.geom_type, model.geom_contype, strict=True)
        if mask
    }
    kinds -= {*sure, mujoco.mjtGeom.mjGEOM_HFIELD, mujoco.mjtGeom.mjGEOM_PLANE}
    if sim.terrains and not sim.capabilities.stacks_on_terrain and kinds:
        sim.notes.add(
            "on MuJoCo Warp, only balls and capsules stand reliably on terrain; others may slip"
        )


def _of_statics(
    sim: Sim, envs: Sequence[Env], model: mujoco.MjModel, base: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns geom positions where terrains are elsewhere, seen from each environment."""
    origins = np.array([list(env.origin) for env in envs])
    if not sim.terrains or (origins == origins[0]).all():
        return {}
    wide = base.get("geom_pos", np.repeat(model.geom_pos[None], len(origins), axis=0))
    for i in range(len(sim.terrains)):
        geom = model.geom(f"terrain_{i}").id
        wide[:, geom] = model.geom_pos[geom] + origins[0] - origins
    return {"geom_pos": wide}


def make_worlds(
    sim: Sim, model: mujoco.MjModel, fields: frozenset[str], num_worlds: int, num_threads: int
) -> Worlds:
    """Returns the engine's worlds; imports only that engine.

    Raises:
        UnsupportedVariation: The engine's worlds share a field in which environments differ.
    """
    request = WorldsRequest(num_worlds, sim.device, tuple(sorted(fields)), num_threads=num_threads)
    able = sim.capabilities.varying_fields
    if able is not None and (beyond := sorted(fields - able)):
        raise UnsupportedVariation(sim.engine, beyond)
    return worlds_class(sim.engine).build(model, request)
