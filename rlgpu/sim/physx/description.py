"""Describes a scene as data for the worker: actors, ground, settings."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.readout import XYZW
from rlgpu.sim.physx import mjcf
from rlgpu.sim.physx.actors import Actor, actors_of
from rlgpu.sim.physx.collision import (
    Ground,
    filters_of,
    friction_of,
    furniture_of,
    ground_of,
    owner_of,
    solid_geoms,
)
from rlgpu.sim.scene import Drive, SceneSpec, Timing
from rlgpu.sim.terrain import HeightField

_NO_LIMIT = 1e20
"""What infinite efforts are to PhysX."""


class JointGains(NamedTuple):
    """Isaac Gym's numbers of a joint's drive."""

    mode: str
    """``passive``, ``effort`` or ``position``."""
    stiffness: float
    damping: float
    """Of the drive and of the joint itself."""
    effort: float


def gains_of(model: mujoco.MjModel, joint: int, drive: Drive | None) -> JointGains:
    """Returns the numbers of a joint's drive; a joint's own spring pulls it to 0."""
    own = float(model.dof_damping[model.jnt_dofadr[joint]])
    spring = float(model.jnt_stiffness[joint])
    if drive is None:
        return JointGains("passive", spring, own, _NO_LIMIT)
    limit = min(drive.effort_limit, _NO_LIMIT)
    if drive.mode == "effort":
        return JointGains("effort", spring, own, limit)
    return JointGains("position", drive.stiffness, drive.damping + own, limit)


def describe(
    model: mujoco.MjModel,
    scene: SceneSpec,
    timing: Timing,
    num_envs: int,
    settings: Any,
    *,
    gpu: int,
    viewer: bool,
) -> dict[str, Any]:
    """Returns everything that the worker needs to create the simulation.

    Args:
        model: The scene's compiled model, which has no ``refusals``.
        scene: What to simulate and measure.
        timing: Physics and control steps.
        num_envs: Number of environments.
        settings: The engine's settings.
        gpu: Index of the GPU, or -1 for the CPU.
        viewer: Whether Isaac Gym's viewer is to be opened.
    """
    ground = ground_of(model, varies="friction" in scene.parameters)
    return {
        "actors": [_actor(model, actor, scene, ground) for actor in actors_of(model)],
        "ground": ground._asdict() if ground else None,
        "terrain": _terrain(scene.terrain) if scene.terrain is not None else None,
        "gravity": model.opt.gravity.tolist(),
        "num_envs": num_envs,
        "physics_dt": timing.physics_dt,
        "decimation": timing.decimation,
        # Terrain is there once: on it, all environments have one origin.
        "spacing": 0.0 if scene.terrain is not None else settings.env_spacing,
        "position_iterations": settings.position_iterations,
        "velocity_iterations": settings.velocity_iterations,
        "contact_offset": settings.contact_offset,
        "max_depenetration_velocity": settings.max_depenetration_velocity,
        "device": {
            "compute": max(gpu, 0),
            "graphics": max(gpu, 0) if viewer else -1,
            "gpu": gpu >= 0,
            "num_threads": settings.num_threads,
        },
        "viewer": viewer,
    }


def _actor(
    model: mujoco.MjModel, actor: Actor, scene: SceneSpec, ground: Ground | None
) -> dict[str, Any]:
    """Returns what the worker needs to create one actor."""
    solid = solid_geoms(model)
    visible = [g for g in range(model.ngeom) if model.geom_bodyid[g] and _is_visible(model, g)]
    names = actor.body_names(model)
    return {
        "name": actor.name,
        "mjcf": mjcf.write(model, actor, solid),
        "mjcf_with_looks": mjcf.write(model, actor, sorted({*solid, *visible})),
        "fixed_base": not actor.is_free,
        "pose": _pose(model, actor),
        "bodies": _bodies(model, actor, solid, ground),
        "joints": [
            _joint(model, joint, scene.drives.get(model.joint(joint).name))
            for joint in actor.joints
        ],
        "sensors": [name for name in scene.wrench_bodies if name in names],
        "weightless": any(model.body_gravcomp[body] for body in actor.bodies),
        "holds": [hold for hold in _holds(model) if hold["body"] in names],
    }


def _pose(model: mujoco.MjModel, actor: Actor) -> list[float]:
    """Returns where an actor's root is created: position and quaternion (x, y, z, w)."""
    if actor.base:
        return [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    pos, quat = model.body_pos[actor.bodies[0]], model.body_quat[actor.bodies[0]]
    return [*pos.tolist(), *quat[XYZW].tolist()]


def _terrain(terrain: HeightField) -> dict[str, Any]:
    """Returns a terrain as data: heights [m] as float32 in base64, rows along x."""
    heights = np.ascontiguousarray(terrain.heights, dtype="<f4")
    return {
        "heights": base64.b64encode(heights.tobytes()).decode(),
        "shape": list(heights.shape),
        "corner": [float(value) for value in terrain.corner],
        "spacing": terrain.spacing,
    }


def _holds(model: mujoco.MjModel) -> list[dict[str, Any]]:
    """Returns what ties points of bodies to places in the world: ``connect`` constraints."""
    return [
        {
            "body": model.body(int(model.eq_obj1id[i])).name,
            "offset": model.eq_data[i][:3].tolist(),
            "target": model.eq_data[i][3:6].tolist(),
        }
        for i in range(model.neq)
    ]


def _bodies(
    model: mujoco.MjModel, actor: Actor, solid: list[int], ground: Ground | None
) -> list[dict[str, Any]]:
    filters = filters_of(model)
    shapes: dict[str, list[dict[str, Any]]] = {}
    for geom in solid:
        shape = {"friction": friction_of(model, geom, ground), "filter": filters[geom]}
        shapes.setdefault(owner_of(model, geom), []).append(shape)
    described = []
    if actor.base:
        one = np.eye(3).flatten().tolist()
        own = shapes.get(actor.base, [])
        described.append(_body(actor.base, 1.0, [0.0] * 3, one, own, _color(model, 0)))
    for body in actor.bodies:
        described.append(
            _body(
                model.body(body).name,
                mjcf.mass_of(model, body),
                model.body_ipos[body].tolist(),
                mjcf.inertia_of(model, body).flatten().tolist(),
                shapes.get(model.body(body).name, []),
                _color(model, body),
            )
        )
    return described


def _body(
    name: str,
    mass: float,
    com: list[float],
    inertia: list[float],
    shapes: list[dict[str, Any]],
    color: list[float],
) -> dict[str, Any]:
    return {
        "name": name,
        "mass": mass,
        "com": com,
        "inertia": inertia,
        "shapes": shapes,
        "color": color,
    }


def _joint(model: mujoco.MjModel, joint: int, drive: Drive | None) -> dict[str, Any]:
    dof = model.jnt_dofadr[joint]
    limited = bool(model.jnt_limited[joint])
    return {
        "name": model.joint(joint).name,
        **gains_of(model, joint, drive)._asdict(),
        "limits": model.jnt_range[joint].tolist() if limited else None,
        "friction": float(model.dof_frictionloss[dof]),
        "armature": float(model.dof_armature[dof]),
    }


def _is_visible(model: mujoco.MjModel, geom: int) -> bool:
    """Returns whether viewers show a geom by default, and Isaac Gym can."""
    return model.geom_group[geom] < 3 and mjcf.can_write(model.geom_type[geom])


def _color(model: mujoco.MjModel, body: int) -> list[float]:
    geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body]
    if body == 0:
        geoms = furniture_of(model)
    shown = [g for g in geoms if _is_visible(model, g)] or geoms
    return [float(value) for value in model.geom_rgba[shown[0]][:3]] if shown else [0.5] * 3
