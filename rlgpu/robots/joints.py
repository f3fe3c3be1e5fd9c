"""Joints of assets: limits, springs and the free joint of a root."""

from __future__ import annotations

import mujoco
import numpy as np

from rlgpu.robots.reports import report

PLAY = 1e-3
"""Play of a joint whose limits are equal [rad, degrees or m]; MuJoCo wants a range."""


def add_free_joint(root: mujoco.MjsBody, name: str) -> None:
    """Frees a root, whose pose stays that of the body that the file describes."""
    free = root.add_freejoint(name=name, align=mujoco.mjtAlignFree.mjALIGNFREE_FALSE)
    # Files give defaults to joints, which are not meant for this one.
    free.armature, free.frictionloss = 0.0, 0.0
    free.stiffness, free.damping = np.zeros(3), np.zeros(3)


def ball_axes(name: str) -> tuple[str, str, str]:
    """Returns the names of the hinges that stand for a ball joint, about x, y and z."""
    return f"{name}_x", f"{name}_y", f"{name}_z"


def open_balls(file: str, spec: mujoco.MjSpec) -> None:
    """Replaces ball joints by three hinges each: a DOF is a number with a velocity.

    The hinges turn about x, then about the turned y, then z. They move as the ball does, except
    where the second stands at 90 degrees and the other two have one axis.
    """
    for joint in list(spec.joints):
        if joint.type != mujoco.mjtJoint.mjJNT_BALL:
            continue
        names = ball_axes(joint.name)
        for name, axis in zip(names, np.eye(3), strict=True):
            hinge = joint.parent.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis)
            hinge.pos, hinge.limited = joint.pos, mujoco.mjtLimited.mjLIMITED_FALSE
            hinge.ref = hinge.springref = 0.0
            hinge.stiffness, hinge.damping = joint.stiffness, joint.damping
            hinge.armature, hinge.frictionloss = joint.armature, joint.frictionloss
        report(f"{file}: ball joint {joint.name} is three hinges here: {', '.join(names)}")
        for actuator in list(spec.actuators):
            if actuator.target == joint.name:
                report(f"{file}: actuator {actuator.name} of a ball joint is left out")
                spec.delete(actuator)
        spec.delete(joint)


def check_limits(file: str, spec: mujoco.MjSpec) -> None:
    """Locks joints whose limits are equal, and reports them and those whose limits are reversed.

    MuJoCo would silently take both for joints without limits.
    """
    limits = mujoco.mjtLimited
    for joint in spec.joints:
        low, high = joint.range.tolist()
        is_implied = joint.limited == limits.mjLIMITED_AUTO and spec.compiler.autolimits
        if joint.limited == limits.mjLIMITED_TRUE or (is_implied and (low or high)):
            if low > high:
                report(
                    f"{file}: joint {joint.name} has the limits {low:g} to {high:g}, which are "
                    "reversed; it has none here"
                )
                joint.limited = limits.mjLIMITED_FALSE
            elif low == high or (low, high) == (-PLAY, PLAY):
                middle = (low + high) / 2
                report(f"{file}: joint {joint.name} is locked at {middle:g}: its limits are equal")
                joint.range = [middle - PLAY, middle + PLAY]


def compile_moving(spec: mujoco.MjSpec, *, fixed: bool) -> mujoco.MjModel:
    """Returns the model of a specification whose root floats or is fixed."""
    whole = spec.copy()
    if not fixed:
        add_free_joint(whole.bodies[1], "")
    whole.compiler.LRopt.mode = mujoco.mjtLRMode.mjLRMODE_NONE  # slow, and not needed
    return whole.compile()


def timed_joints(spec: mujoco.MjSpec) -> list[mujoco.MjsJoint]:
    """Returns the joints whose springs are given by times instead of stiffness and damping."""
    return [joint for joint in spec.joints if np.any(joint.springdamper)]


def settle_springs(spec: mujoco.MjSpec, moving: mujoco.MjModel) -> None:
    """Makes springs explicit whose times are given, because these depend on the root's freedom.

    Args:
        spec: Changed in place.
        moving: Its model, as it moves.
    """
    timed = timed_joints(spec)
    for joint in timed:
        joint.springdamper = [0, 0]
    still = spec.compile()
    for name in (joint.name for joint in timed):
        row, given = still.joint(name).id, moving.joint(name).id
        still.jnt_stiffness[row] = moving.jnt_stiffness[given]
        still.dof_damping[still.jnt_dofadr[row]] = moving.dof_damping[moving.jnt_dofadr[given]]
    spec.copy_back(still)
