"""Builds the worlds of a simulation: model, fields that differ, engine."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np
import torch

from rlgpu.isaacgym.records.geometry import Quat, Transform, Vec3
from rlgpu.isaacgym.records.scene import Env, Sim
from rlgpu.isaacgym.simulation import variation
from rlgpu.isaacgym.simulation.compose import body_names, compose_model, prefix
from rlgpu.isaacgym.simulation.drives import drive_fields
from rlgpu.isaacgym.simulation.layout import ActorLayout, actor_layout
from rlgpu.sim.mujoco.model import compiled
from rlgpu.sim.mujoco.readout import XYZW
from rlgpu.sim.mujoco.worlds import DERIVING_FIELDS, Worlds, WorldsRequest, worlds_class


class Built(NamedTuple):
    """Worlds and where things are in them."""

    worlds: Worlds
    layout: ActorLayout
    fields: frozenset[str]
    """Model fields with a row a world."""


def dof_properties(sim: Sim) -> np.ndarray:
    """Returns the DOF properties of all environments, shape [N, D]."""
    first = sim.envs[0]
    rows = [_dof_row(env) for env in sim.envs]
    return np.stack(rows) if first.num_dofs else np.zeros((len(rows), 0), _dof_row(first).dtype)


def _dof_row(env: Env) -> np.ndarray:
    parts = [actor.dof_properties for actor in env.actors]
    if not parts:
        raise RuntimeError(f"environment {env.index} has no actors; create_actor adds them")
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def build(sim: Sim, also: frozenset[str] = frozenset()) -> Built:
    """Builds the worlds of all environments as they are described now.

    Args:
        sim: The simulation.
        also: Further model fields to have a row for each world, for later writes.

    Raises:
        NotImplementedError: The environments differ in what worlds share.
        RuntimeError: There are no environments.
    """
    if not sim.envs:
        raise RuntimeError("the simulation has no environments; create_env adds them")
    variation.check_alike(sim)
    mujoco.set_mju_user_warning(lambda _text: None)
    free_centres = variation.may_move_centres(sim, also)
    model = compiled(compose_model(sim, sim.envs[0]), free_centres=free_centres)
    properties = dof_properties(sim)
    where = actor_layout(model, sim.envs[0], sim.device)
    for name, values in drive_fields(model, where.dof_joints, properties[:1]).items():
        getattr(model, name)[:] = values[0]
    _add_damping(model, sim.envs[0])
    fields = variation.of_recipes(sim, model)
    fields |= variation.of_drives(model, properties, where)
    fields |= variation.of_bodies(sim, model, fields, where)
    fields |= _of_statics(sim, model)
    names = frozenset(fields) | also
    _note_terrain(sim, model)
    worlds = make_worlds(sim, model, names)
    for name, values in fields.items():
        worlds.field(name).copy_(torch.from_numpy(np.ascontiguousarray(values)))
    if DERIVING_FIELDS & set(fields):
        worlds.fields_written(sorted(fields))
    sim.notes.add(f"{len(sim.envs)} environments on {worlds.description}")
    return Built(worlds, where, names)


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


def _of_statics(sim: Sim, model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Returns geom positions where terrains are elsewhere, seen from each environment."""
    origins = np.array([list(env.origin) for env in sim.envs])
    if not sim.terrains or not (origins != origins[0]).any():
        return {}
    wide = np.repeat(model.geom_pos[None], len(origins), axis=0)
    for i in range(len(sim.terrains)):
        wide[:, model.geom(f"terrain_{i}").id] -= origins
    return {"geom_pos": wide}


def make_worlds(sim: Sim, model: mujoco.MjModel, fields: frozenset[str]) -> Worlds:
    """Returns the engine's worlds; imports only that engine.

    Raises:
        NotImplementedError: The engine's worlds share a field in which environments differ.
    """
    request = WorldsRequest(
        len(sim.envs), sim.device, tuple(sorted(fields)), num_threads=sim.num_threads
    )
    able = sim.capabilities.varying_fields
    if able is not None and (beyond := sorted(fields - able)):
        raise NotImplementedError(
            f"environments differ in {', '.join(beyond)}, which the {sim.engine} engine shares; "
            "use --sim mujoco"
        )
    return worlds_class(sim.engine).build(model, request)
