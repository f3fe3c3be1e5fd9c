"""Gives environments their own values of physical parameters, one actor after the other."""

from typing import Any, Dict

import numpy as np
from isaacgym import gymapi

from .scene import Built


class Parameters:
    """Writes parameters by the names of the client's scene."""

    def __init__(self, built: Built, scene: Dict[str, Any]) -> None:
        """Remembers the scene's own values."""
        self._built = built
        self._bodies = {body["name"]: body for body in scene["bodies"]}
        self._joints = [joint["name"] for joint in scene["joints"]]

    def write(self, name: str, values: Any) -> None:
        """Gives every environment its values.

        Args:
            name: ``mass``, ``friction``, ``stiffness``, ``damping`` or ``armature``.
            values: By body, shape or joint, in Isaac Gym's order, shape [N, ...].
        """
        each = {"mass": self._write_mass, "friction": self._write_friction}.get(name)
        for index, (env, actor) in enumerate(zip(self._built.envs, self._built.actors)):
            if each is None:
                self._write_joints(env, actor, name, values[index])
            else:
                each(env, actor, values[index])
        if name == "mass":
            self._check_mass(values[0])

    def _check_mass(self, masses: Any) -> None:
        """Refuses to go on with masses that Isaac Gym has not taken over."""
        built = self._built
        found = built.gym.get_actor_rigid_body_properties(built.envs[0], built.actors[0])
        for body, name, mass in zip(found, built.body_names, masses):
            if abs(body.mass - float(mass)) > 1e-3 * float(mass):
                raise RuntimeError(f"Isaac Gym keeps a mass of {body.mass:g} kg for {name}")

    def _write_mass(self, env: Any, actor: int, masses: Any) -> None:
        gym = self._built.gym
        properties = gym.get_actor_rigid_body_properties(env, actor)
        for body, name, mass in zip(properties, self._built.body_names, masses):
            asset = self._bodies[name]
            body.mass = float(mass)
            inertia = np.reshape(asset["inertia"], (3, 3)) * (float(mass) / asset["mass"])
            rows = (gymapi.Vec3(*row) for row in inertia.tolist())
            body.inertia.x, body.inertia.y, body.inertia.z = rows
        gym.set_actor_rigid_body_properties(env, actor, properties, False)

    def _write_friction(self, env: Any, actor: int, frictions: Any) -> None:
        gym = self._built.gym
        properties = gym.get_actor_rigid_shape_properties(env, actor)
        for shape, friction in zip(properties, frictions):
            shape.friction = float(friction)
        gym.set_actor_rigid_shape_properties(env, actor, properties)

    def _write_joints(self, env: Any, actor: int, name: str, values: Any) -> None:
        gym = self._built.gym
        properties = gym.get_actor_dof_properties(env, actor)
        properties[name] = values[: len(self._joints)]
        gym.set_actor_dof_properties(env, actor, properties)
