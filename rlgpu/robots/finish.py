"""Turns a specification that a file gave into a robot."""

from __future__ import annotations

import mujoco

from rlgpu.robots.actuators import drives_of, take_actuators
from rlgpu.robots.inertia import read_masses, write_masses
from rlgpu.robots.joints import (
    check_limits,
    compile_moving,
    open_balls,
    settle_springs,
    timed_joints,
)
from rlgpu.robots.robot import SCALAR_JOINTS, STAND_IN, Actuator, Drive, ReadOptions, Robot
from rlgpu.robots.shapes import (
    drop_drawn_meshes,
    drop_looks,
    drop_unreadable,
    settle_fitted,
)

_CYLINDER, _CAPSULE = mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE


def finish(
    file: str,
    spec: mujoco.MjSpec,
    options: ReadOptions,
    drives: dict[str, Drive] | None = None,
    links: dict[str, str] | None = None,
    owners: dict[str, str] | None = None,
) -> Robot:
    """Returns the robot of a specification, which becomes its own.

    Args:
        file: What it was read from, for messages.
        spec: Bodies, joints and geoms; changed in place.
        options: How to load it.
        drives: What else is known of its joints, by name.
        links: Names of the joints that hold bodies to their parents, by body.
        owners: Names of the geoms that are the first convex parts of shapes, by further parts.

    Raises:
        ValueError: It is not one articulation of hinges and slides.
    """
    _check_roots(file, spec)
    _name_all(file, spec)
    check_limits(file, spec)
    for geom in list(spec.geoms):
        if options.replace_cylinder_with_capsule and geom.type == _CYLINDER:
            geom.type = _CAPSULE
    if not options.visuals:
        drop_looks(spec)
    drop_unreadable(spec)
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0 if options.disable_gravity else body.gravcomp
    try:
        masses = read_masses(file, spec, options)
        if not options.visuals:
            drop_drawn_meshes(spec)
        write_masses(spec, masses, turned=options.fix_base_link)
        settle_fitted(spec)
        actuators: tuple[Actuator, ...] = ()
        if spec.actuators or timed_joints(spec):
            moving = compile_moving(spec, fixed=options.fix_base_link)
            settle_springs(spec, moving)
            actuators = take_actuators(spec, moving)
        for joint in spec.joints:
            joint.armature = max(joint.armature, options.armature)
        known = dict(drives or {}) | drives_of(actuators)
        return Robot(file, spec, known, actuators, links or {}, owners or {})
    except ValueError as error:
        raise ValueError(f"{file} cannot be compiled: {' '.join(str(error).split())}") from error


def _check_roots(file: str, spec: mujoco.MjSpec) -> None:
    """Refuses specifications without a single body under the world."""
    roots = list(spec.worldbody.bodies)
    if len(roots) != 1:
        names = ", ".join(body.name or "(unnamed)" for body in roots) or "none"
        raise ValueError(
            f"{file} is not one articulation: bodies under the world are {names}. Parts meant to "
            "be included in other files cannot be loaded alone; split scenes into an asset each"
        )


def _name_all(file: str, spec: mujoco.MjSpec) -> None:
    """Gives names to what has none, and refuses joints that the API's tensors cannot hold."""
    for i, body in enumerate(spec.bodies[1:]):
        body.name = body.name or (STAND_IN if i == 0 else f"body_{i}")
    for i, geom in enumerate(spec.geoms):
        geom.name = geom.name or f"shape_{i}"
    for i, tendon in enumerate(spec.tendons):
        tendon.name = tendon.name or f"tendon_{i}"
    for i, joint in enumerate(spec.joints):
        joint.name = joint.name or f"joint_{i}"
    open_balls(file, spec)
    for joint in spec.joints:
        if joint.type not in SCALAR_JOINTS:
            kind = mujoco.mjtJoint(joint.type).name.removeprefix("mjJNT_").lower()
            raise ValueError(
                f"{file}: joint {joint.name} is a {kind} joint, which a DOF tensor of positions "
                "cannot hold; use three hinges"
            )
