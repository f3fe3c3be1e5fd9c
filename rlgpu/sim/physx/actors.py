"""Divides a model into actors, as Isaac Gym has them: each one tree, free or fixed.

What is fixed to the world is one actor below a common base; every free body with what hangs on it
is one of its own; shapes of the world itself, other than its ground, are furniture.
"""

from __future__ import annotations

from typing import NamedTuple

import mujoco

from rlgpu.sim.mujoco.layout import free_joint, scalar_joints
from rlgpu.sim.physx.collision import FURNITURE, furniture_of

BASE = "rlgpu_base"
"""Body that holds trees which are not free; its mass does not matter, as it is fixed."""


class Actor(NamedTuple):
    """One actor of every environment, by ids of the model."""

    name: str
    bodies: tuple[int, ...]
    """Its bodies, parents first."""
    base: str
    """Name of the body that is added above them; empty: the first of them is its root."""
    is_free: bool
    joints: tuple[int, ...]
    """Its hinges and slides."""

    def body_names(self, model: mujoco.MjModel) -> list[str]:
        """Returns the names of its bodies, the base's first."""
        names = [model.body(body).name for body in self.bodies]
        return [self.base, *names] if self.base else names


def actors_of(model: mujoco.MjModel) -> list[Actor]:
    """Returns the actors of each environment, in the order in which they are created."""
    trees: dict[int, list[int]] = {}
    for body in range(1, model.nbody):
        trees.setdefault(int(model.body_rootid[body]), []).append(body)
    free = [root for root in trees if free_joint(model, root) >= 0]
    fixed = [root for root in trees if root not in free]
    actors = [_actor(model, trees[root], is_free=True) for root in free]
    if fixed:
        bodies = sorted(body for root in fixed for body in trees[root])
        needs_base = len(fixed) > 1 or model.body_jntnum[fixed[0]] > 0
        actors.insert(0, _actor(model, bodies, base=BASE if needs_base else ""))
    if furniture_of(model):
        actors.append(Actor(FURNITURE, (), FURNITURE, is_free=False, joints=()))
    return actors


def _actor(
    model: mujoco.MjModel, bodies: list[int], *, base: str = "", is_free: bool = False
) -> Actor:
    joints = [joint for joint in scalar_joints(model) if model.jnt_bodyid[joint] in bodies]
    return Actor(model.body(bodies[0]).name, tuple(bodies), base, is_free, tuple(joints))
