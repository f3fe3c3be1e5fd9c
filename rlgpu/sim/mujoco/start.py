"""What a scene's model says about the pose in which episodes start: ground, overlaps, free root."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.layout import free_joint, root_body
from rlgpu.sim.scene import SceneSpec
from rlgpu.sim.simulator import Mirror


class Overlap(NamedTuple):
    """The deepest overlap of two bodies."""

    depth: float
    """Depth [m]; 0 without any."""
    body: str
    other: str
    """The other body's name, or ``the ground`` for what is fixed to the world."""


class RootFacts(NamedTuple):
    """How the robot's root is attached."""

    body: str
    is_free: bool
    free_bodies: tuple[str, ...]
    """All bodies with a free joint."""
    pos_w: np.ndarray
    """Position of the root in the model's own pose [m], shape [3]."""
    quat_w: np.ndarray
    """Its orientation there, (x, y, z, w), shape [4]."""


def root_facts(model: mujoco.MjModel, scene: SceneSpec) -> RootFacts:
    """Returns how the robot's root is attached, and where it is in the asset."""
    root = root_body(model, scene)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    free = [i for i in range(1, model.nbody) if free_joint(model, i) >= 0]
    return RootFacts(
        body=model.body(root).name,
        is_free=root in free,
        free_bodies=tuple(model.body(i).name for i in free),
        pos_w=data.xpos[root].copy(),
        quat_w=data.xquat[root][[1, 2, 3, 0]],
    )


def may_fall(model: mujoco.MjModel, scene: SceneSpec) -> bool:
    """Returns whether gravity pulls the robot and nothing in the model can ever hold it."""
    root = root_body(model, scene)
    ties = model.neq + model.ntendon + model.nmocap + model.npair
    weightless = model.opt.gravity[2] >= 0 or model.body_gravcomp.any()
    medium = model.opt.density > 0 or model.opt.viscosity > 0
    if free_joint(model, root) < 0 or ties or weightless or medium:
        return False
    if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_CONTACT:
        return True
    robot = _robot_geoms(model, root)
    fixed = np.flatnonzero(model.body_weldid[model.geom_bodyid] == 0)
    kinds, others = model.geom_contype, model.geom_conaffinity
    return not any((kinds[a] & others[b]) or (kinds[b] & others[a]) for a in robot for b in fixed)


def roomless_limits(model: mujoco.MjModel) -> dict[str, tuple[float, float]]:
    """Returns the limits, by joint, that leave no room, for which MuJoCo takes none.

    Limits of 0 and 0 are those of a joint that has none.
    """
    low, high = model.jnt_range.T
    wanted = (low > high) | ((low == high) & (low != 0.0))
    chosen = np.flatnonzero(wanted & ~model.jnt_limited.astype(bool))
    return {model.joint(i).name: (float(low[i]), float(high[i])) for i in chosen}


def drives_are_off(model: mujoco.MjModel) -> bool:
    """Returns whether the model's options switch all actuators off."""
    return bool(model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_ACTUATION)


def robot_size(mirror: Mirror, scene: SceneSpec) -> float:
    """Returns the largest side of the box around the robot's geoms in the pose shown [m]."""
    geoms = _robot_geoms(mirror.model, root_body(mirror.model, scene))
    if not len(geoms):
        return 0.0
    centres, radii = mirror.data.geom_xpos[geoms], mirror.model.geom_rbound[geoms, None]
    return float(((centres + radii).max(0) - (centres - radii).min(0)).max())


def overlaps(mirror: Mirror) -> tuple[Overlap, Overlap]:
    """Returns the deepest overlap with the ground, and between moving bodies, in the pose shown."""
    model, data = mirror.model, mirror.data
    mujoco.mj_collision(model, data)
    with_ground, others = Overlap(0.0, "", ""), Overlap(0.0, "", "")
    for depth, body, other in _contacts(model, data):
        if model.body_weldid[other] == 0:
            if depth > with_ground.depth:
                with_ground = Overlap(depth, model.body(body).name, "the ground")
        elif depth > others.depth:
            others = Overlap(depth, model.body(body).name, model.body(other).name)
    return with_ground, others


def _contacts(model: mujoco.MjModel, data: mujoco.MjData) -> Iterator[tuple[float, int, int]]:
    """Yields the depth of each overlap and the bodies, one fixed to the world as the second."""
    for contact in data.contact:
        if contact.dist >= 0.0 or contact.exclude or min(contact.geom) < 0:
            continue
        first, second = (int(model.geom_bodyid[geom]) for geom in contact.geom)
        if model.body_weldid[first] == 0:
            first, second = second, first
        yield -float(contact.dist), first, second


def _robot_geoms(model: mujoco.MjModel, root: int) -> np.ndarray:
    """Returns the ids of the robot's geoms that can touch something."""
    of_robot = model.body_rootid[model.geom_bodyid] == model.body_rootid[root]
    return np.flatnonzero(of_robot & ((model.geom_contype > 0) | (model.geom_conaffinity > 0)))
