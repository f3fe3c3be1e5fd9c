"""What differs between environments: values of model fields, one row a world.

All environments share a model. The properties that scripts set on single actors, and assets that
differ in sizes or masses only, become rows of those of its fields that differ anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import mujoco
import numpy as np

from rlgpu.isaacgym.records.scene import Env, Sim
from rlgpu.isaacgym.simulation.compose import GRAVITY_OFF, averaged, compose_model
from rlgpu.isaacgym.simulation.drives import drive_fields
from rlgpu.isaacgym.simulation.layout import ActorLayout
from rlgpu.robots.frames import moments_of

SIZES = (
    "geom_size", "geom_rbound", "geom_pos", "geom_quat", "geom_aabb", "body_mass", "body_inertia",
    "body_ipos", "body_iquat", "body_pos", "body_quat", "jnt_pos", "geom_rgba",
)  # fmt: skip
"""Fields in which the models of alike environments may differ."""


def check_alike(sim: Sim) -> None:
    """Refuses environments of different actors.

    Raises:
        NotImplementedError: They differ in the number, the names or the trees of their actors.
    """
    first = sim.envs[0]
    for env in sim.envs[1:]:
        same = len(env.actors) == len(first.actors) and all(
            a.asset.bodies == b.asset.bodies and a.asset.dofs == b.asset.dofs
            for a, b in zip(env.actors, first.actors, strict=True)
        )
        if not same or len(env.attractors) != len(first.attractors):
            raise NotImplementedError(
                f"environment {env.index} has other actors ({_described(env)}) than environment 0 "
                f"({_described(first)}); all must have the same articulations in the same order"
            )


def _described(env: Env) -> str:
    return ", ".join(f"{actor.name}: {actor.asset.file}" for actor in env.actors) or "none"


def may_move_centres(sim: Sim, fields: Collection[str]) -> bool:
    """Returns whether centres of mass or principal axes differ, or may be written later.

    Args:
        sim: The simulation.
        fields: Model fields that will be written.
    """
    actors = [actor for env in sim.envs for actor in env.actors]
    is_set = any(a.body_properties is not a.asset.body_properties for a in actors)
    per_env = {tuple(actor.recipe for actor in env.actors) for env in sim.envs}
    return is_set or len(per_env) > 1 or bool({"body_ipos", "body_iquat"} & set(fields))


def of_recipes(sim: Sim, model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Returns fields, shape [N, ...], that differ because environments use other assets.

    Raises:
        NotImplementedError: The assets differ in something that worlds share, such as a mesh.
    """
    recipes = [tuple(actor.recipe for actor in env.actors) for env in sim.envs]
    distinct = list(dict.fromkeys(recipes))
    if len(distinct) == 1:
        return {}
    envs = [sim.envs[recipes.index(recipe)] for recipe in distinct]
    models = [model, *(compose_model(sim, env).compile() for env in envs[1:])]
    rows = np.array([distinct.index(recipe) for recipe in recipes])
    fields = {}
    for name in SIZES:
        values = [getattr(m, name) for m in models]
        if any(value.shape != values[0].shape for value in values):
            raise NotImplementedError(f"assets of different environments differ in shape: {name}")
        if any(not np.array_equal(value, values[0]) for value in values):
            fields[name] = np.stack(values)[rows]
    for name in ("geom_type", "geom_dataid", "jnt_type", "jnt_limited", "body_parentid"):
        if any(not np.array_equal(getattr(m, name), getattr(model, name)) for m in models):
            raise NotImplementedError(
                "environments have actors of different assets that differ in more than sizes, "
                f"masses and poses ({name}); give all environments the same assets"
            )
    return fields


def of_drives(
    model: mujoco.MjModel, properties: np.ndarray, where: ActorLayout
) -> dict[str, np.ndarray]:
    """Returns fields that differ because DOF properties do.

    Args:
        model: The model of the first environment.
        properties: DOF properties of all environments, shape [N, D].
        where: The model's layout.

    Raises:
        NotImplementedError: A joint is limited in some environments only.
    """
    if (properties == properties[:1]).all():
        return {}
    if (properties["hasLimits"] != properties["hasLimits"][:1]).any():
        raise NotImplementedError("hasLimits must be the same in all environments")
    return differing(drive_fields(model, where.dof_joints, properties), model)


def of_bodies(
    sim: Sim, model: mujoco.MjModel, base: Mapping[str, np.ndarray], where: ActorLayout
) -> dict[str, np.ndarray]:
    """Returns fields that differ because body and shape properties do.

    Args:
        sim: The simulation.
        model: The model of its first environment.
        base: Fields that differ already; changed properties go on top of them.
        where: The model's layout.
    """
    names = (
        "body_mass",
        "body_inertia",
        "body_ipos",
        "body_iquat",
        "body_gravcomp",
        "geom_friction",
    )
    wide = {
        name: base[name].copy()
        if name in base
        else np.repeat(getattr(model, name)[None], len(sim.envs), axis=0)
        for name in names
    }
    for env in sim.envs:
        write_bodies(
            env, where.body_ids, {name: values[env.index] for name, values in wide.items()}
        )
        write_shapes(sim, env, where.shapes, wide["geom_friction"][env.index])
    return differing(wide, model) | {k: v for k, v in wide.items() if k in base}


def write_bodies(env: Env, bodies: Sequence[int], row: Mapping[str, np.ndarray]) -> None:
    """Writes the changed body properties of an environment into its row of the fields."""
    for actor in env.actors:
        if actor.body_properties is actor.asset.body_properties:
            continue
        for i, properties in enumerate(actor.body_properties):
            body = bodies[actor.first_body + i]
            row["body_mass"][body] = properties.mass
            row["body_ipos"][body] = list(properties.com)
            off = bool(properties.flags & GRAVITY_OFF)
            row["body_gravcomp"][body] = 1.0 if off else actor.asset.model.body_gravcomp[1 + i]
            moments, axes = moments_of(np.array(properties.inertia.rows()))
            row["body_inertia"][body], row["body_iquat"][body] = moments, axes


def write_shapes(sim: Sim, env: Env, shapes: Sequence[Sequence[int]], friction: np.ndarray) -> None:
    """Writes the frictions of an environment's shapes, shape [G, 3]."""
    for actor in env.actors:
        for geom, properties in zip(shapes[actor.handle], actor.shape_properties, strict=True):
            friction[geom, 0] = averaged(sim, properties.friction)


def differing(wide: Mapping[str, np.ndarray], model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Returns those of some fields of which a row differs from the model's."""
    return {
        name: values
        for name, values in wide.items()
        if not (values == getattr(model, name)[None]).all()
    }
