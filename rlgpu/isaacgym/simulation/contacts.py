"""Single contacts of an environment, from MuJoCo's own contact list."""

from __future__ import annotations

import mujoco
import numpy as np

from rlgpu.isaacgym.records.properties import RigidContact
from rlgpu.isaacgym.records.scene import Env
from rlgpu.isaacgym.simulation.snapshots import model_of
from rlgpu.isaacgym.simulation.world import World

NO_BODY = -1
"""Stands for the ground, a terrain and their environment."""


def list_contacts(world: World, env: Env) -> np.ndarray:
    """Returns the contacts that act in the state now, layout ``RigidContact.dtype``.

    MuJoCo C computes them on any engine. Normals point from the first body to the second, in the
    environment's axes; local positions are on the surfaces, in the bodies' frames.

    Args:
        world: The running simulation.
        env: One of its environments.
    """
    model, data, index = _solve(world, env)
    active = _active(data)
    table = np.zeros(len(active), dtype=RigidContact.dtype)
    force = np.zeros(6)
    for row, i in zip(table, active, strict=True):
        contact = data.contact[i]
        mujoco.mj_contactForce(model, data, i, force)
        normal = contact.frame[:3]
        for side, (geom, sign) in enumerate(zip(contact.geom, (-0.5, 0.5), strict=True)):
            body = int(model.geom_bodyid[geom])
            row[f"body{side}"] = index[body]
            row[f"env{side}"] = env.index if index[body] >= 0 else NO_BODY
            point = contact.pos + sign * contact.dist * normal - data.xpos[body]
            row[f"localPos{side}"] = tuple(data.xmat[body].reshape(3, 3).T @ point)
        row["normal"], row["lambda"] = tuple(normal), force[0]
        row["initialOverlap"], row["lambdaFriction"] = -contact.dist, tuple(np.abs(force[1:3]))
        row["friction"], row["torsionFriction"] = contact.friction[0], contact.friction[2]
        row["rollingFriction"] = contact.friction[3]
    return table


def net_forces(world: World, env: Env) -> np.ndarray:
    """Returns the sum of the contact forces on each body now [N], shape [B, 3], float32.

    Args:
        world: The running simulation.
        env: One of its environments.
    """
    model, data, index = _solve(world, env)
    total, force = np.zeros((env.num_bodies, 3), np.float32), np.zeros(6)
    for i in _active(data):
        contact = data.contact[i]
        mujoco.mj_contactForce(model, data, i, force)
        on_second = contact.frame.reshape(3, 3).T @ force[:3]
        for geom, sign in zip(contact.geom, (-1.0, 1.0), strict=True):
            body = index[model.geom_bodyid[geom]]
            if body >= 0:
                total[body] += sign * on_second
    return total


def _active(data: mujoco.MjData) -> list[int]:
    """Returns the contacts that may push."""
    return [i for i, contact in enumerate(data.contact) if contact.efc_address >= 0]


def _solve(world: World, env: Env) -> tuple[mujoco.MjModel, mujoco.MjData, np.ndarray]:
    """Returns an environment's model, its state with contact forces, and handles of its bodies.

    Handles are those of MuJoCo's bodies, in their order.
    """
    model = model_of(world, env)
    data = mujoco.MjData(model)
    for name, values in world.state_of(env).items():
        getattr(data, name)[:] = values
    mujoco.mj_forward(model, data)
    index = np.full(model.nbody, NO_BODY)
    index[world.layout_of(env).places.bodies] = np.arange(env.num_bodies)
    return model, data, index
