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
    model = model_of(world, env)
    data = mujoco.MjData(model)
    for name, values in world.pose_of(env.index).items():
        getattr(data, name)[:] = values
    mujoco.mj_kinematics(model, data)
    joints = world.group_of(env)[0].layout.joints
    return data.xanchor[joints], data.xaxis[joints]


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
