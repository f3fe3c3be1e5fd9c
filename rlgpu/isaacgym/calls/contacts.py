"""Calls that list single contacts and contact forces, as NumPy arrays."""

from __future__ import annotations

import numpy as np

from rlgpu.isaacgym.calls.checks import strict
from rlgpu.isaacgym.calls.simulation import world_of
from rlgpu.isaacgym.drawing.viewer import Viewer
from rlgpu.isaacgym.records.geometry import Quat, Transform, Vec3
from rlgpu.isaacgym.records.properties import RigidContact
from rlgpu.isaacgym.records.scene import Env, Sim
from rlgpu.isaacgym.simulation.contacts import list_contacts, net_forces


@strict
class ContactCalls:
    """Contacts of single environments. Slow: for a few environments, not for each step of many."""

    def get_env_rigid_contacts(self, env: Env) -> np.ndarray:
        """Returns an environment's contacts now, layout ``RigidContact.dtype``.

        ``lambda`` is the normal force [N]. Bodies are the environment's handles, -1 is the ground.
        """
        return list_contacts(world_of(env.sim), env)

    def get_rigid_contacts(self, sim: Sim) -> np.ndarray:
        """Returns the contacts of all environments, one environment after another."""
        found = [self.get_env_rigid_contacts(env) for env in sim.envs]
        return np.concatenate([np.zeros(0, RigidContact.dtype), *found])

    def get_env_rigid_contact_forces(self, env: Env) -> np.ndarray:
        """Returns the net contact force on each of an environment's bodies now [N]."""
        return net_forces(world_of(env.sim), env).view(Vec3.dtype).reshape(-1)

    def get_rigid_contact_forces(self, sim: Sim) -> np.ndarray:
        """Returns the net contact force on each body of all environments now [N]."""
        found = [self.get_env_rigid_contact_forces(env) for env in sim.envs]
        return np.concatenate([np.zeros(0, Vec3.dtype), *found])

    def draw_env_rigid_contacts(
        self, viewer: Viewer | None, env: Env, color: Vec3, scale: float, root: bool
    ) -> None:
        """Draws an environment's contacts as lines along the normals.

        Args:
            viewer: Where they are drawn; None draws nothing.
            env: The environment.
            color: Red, green and blue, 0 to 1.
            scale: Length of a line [m] for a normal force of 1 N.
            root: Whether lengths grow with the square root of the force.
        """
        if viewer is None:
            return
        contacts = self.get_env_rigid_contacts(env)
        normals = np.stack([contacts["normal"][axis] for axis in "xyz"], axis=-1)
        starts = np.array([_place(env, contact) for contact in contacts]).reshape(-1, 3)
        forces = contacts["lambda"]
        ends = starts + scale * (np.sqrt(forces) if root else forces)[:, None] * normals
        viewer.add_lines(env, starts, ends, np.tile(list(color), (len(starts), 1)))


def _place(env: Env, contact: np.void) -> list[float]:
    """Returns where a contact is in its environment [m]."""
    point, body = Vec3.from_buffer(contact["localPos1"]), int(contact["body1"])
    if body < 0:
        return list(point)
    first = env.sim.start(env).bodies
    row = world_of(env.sim).acquire("rigid_body_state")[first + body].tolist()
    return list(Transform(Vec3(*row[:3]), Quat(*row[3:7])).transform_point(point))
