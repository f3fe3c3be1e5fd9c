"""One environment in MuJoCo's own objects, for questions that are seldom asked."""

from __future__ import annotations

import copy

import mujoco
import numpy as np

from rlgpu.isaacgym.records.scene import Env
from rlgpu.isaacgym.simulation.world import World
from rlgpu.sim.mujoco.worlds import DERIVING_FIELDS


def dof_frames(world: World, env: Env) -> tuple[np.ndarray, np.ndarray]:
    """Returns origins [m] and axes of an environment's DOFs now, shape [D, 3] each."""
    _, data = _posed(world, env)
    joints = world.layout_of(env).joints
    return data.xanchor[joints], data.xaxis[joints]


def joint_poses(world: World, env: Env) -> np.ndarray:
    """Returns the frames of the joints that hold an environment's bodies now, shape [B, 7].

    An origin is the anchor of the body's first joint, or the body's origin if the body is fixed to
    its parent [m]. The axes are the body's, a quaternion (x, y, z, w).
    """
    model, data = _posed(world, env)
    bodies = np.asarray(world.layout_of(env).places.bodies)
    poses = np.concatenate([data.xpos[bodies], np.roll(data.xquat[bodies], -1, axis=1)], axis=1)
    for row, body in zip(poses, bodies, strict=True):
        if model.body_jntnum[body] and model.body_dofnum[body] <= 3:
            anchor = model.jnt_pos[model.body_jntadr[body]]
            row[:3] += data.xmat[body].reshape(3, 3) @ anchor
    return poses


def _posed(world: World, env: Env) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """Returns an environment's model, and data with the poses of its bodies and joints now."""
    model = model_of(world, env)
    data = mujoco.MjData(model)
    for name, values in world.pose_of(env.index).items():
        getattr(data, name)[:] = values
    mujoco.mj_kinematics(model, data)
    return model, data


def model_of(world: World, env: Env) -> mujoco.MjModel:
    """Returns the model of an environment, with what differs between worlds."""
    model = copy.copy(world.group_of(env)[0].worlds.model)
    for name in world.fields:
        values = world.varying_field(name, env).cpu().numpy()
        owner, field = (model.opt, name[4:]) if name.startswith("opt.") else (model, name)
        getattr(owner, field)[: len(values)] = values
    if DERIVING_FIELDS & set(world.fields):
        mujoco.mj_setConst(model, mujoco.MjData(model))
    return model
