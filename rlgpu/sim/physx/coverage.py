"""Which models Isaac Gym simulates as MuJoCo would: the reasons against a model, all at once."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from rlgpu.errors import Reason, UnsupportedModel
from rlgpu.sim.mujoco.layout import free_joint, root_body, scalar_joints
from rlgpu.sim.mujoco.pairs import colliding_pairs
from rlgpu.sim.mujoco.specials import special_elements, special_options
from rlgpu.sim.physx import mjcf
from rlgpu.sim.physx.actors import actors_of
from rlgpu.sim.physx.collision import filters_of, ground_of, solid_geoms
from rlgpu.sim.scene import SceneSpec


def refusals(model: mujoco.MjModel, scene: SceneSpec) -> list[str]:
    """Returns what in a scene Isaac Gym cannot simulate, or this engine cannot hand over."""
    return [
        *special_elements(model, other_than=("equality constraints", "gravity compensation")),
        *special_options(model),
        *_constraints(model),
        *_weights(model),
        *_choices(scene),
        *_trees(model, scene),
        *_joints(model, scene),
        *_contacts(model, scene),
    ]


def _constraints(model: mujoco.MjModel) -> Iterator[Reason]:
    """Yields what is not a point of a body held at a place in the world."""
    connect, body = mujoco.mjtEq.mjEQ_CONNECT, mujoco.mjtObj.mjOBJ_BODY
    for i in range(model.neq):
        ends = int(model.eq_obj1id[i]), int(model.eq_obj2id[i])
        is_hold = model.eq_type[i] == connect and model.eq_objtype[i] == body
        if not (is_hold and ends[0] > 0 and ends[1] == 0 and model.eq_active0[i]):
            said = "it has equality constraints other than connect of a body to the world"
            yield Reason(said, "equality")
            return


def _weights(model: mujoco.MjModel) -> Iterator[Reason]:
    """Yields actors of which gravity acts on some bodies only."""
    for actor in actors_of(model):
        heavy = [body for body in actor.bodies if model.body_mass[body] > 0]
        shares = {float(model.body_gravcomp[body]) for body in heavy}
        if len(shares) > 1 or shares - {0.0, 1.0}:
            said = f"it has gravity compensation of some bodies of {actor.name}, not all in full"
            yield Reason(said, "gravity_compensation")


def _choices(scene: SceneSpec) -> Iterator[Reason]:
    """Yields objects that are another body in another environment."""
    for bodies in scene.choices:
        if len(bodies) > 1:
            said = f"its environments have one of several objects, {', '.join(bodies)}"
            yield Reason(said, "object_choice")


def _trees(model: mujoco.MjModel, scene: SceneSpec) -> Iterator[Reason]:
    root = root_body(model, scene)
    roots = {body for body in range(1, model.nbody) if model.body_rootid[body] == body}
    known = {root, *(model.body(name).id for name in scene.object_bodies)}
    for body in sorted(roots - known):
        if free_joint(model, body) >= 0:
            yield Reason(
                f"body {model.body(body).name} moves freely, and is neither the robot's root nor "
                "among the task's objects",
                "free_body",
            )
    if root not in roots:
        said = f"the robot's root, {model.body(root).name}, is a part of another body"
        yield Reason(said, "root")
    unnamed = [body for body in range(1, model.nbody) if not model.body(body).name]
    if unnamed or not all(model.joint(joint).name for joint in scalar_joints(model)):
        yield Reason("it has bodies or joints without a name", "unnamed")


def _joints(model: mujoco.MjModel, scene: SceneSpec) -> Iterator[Reason]:
    scalar = scalar_joints(model)
    if any(model.qpos0[model.jnt_qposadr[joint]] for joint in scalar):
        yield Reason("a joint has a reference position (ref)", "reference")
    for joint in scalar:
        if not model.jnt_stiffness[joint]:
            continue
        name = model.joint(joint).name
        drive = scene.drives.get(name)
        if model.qpos_spring[model.jnt_qposadr[joint]]:
            said = f"joint {name} has a spring that rests at another position than 0 (springref)"
            yield Reason(said, "spring_reference")
        if drive is not None and drive.mode == "position":
            said = f"joint {name} has a spring (stiffness) beside its position drive"
            yield Reason(said, "spring_and_drive")
    if model.jnt_stiffnesspoly.any() or model.dof_dampingpoly.any():
        yield Reason("it has joints with polynomial stiffness or damping", "polynomial")
    of_free = ~np.isin(model.dof_jntid, scalar)
    if model.dof_damping[of_free].any() or model.dof_frictionloss[of_free].any():
        yield Reason("its free joint has damping or friction", "free_joint")
    for body in range(1, model.nbody):
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        if count < 2:
            continue
        axes, anchors = (x[first : first + count] for x in (model.jnt_axis, model.jnt_pos))
        products = axes @ axes.T - np.eye(count)
        if count > 3 or not np.allclose(products, 0, atol=1e-6) or np.ptp(anchors, axis=0).any():
            # The importer could not turn them into one joint of PhysX.
            yield Reason(
                f"body {model.body(body).name} has more than three joints, or joints at different "
                "points or not at right angles; put a body between them",
                "joint_axes",
            )


def _contacts(model: mujoco.MjModel, scene: SceneSpec) -> Iterator[str]:
    solid = solid_geoms(model)
    kinds = {mujoco.mjtGeom(model.geom_type[geom]) for geom in solid}
    if wrong := sorted(kind.name[7:].lower() for kind in kinds if not mjcf.can_write(kind)):
        yield Reason(f"it has colliding shapes of type {', '.join(wrong)}", "shapes")
    pairs = colliding_pairs(model)
    if any(max(model.geom_condim[[pair.geom1, pair.geom2]]) not in (3, 4) for pair in pairs):
        said = "it has contacts without friction, or with rolling friction (condim)"
        yield Reason(said, "friction")
    if len({int(model.geom_priority[geom]) for geom in solid}) > 1:
        yield Reason("it has geoms of different priorities", "priority")
    for pair in pairs:
        bodies = model.geom_bodyid[[pair.geom1, pair.geom2]]
        parents = model.body_parentid[bodies]
        if bodies.all() and (parents[0] == bodies[1] or parents[1] == bodies[0]):
            names = " and ".join(model.body(int(body)).name for body in bodies)
            said = f"bodies {names} may touch, which PhysX never lets a body and its child do"
            yield Reason(said, "parent_and_child")
    try:
        ground = ground_of(model)
        filters_of(model)
        if ground and not ground.is_plane and scene.terrain is None:
            said = "its ground is a height field of its file, not the task's terrain"
            yield Reason(said, "height_field")
    except UnsupportedModel as error:
        yield from error.reasons
