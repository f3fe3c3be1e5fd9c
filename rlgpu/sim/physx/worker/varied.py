"""Gives environments their own values of physical parameters, one actor after the other."""

from typing import Any

import numpy as np
from isaacgym import gymapi

from .actors import Actor
from .refusal import Refused
from .scene import Built


class Parameters:
    """Writes parameters by the names of the client's scene."""

    def __init__(self, built: Built) -> None:
        """Remembers the simulation."""
        self._built, self._gym = built, built.gym

    def write(self, name: str, values: Any) -> None:
        """Gives every environment its values.

        Args:
            name: ``mass``, ``com``, ``friction``, ``stiffness``, ``damping`` or ``armature``.
            values: By body, shape or joint, in Isaac Gym's order, shape [N, ...]; three numbers
                for each centre of mass.
        """
        of_bodies, of_shapes, of_joints = "body_names", "shape_names", "dof_names"
        write, parts, width = {
            "mass": (self._write_mass, of_bodies, 1),
            "com": (self._write_com, of_bodies, 3),
            "friction": (self._write_friction, of_shapes, 1),
        }.get(name, (self._write_joints, of_joints, 1))
        start = 0
        for actor in self._built.actors:
            end = start + width * len(getattr(actor, parts))
            if end > start:
                for row, env, handle in zip(values, self._built.envs, actor.handles):
                    write(actor, env, handle, name, row[start:end])
                if name == "mass":
                    self._check_mass(actor, values[0][start:end])
            start = end

    def _check_mass(self, actor: Actor, masses: Any) -> None:
        """Refuses to go on with masses that Isaac Gym has not taken over."""
        env, handle = self._built.envs[0], actor.handles[0]
        found = self._gym.get_actor_rigid_body_properties(env, handle)
        for body, name, mass in zip(found, actor.body_names, masses):
            if abs(body.mass - float(mass)) > 1e-3 * float(mass):
                said = f"Isaac Gym keeps a mass of {body.mass:g} kg for {name}"
                raise Refused(said, "mass")

    def _write_mass(self, actor: Actor, env: Any, handle: int, _: str, masses: Any) -> None:
        properties = self._gym.get_actor_rigid_body_properties(env, handle)
        for body, name, mass in zip(properties, actor.body_names, masses):
            asset = actor.bodies[name]
            body.mass = float(mass)
            inertia = np.reshape(asset["inertia"], (3, 3)) * (float(mass) / asset["mass"])
            rows = (gymapi.Vec3(*row) for row in inertia.tolist())
            body.inertia.x, body.inertia.y, body.inertia.z = rows
        self._gym.set_actor_rigid_body_properties(env, handle, properties, False)

    def _write_com(self, actor: Actor, env: Any, handle: int, _: str, centres: Any) -> None:
        # What was written cannot be checked: on a GPU, PhysX obeys and the getter does not tell.
        properties = self._gym.get_actor_rigid_body_properties(env, handle)
        for body, com in zip(properties, np.reshape(centres, (-1, 3)).tolist()):
            body.com = gymapi.Vec3(*com)
        self._gym.set_actor_rigid_body_properties(env, handle, properties, False)

    def _write_friction(self, actor: Actor, env: Any, handle: int, _: str, frictions: Any) -> None:
        properties = self._gym.get_actor_rigid_shape_properties(env, handle)
        for shape, friction in zip(properties, frictions):
            shape.friction = float(friction)
        self._gym.set_actor_rigid_shape_properties(env, handle, properties)

    def _write_joints(self, actor: Actor, env: Any, handle: int, name: str, values: Any) -> None:
        properties = self._gym.get_actor_dof_properties(env, handle)
        properties[name] = values
        self._gym.set_actor_dof_properties(env, handle, properties)
