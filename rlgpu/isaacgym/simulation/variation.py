"""What differs between environments of a group: values of model fields, one row a world.

They share a model. The properties that scripts set on single actors, and assets that
differ in sizes or masses only, become rows of those of its fields that differ anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import mujoco
import numpy as np

from rlgpu.isaacgym.records.scene import Env, Sim
from rlgpu.isaacgym.simulation.compose import GRAVITY_OFF, averaged, rolls, turning_friction
from rlgpu.isaacgym.simulation.drives import drive_fields
from rlgpu.isaacgym.simulation.grouping import Kind
from rlgpu.isaacgym.simulation.layout import ModelLayout
from rlgpu.isaacgym.simulation.tendons import tendon_fields
from rlgpu.robots.frames import moments_like


def may_move_centres(kind: Kind, fields: Collection[str]) -> bool:
    """Returns whether centres of mass or principal axes differ, or may be written later.

    Args:
        kind: The environments.
        fields: Model fields that will be written.
    """
    actors = [actor for env in kind.envs for actor in env.actors]
    is_set = any(a.body_properties is not a.asset.body_properties for a in actors)
    return is_set or bool(kind.recipes) or bool({"body_ipos", "body_iquat"} & set(fields))


def of_drives(
    sim: Sim,
    kind: Kind,
    model: mujoco.MjModel,
    properties: np.ndarray,
    where: ModelLayout,
    base: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Returns fields that differ because properties of DOFs and tendons do.

    Args:
        sim: The simulation.
        kind: The environments.
        model: The model of the first environment.
        properties: DOF properties of all environments, shape [N, D].
        where: The model's layout.
        base: Fields that are returned if they do not differ, too.
    """
    tendons = [[a.tendon_properties for a in env.actors if a.asset.tendons] for env in kind.envs]
    if not base and (properties == properties[:1]).all() and tendons == tendons[:1] * len(tendons):
        return {}
    by_joint = sim.holds_armature_in_joints
    wide = drive_fields(model, where.joints, properties, by_joint=by_joint)
    wide |= tendon_fields(model, kind.envs, kind.seats if kind.roster else (), wide)
    return differing(wide, model) | {name: rows for name, rows in wide.items() if name in base}


def of_bodies(
    sim: Sim,
    envs: Sequence[Env],
    model: mujoco.MjModel,
    base: Mapping[str, np.ndarray],
    layouts: Sequence[ModelLayout],
) -> dict[str, np.ndarray]:
    """Returns fields that differ because body and shape properties do.

    Args:
        sim: The simulation.
        envs: Environments that share a model.
        model: The model.
        base: Fields that differ already; changed properties go on top of them.
        layouts: Where the parts of each environment are in the model.
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
        else np.repeat(getattr(model, name)[None], len(envs), axis=0)
        for name in names
    }
    for i, (env, where) in enumerate(zip(envs, layouts, strict=True)):
        write_bodies(env, where.places.bodies, {name: rows[i] for name, rows in wide.items()})
        write_shapes(sim, env, where.shapes, wide["geom_friction"][i])
    return differing(wide, model) | {k: v for k, v in wide.items() if k in base}


def write_bodies(env: Env, bodies: np.ndarray, row: Mapping[str, np.ndarray]) -> None:
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
            row["body_inertia"][body], row["body_iquat"][body] = moments_like(
                np.array(properties.inertia.rows()),
                row["body_inertia"][body],
                row["body_iquat"][body],
            )


def write_shapes(sim: Sim, env: Env, shapes: Sequence[Sequence[int]], friction: np.ndarray) -> None:
    """Writes the frictions of an environment's shapes, shape [G, 3]."""
    for actor in env.actors:
        for geom, properties in zip(shapes[actor.handle], actor.shape_properties, strict=True):
            friction[geom, 0] = averaged(sim, properties.friction)
            if rolls(properties):
                friction[geom, 1:] = turning_friction(properties)


def differing(wide: Mapping[str, np.ndarray], model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Returns the fields in which some row differs from the model's."""
    return {
        name: values
        for name, values in wide.items()
        if not (values == getattr(model, name)[None]).all()
    }
