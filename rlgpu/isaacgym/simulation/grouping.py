"""Groups environments by what they hold: those of a group are worlds of one model.

A model holds the actors of its environments, or more; see ``rosters``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.isaacgym.records.fields import Record
from rlgpu.isaacgym.records.scene import Actor, Env, Sim
from rlgpu.isaacgym.simulation import drives
from rlgpu.isaacgym.simulation.compose import GRAVITY_OFF, compose_model, rolls
from rlgpu.isaacgym.simulation.rosters import (
    Cast,
    Described,
    Member,
    Roster,
    cast_members,
    owner_of,
    stage_alone,
    stage_of,
    way_out,
)
from rlgpu.sim.mujoco.model import compiled

SIZES = (
    "geom_size",
    "geom_rbound",
    "geom_pos",
    "geom_quat",
    "geom_aabb",
    "body_mass",
    "body_inertia",
    "body_ipos",
    "body_iquat",
    "body_pos",
    "body_quat",
    "jnt_pos",
    "geom_rgba",
    "bvh_aabb",
    "body_gravcomp",
    "tendon_stiffness",
    "tendon_damping",
    "tendon_range",
    "tendon_lengthspring",
    "wrap_prm",
)
"""Fields that differ between actors of different sizes, masses, places and tendons."""
_SET = (*drives.FIELDS, "geom_friction")
"""Fields that the properties of single actors decide."""
_PLACES = ("body_pos", "body_quat", "qpos0", "qpos_spring")
"""Fields that say where roots are."""
_DERIVED = (
    "body_invweight0",
    "body_subtreemass",
    "body_sameframe",
    "geom_sameframe",
    "dof_invweight0",
    "dof_M0",
    "dof_length",
    "tendon_invweight0",
    "tendon_length0",
    "actuator_acc0",
    "actuator_length0",
)
"""Fields that MuJoCo derives from others."""
_LOOKS = ("name", "tex_", "mat_", "skin_", "text_", "light_", "cam_", "geom_rgba", "geom_matid")
"""Beginnings of fields without effect on motion."""
_TREES = ("bvh_aabb", "bvh_child", "bvh_depth", "bvh_nodeid")
"""Bounding volumes, which only MuJoCo C uses."""
_PATHS = ("wrap_prm",)
"""Coefficients of tendons, which only MuJoCo C can vary."""


@dataclass(frozen=True)
class Kind:
    """Environments whose worlds share a model."""

    envs: tuple[Env, ...]
    stage: Env
    """Environment of all actors of the model as they were at first, for other rows to differ from.

    Without a roster, its actors are those of the first environment.
    """
    sizes: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Fields of sizes and masses that differ, one row a recipe."""
    recipes: tuple[int, ...] = ()
    """Row of each environment; empty if all are of one recipe."""
    roster: Roster | None = None
    """The actors of the model, if they are not those of every environment in their order."""
    seats: tuple[tuple[int, ...], ...] = ()
    """With a roster, the slots of each environment's actors."""


def places_of(kinds: Sequence[Kind]) -> dict[int, tuple[int, int]]:
    """Returns each environment's kind and its world there, by the environment's index."""
    return {
        env.index: (number, world)
        for number, kind in enumerate(kinds)
        for world, env in enumerate(kind.envs)
    }


def group_environments(sim: Sim, *, may_park: bool = True) -> list[Kind]:
    """Returns the environments in groups, each in the order of creation.

    Environments share a model if their models differ only in sizes, masses, places and properties
    that the engine can vary between worlds. The kinds of their drives are settled first.

    Args:
        sim: The simulation.
        may_park: Whether a model may hold actors that some of its environments lack.

    Raises:
        RuntimeError: There are no environments.
    """
    if not sim.envs:
        raise RuntimeError("the simulation has no environments; create_env adds them")
    drives.settle_drives([actor for env in sim.envs for actor in env.actors], sim.physics_dt)
    members: dict[tuple[object, ...], list[Env]] = {}
    for env in sim.envs:
        members.setdefault(recipe_of(env), []).append(env)
    if len(members) == 1:
        return [Kind(tuple(sim.envs), stage_alone(sim.envs[0]))]
    casts: Sequence[Cast | None] = [None] * len(members)
    sim.parking = way_out(sim)
    if may_park and sim.parking is not None:
        casts = cast_members(_described(sim, list(members.values())), sim.capabilities)
    groups: dict[tuple[object, ...], _Members] = {}
    for envs, cast in zip(members.values(), casts, strict=True):
        stage = stage_of(envs[0], cast)
        model = compiled(compose_model(sim, stage), free_centres=True)
        roster = None if cast is None else cast.roster
        key = (id(roster), *map(_traits, stage.actors), _digest(model, sim))
        found = groups.setdefault(key, _Members(stage, {}, [], roster, {}))
        for env in envs:
            found.recipes[env.index] = len(found.sizes)
            found.seats[env.index] = () if cast is None else cast.seats
        names = varying_sizes(sim)
        found.sizes.append(
            {n: (_field_without_roots(model, n), _field_of_worlds(model, n)) for n in names}
        )
    return [_kind(sim, group) for group in groups.values()]


class _Members(NamedTuple):
    """Environments of one kind while they are collected."""

    stage: Env
    """All actors of the model of the first of them."""
    recipes: dict[int, int]
    """Row of ``sizes`` of each environment, by the environment's index."""
    sizes: list[dict[str, tuple[np.ndarray, np.ndarray]]]
    """Fields of each recipe's model, to compare and as worlds have them."""
    roster: Roster | None
    seats: dict[int, tuple[int, ...]]
    """Slots of the actors of each environment, by the environment's index."""


def _kind(sim: Sim, group: _Members) -> Kind:
    indices = sorted(group.recipes)
    envs = tuple(sim.envs[i] for i in indices)
    seats = tuple(group.seats[i] for i in indices)
    if len(group.sizes) == 1:
        return Kind(envs, group.stage, roster=group.roster, seats=seats)
    sizes = {}
    for name in varying_sizes(sim):
        shapes, values = zip(*(found[name] for found in group.sizes), strict=True)
        if any(not np.array_equal(shape, shapes[0]) for shape in shapes):
            sizes[name] = np.stack(values)
    recipes = tuple(group.recipes[i] for i in indices)
    return Kind(envs, group.stage, sizes, recipes, group.roster, seats)


def _described(sim: Sim, members: Sequence[Sequence[Env]]) -> list[Member]:
    """Returns environments as models are assigned to them; each list holds the same actors."""
    bare = replace(sim, grounds=[], terrains=[])
    digests: dict[tuple[object, ...], bytes] = {}

    def digest(actor: Actor) -> bytes:
        key = _recipe(actor)
        if key not in digests:
            alone = replace(actor.env, actors=[], attractors=[])
            alone.actors.append(replace(actor, env=alone, handle=0, first_body=0, first_dof=0))
            digests[key] = _digest(compiled(compose_model(bare, alone), free_centres=True), sim)
        return digests[key]

    found = []
    for env, *others in members:
        owners = [owner_of(env, attractor.rigid_handle) for attractor in env.attractors]
        tied, actors = {owner for owner, _ in owners}, []
        for actor, label in zip(env.actors, _labels(env), strict=True):
            filters = actor.filter, *(p.filter for p in actor.shape_properties)
            trait = (label, filters, _traits(actor), digest(actor))
            is_optional = not actor.asset.dofs and actor.handle not in tied
            actors.append(Described(actor, trait, label, is_optional))
        core = [actor.actor.handle for actor in actors if not actor.is_optional]
        ends = tuple((core.index(owner), body) for owner, body in owners)
        ties = tuple(tie[1:] for tie in _ties(env))
        found.append(Member(tuple(actors), (ends, ties, _place(env)), 1 + len(others)))
    return found


def recipe_of(env: Env) -> tuple[object, ...]:
    """Returns what decides an environment's model but for properties that vary between worlds."""
    actors = tuple(
        (*_recipe(actor), label) for actor, label in zip(env.actors, _labels(env), strict=True)
    )
    return actors, _ties(env), _place(env)


def _labels(env: Env) -> list[int]:
    """Returns numbers of actors' collision groups, by first appearance; -1 stays."""
    labels: dict[int, int] = {-1: -1}
    return [labels.setdefault(actor.group, len(labels)) for actor in env.actors]


def _ties(env: Env) -> tuple[tuple[object, ...], ...]:
    return tuple(
        (a.rigid_handle, int(a.axes), a.stiffness, a.damping, *a.offset.values())
        for a in env.attractors
    )


def _place(env: Env) -> tuple[float, ...] | None:
    """Returns an environment's place if terrains are elsewhere in models of other places."""
    is_shared = not env.sim.terrains or "geom_pos" in varying_sizes(env.sim)
    return None if is_shared else tuple(env.origin)


def _recipe(actor: Actor) -> tuple[object, ...]:
    asset = actor.asset
    own: tuple[object, ...] = ()
    if actor.shape_properties is not asset.shape_properties:
        own = tuple((p.filter, rolls(p)) for p in actor.shape_properties)
    if actor.dof_properties is not asset.dof_properties:
        limited = drives.are_limited(actor.dof_properties)
        own += (actor.dof_properties["hasLimits"].tobytes(), limited.tobytes())
    if actor.body_properties is not asset.body_properties:
        own += tuple(bool(p.flags & GRAVITY_OFF) for p in actor.body_properties)
    if actor.tendon_properties is not asset.tendon_properties:
        own += tuple(_values(p) for p in actor.tendon_properties)
    if actor.tendon_paths is not asset.tendon_paths:
        own += tuple(actor.tendon_paths)
    return (*actor.recipe, actor.filter, *own)


def _values(record: Record) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in record.fields())


def _traits(actor: Actor) -> tuple[object, ...]:
    """Returns what else alike actors have in common, beside their models."""
    asset, options = actor.asset, actor.asset.options
    sensors = tuple((s.body, *s.pose.values(), *_values(s.properties)) for s in asset.sensors)
    limits = (
        options.linear_damping,
        options.angular_damping,
        options.max_linear_velocity,
        options.max_angular_velocity,
    )
    return (asset.bodies, asset.dofs, asset.fixed, sensors, *limits)


def varying_sizes(sim: Sim) -> list[str]:
    """Returns the fields of sizes and masses that the simulation's engine can vary."""
    able = sim.capabilities
    varying, unused = able.varying_fields, set()
    if not able.has_bounding_volumes:
        unused |= {*_TREES}
    if not able.varies_tendon_paths:
        unused |= {*_PATHS}
    return [name for name in SIZES if (varying is None or name in varying) and name not in unused]


def _field_of_worlds(model: mujoco.MjModel, name: str) -> np.ndarray:
    """Returns a copy of the part of a field that can differ between worlds."""
    values: np.ndarray = getattr(model, name)
    # The bounding volumes of bodies precede those of meshes, which are shared.
    return values[: int(model.body_bvhnum.sum())].copy() if name == "bvh_aabb" else values.copy()


def _field_without_roots(model: mujoco.MjModel, name: str) -> np.ndarray:
    """Returns a field without the poses of roots, which are set before the first step."""
    values: np.ndarray = getattr(model, name)
    if name not in _PLACES:
        return values
    free, values = model.jnt_type == mujoco.mjtJoint.mjJNT_FREE, values.copy()
    if name in ("body_pos", "body_quat"):
        values[model.body_mocapid >= 0] = 0.0
        values[model.jnt_bodyid[free]] = 0.0
    else:
        values[model.jnt_qposadr[free][:, None] + np.arange(7)] = 0.0
    return values


def _digest(model: mujoco.MjModel, sim: Sim) -> bytes:
    """Returns a digest of all fields of a model that the worlds of a group share."""
    able = sim.capabilities.varying_fields
    skipped = {*varying_sizes(sim), *_DERIVED}
    skipped |= {name for name in _SET if able is None or name in able}
    if not sim.capabilities.has_bounding_volumes:
        skipped |= {*_TREES}
    digest = hashlib.blake2b()
    for name in FIELDS:
        if name not in skipped:
            values = _field_without_roots(model, name)
            digest.update(f"{name}{values.shape}".encode())
            digest.update(values.tobytes())
    return digest.digest()


def _fields() -> tuple[str, ...]:
    """Returns the names of all array fields of a model."""
    model = mujoco.MjSpec().compile()
    names = (name for name in dir(model) if not name.startswith("_"))
    return tuple(
        name
        for name in names
        if isinstance(getattr(model, name), np.ndarray) and not name.startswith(_LOOKS)
    )


FIELDS: Sequence[str] = _fields()
