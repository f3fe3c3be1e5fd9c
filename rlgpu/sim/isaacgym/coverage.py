"""Which models Isaac Gym simulates as MuJoCo would: the reasons against a model, all at once."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from rlgpu.sim.isaacgym import mjcf
from rlgpu.sim.isaacgym.collision import filters_of, ground_of, solid_geoms
from rlgpu.sim.mujoco.layout import SCALAR_JOINTS
from rlgpu.sim.mujoco.pairs import colliding_pairs
from rlgpu.sim.mujoco.specials import special_elements, special_options
from rlgpu.sim.scene import SceneSpec


def refusals(model: mujoco.MjModel, scene: SceneSpec) -> list[str]:
    """Returns what in a scene Isaac Gym cannot simulate, or this engine cannot hand over."""
    return [
        *_scene(scene),
        *special_elements(model),
        *special_options(model),
        *_trees(model),
        *_joints(model),
        *_contacts(model),
    ]


def _scene(scene: SceneSpec) -> Iterator[str]:
    if scene.objects:
        yield "it has objects beside the robot"
    if scene.force_bodies:
        yield "its task pushes bodies (force_bodies)"
    if scene.terrain is not None:
        yield "it has uneven ground (terrain)"
    if "body_com" in scene.parameters:
        yield "its centres of mass vary"
    if scene.jacobian_body:
        yield "its task needs a Jacobian"
    if scene.root:
        yield "its robot is not the first body"


def _trees(model: mujoco.MjModel) -> Iterator[str]:
    frees = int((model.jnt_type == mujoco.mjtJoint.mjJNT_FREE).sum())
    if frees > int(mjcf.is_free(model)):
        yield "it has a free body besides the robot"
    if mjcf.is_free(model) and mjcf.needs_base(model):
        yield "it has a second tree beside a robot that moves freely"
    unnamed = [body for body in range(1, model.nbody) if not model.body(body).name]
    if unnamed or not all(model.joint(joint).name for joint in _scalar(model)):
        yield "it has bodies or joints without a name"


def _scalar(model: mujoco.MjModel) -> list[int]:
    return [j for j in range(model.njnt) if model.jnt_type[j] in map(int, SCALAR_JOINTS)]


def _joints(model: mujoco.MjModel) -> Iterator[str]:
    scalar = _scalar(model)
    if any(model.qpos0[model.jnt_qposadr[joint]] for joint in scalar):
        yield "a joint has a reference position (ref)"
    if any(model.jnt_stiffness[joint] for joint in scalar):
        yield "a joint has a spring (stiffness); use a position drive"
    if model.jnt_stiffnesspoly.any() or model.dof_dampingpoly.any():
        yield "it has joints with polynomial stiffness or damping"
    of_free = ~np.isin(model.dof_jntid, scalar)
    if model.dof_damping[of_free].any() or model.dof_frictionloss[of_free].any():
        yield "its free joint has damping or friction"
    for body in range(1, model.nbody):
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        if count < 2:
            continue
        axes, anchors = (x[first : first + count] for x in (model.jnt_axis, model.jnt_pos))
        products = axes @ axes.T - np.eye(count)
        if count > 3 or not np.allclose(products, 0, atol=1e-6) or np.ptp(anchors, axis=0).any():
            # The importer could not turn them into one joint of PhysX.
            yield (
                f"body {model.body(body).name} has more than three joints, or joints at different "
                "points or not at right angles; put a body between them"
            )


def _contacts(model: mujoco.MjModel) -> Iterator[str]:
    solid = solid_geoms(model)
    kinds = {mujoco.mjtGeom(model.geom_type[geom]) for geom in solid}
    if wrong := sorted(kind.name[7:].lower() for kind in kinds if not mjcf.can_write(kind)):
        yield f"it has colliding shapes of type {', '.join(wrong)}"
    pairs = colliding_pairs(model)
    if any(max(model.geom_condim[[pair.geom1, pair.geom2]]) != 3 for pair in pairs):
        yield "it has contacts without friction, or with torsional or rolling friction (condim)"
    if len({int(model.geom_priority[geom]) for geom in solid}) > 1:
        yield "it has geoms of different priorities"
    for pair in pairs:
        bodies = model.geom_bodyid[[pair.geom1, pair.geom2]]
        parents = model.body_parentid[bodies]
        if bodies.all() and (parents[0] == bodies[1] or parents[1] == bodies[0]):
            names = " and ".join(model.body(int(body)).name for body in bodies)
            yield f"bodies {names} may touch, which PhysX never lets a body and its child do"
    try:
        ground_of(model)
        filters_of(model)
    except ValueError as error:
        yield str(error)
