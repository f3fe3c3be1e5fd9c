"""Groups environments by what they hold: those of a group are worlds of one model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.isaacgym.records.fields import Record
from rlgpu.isaacgym.records.scene import Actor, Env, Sim
from rlgpu.isaacgym.simulation import drives
from rlgpu.isaacgym.simulation.compose import GRAVITY_OFF, compose_model, rolls
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
    sizes: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Fields of sizes and masses that differ, one row a recipe."""
    recipes: tuple[int, ...] = ()
    """Row of each environment; empty if all are of one recipe."""

    @property
    def first(self) -> Env:
        """The environment whose model the worlds share."""
        return self.envs[0]


def group_environments(sim: Sim) -> list[Kind]:
    """Returns the environments in groups, each in the order of creation.

    Environments share a model if their models differ only in sizes, masses, places and properties
    that the engine can vary between worlds. The kinds of their drives are settled first.

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
        return [Kind(tuple(sim.envs))]
    groups: dict[tuple[object, ...], _Members] = {}
    for envs in members.values():
        model = compiled(compose_model(sim, envs[0]), free_centres=True)
        key = (*map(_traits, envs[0].actors), _digest(model, sim))
        found = groups.setdefault(key, _Members({}, []))
        found.recipes.update((env.index, len(found.sizes)) for env in envs)
        names = varying_sizes(sim)
        found.sizes.append(
            {n: (_field_without_roots(model, n), _field_of_worlds(model, n)) for n in names}
        )
    return [_kind(sim, group) for group in groups.values()]


class _Members(NamedTuple):
    """Environments of one kind while they are collected."""

    recipes: dict[int, int]
    """Row of ``sizes`` of each environment, by the environment's index."""
    sizes: list[dict[str, tuple[np.ndarray, np.ndarray]]]
    """Fields of each recipe's model, to compare and as worlds have them."""


def _kind(sim: Sim, group: _Members) -> Kind:
    indices = sorted(group.recipes)
    envs = tuple(sim.envs[i] for i in indices)
    if len(group.sizes) == 1:
        return Kind(envs)
    sizes = {}
    for name in varying_sizes(sim):
        shapes, values = zip(*(found[name] for found in group.sizes), strict=True)
        if any(not np.array_equal(shape, shapes[0]) for shape in shapes):
            sizes[name] = np.stack(values)
    return Kind(envs, sizes, tuple(group.recipes[i] for i in indices))


def recipe_of(env: Env) -> tuple[object, ...]:
    """Returns what decides an environment's model but for properties that vary between worlds."""
    labels: dict[int, int] = {-1: -1}
    actors = tuple(
        (*_recipe(actor), labels.setdefault(actor.group, len(labels))) for actor in env.actors
    )
    ties = tuple(
        (a.rigid_handle, int(a.axes), a.stiffness, a.damping, *a.offset.values())
        for a in env.attractors
    )
    # Terrains are elsewhere, seen from another environment.
    is_shared = not env.sim.terrains or "geom_pos" in varying_sizes(env.sim)
    return actors, ties, None if is_shared else tuple(env.origin)


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
    able = sim.capabilities.varying_fields
    unused = () if sim.engine == "mujoco" else (*_TREES, *_PATHS)
    return [name for name in SIZES if (able is None or name in able) and name not in unused]


def _field_of_worlds(model: mujoco.MjModel, name: str) -> np.ndarray:
    """Returns a copy of the part of a field that can differ between worlds."""
    values: np.ndarray = getattr(model, name)
    # The bounding volumes of bodies precede those of meshes, which are shared.
    return values[: int(model.body_bvhnum.sum())].copy() if name == "bvh_aabb" else values.copy()


def _field_without_roots(model: mujoco.MjModel, name: str) -> np.ndarray:
    """Returns a field without the poses of roots, which are set before the first step."""
    values = np.ascontiguousarray(getattr(model, name))
    free = model.jnt_type == mujoco.mjtJoint.mjJNT_FREE
    if name in ("body_pos", "body_quat"):
        values = values.copy()
        values[model.body_mocapid >= 0] = 0.0
        values[model.jnt_bodyid[free]] = 0.0
    elif name in ("qpos0", "qpos_spring"):
        values = values.copy()
        values[model.jnt_qposadr[free][:, None] + np.arange(7)] = 0.0
    return values


def _digest(model: mujoco.MjModel, sim: Sim) -> bytes:
    """Returns a digest of all fields of a model that the worlds of a group share."""
    able = sim.capabilities.varying_fields
    skipped = {*varying_sizes(sim), *_DERIVED}
    skipped |= {name for name in _SET if able is None or name in able}
    if sim.engine != "mujoco":
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
