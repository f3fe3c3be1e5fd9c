"""The fused engine's tables of joints that are more than one number: ball and free joints."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from rlgpu.sim.mujoco.specials import is_disabled

_JOINT = mujoco.mjtJoint


def joints_of(model: mujoco.MjModel, *kinds: mujoco.mjtJoint) -> list[int]:
    """Returns the ids of the joints of some kinds, in the model's order."""
    return [i for i in range(model.njnt) if mujoco.mjtJoint(model.jnt_type[i]) in kinds]


def moving_dofs(model: mujoco.MjModel) -> tuple[list[int], list[int], list[int]]:
    """Returns joint, dof and place in ``qpos`` of each dof whose velocity is that of a number.

    These are the hinges, the slides, and the translations of free joints.
    """
    found = []
    for joint in joints_of(model, _JOINT.mjJNT_HINGE, _JOINT.mjJNT_SLIDE, _JOINT.mjJNT_FREE):
        dof, qpos = int(model.jnt_dofadr[joint]), int(model.jnt_qposadr[joint])
        count = 3 if model.jnt_type[joint] == _JOINT.mjJNT_FREE else 1
        found += [(joint, dof + k, qpos + k) for k in range(count)]
    joints, dofs, places = ([entry[k] for entry in found] for k in range(3))
    return joints, dofs, places


def ball_spring_tables(model: mujoco.MjModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the tables of indices and of constants of rotations with springs."""
    stiff = [
        joint
        for joint in joints_of(model, _JOINT.mjJNT_BALL, _JOINT.mjJNT_FREE)
        if model.jnt_stiffness[joint] != 0 and not is_disabled(model, "SPRING")
    ]
    moved = np.array([3 * (model.jnt_type[joint] == _JOINT.mjJNT_FREE) for joint in stiff], int)
    places = model.jnt_qposadr[stiff] + moved
    ints = {"sprung_dof": model.jnt_dofadr[stiff] + moved, "sprung_qpos": places}
    return ints, {
        "sprung_stiffness": model.jnt_stiffness[stiff],
        "sprung_ref": [model.qpos_spring[place : place + 4] for place in places],
    }
