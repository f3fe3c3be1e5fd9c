"""Describes a scene as data for the worker: asset, masses, shapes, drives, ground, settings."""

from __future__ import annotations

from typing import Any, NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.isaacgym import mjcf
from rlgpu.sim.isaacgym.collision import Ground, filters_of, friction_of, ground_of, solid_geoms
from rlgpu.sim.mujoco.layout import SCALAR_JOINTS
from rlgpu.sim.mujoco.readout import XYZW
from rlgpu.sim.scene import Drive, SceneSpec, Timing

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
    """Returns the numbers of a joint's drive."""
    own = float(model.dof_damping[model.jnt_dofadr[joint]])
    if drive is None:
        return JointGains("passive", 0.0, own, _NO_LIMIT)
    limit = min(drive.effort_limit, _NO_LIMIT)
    if drive.mode == "effort":
        return JointGains("effort", 0.0, own, limit)
    return JointGains("position", drive.stiffness, drive.damping + own, limit)


def describe(
    model: mujoco.MjModel, scene: SceneSpec, timing: Timing, num_envs: int, settings: Any,
    *, gpu: int, viewer: bool,
) -> dict[str, Any]:  # fmt: skip
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
    solid = solid_geoms(model)
    looks = [
        geom
        for geom in range(model.ngeom)
        if model.geom_bodyid[geom] and (geom in solid or _is_visible(model, geom))
    ]
    ground = ground_of(model, varies="friction" in scene.parameters)
    return {
        "mjcf": mjcf.write(model, solid),
        "mjcf_with_looks": mjcf.write(model, looks),
        "fixed_base": not mjcf.is_free(model),
        "pose": _pose(model),
        "bodies": _bodies(model, solid, ground),
        "joints": [
            _joint(model, joint, scene.drives.get(model.joint(joint).name))
            for joint in range(model.njnt)
            if model.jnt_type[joint] in map(int, SCALAR_JOINTS)
        ],
        "sensors": list(scene.wrench_bodies),
        "ground": ground._asdict() if ground else None,
        "gravity": model.opt.gravity.tolist(),
        "num_envs": num_envs,
        "physics_dt": timing.physics_dt,
        "decimation": timing.decimation,
        "spacing": settings.env_spacing,
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


def _pose(model: mujoco.MjModel) -> list[float]:
    """Returns where the root is created: position and quaternion (x, y, z, w)."""
    if mjcf.needs_base(model):
        return [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    pos, quat = model.body_pos[1], model.body_quat[1]
    return [*pos.tolist(), *quat[XYZW].tolist()]


def _bodies(model: mujoco.MjModel, solid: list[int], ground: Ground | None) -> list[dict[str, Any]]:
    filters = filters_of(model)
    described = []
    if mjcf.needs_base(model):
        one = np.eye(3).flatten().tolist()
        described.append(_body(mjcf.BASE, 1.0, [0.0, 0.0, 0.0], one, [], [0.5, 0.5, 0.5]))
    for body in range(1, model.nbody):
        shapes = [
            {"friction": friction_of(model, geom, ground), "filter": filters[geom]}
            for geom in solid
            if model.geom_bodyid[geom] == body
        ]
        described.append(
            _body(
                model.body(body).name,
                mjcf.mass_of(model, body),
                model.body_ipos[body].tolist(),
                mjcf.inertia_of(model, body).flatten().tolist(),
                shapes,
                _color(model, body),
            )
        )
    return described


def _body(
    name: str, mass: float, com: list[float], inertia: list[float],
    shapes: list[dict[str, Any]], color: list[float],
) -> dict[str, Any]:  # fmt: skip
    return {
        "name": name, "mass": mass, "com": com, "inertia": inertia, "shapes": shapes,
        "color": color,
    }  # fmt: skip


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
    shown = [g for g in geoms if _is_visible(model, g)] or geoms
    return [float(value) for value in model.geom_rgba[shown[0]][:3]] if shown else [0.5] * 3
