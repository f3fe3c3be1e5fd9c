"""One actor of every environment: its asset, and what the importer of assets drops."""

import os
import tempfile
from typing import Any, Dict, List

import numpy as np
from isaacgym import gymapi

from .refusal import Refused

_CLOSE = 1e-3
"""Relative difference from which a number counts as another one."""


class Actor:
    """An actor of the client's scene, created once in each environment."""

    def __init__(self, gym: Any, sim: Any, described: Dict[str, Any]) -> None:
        """Loads its asset.

        Args:
            gym: Isaac Gym.
            sim: The simulation.
            described: As the client describes it.

        Raises:
            Refused: The importer makes something else of it.
        """
        self.described = described
        self._gym = gym
        self.bodies = {body["name"]: body for body in described["bodies"]}
        self._asset = _asset(gym, sim, described)
        self.dof_names: List[str] = gym.get_asset_dof_names(self._asset)
        self.body_names: List[str] = gym.get_asset_rigid_body_names(self._asset)
        self.shape_names = _shape_bodies(gym, self._asset)
        """Name of the body that each collision shape belongs to."""
        self.sensor_names: List[str] = described["sensors"]
        self.handles: List[int] = []
        """Its number in each environment."""
        _check_names("bodies", self.body_names, list(self.bodies))
        _check_names("joints", self.dof_names, [joint["name"] for joint in described["joints"]])
        self._set_shapes()
        for name in self.sensor_names:
            properties = gymapi.ForceSensorProperties()
            properties.enable_forward_dynamics_forces = False
            properties.enable_constraint_solver_forces = True
            properties.use_world_frame = False
            body = self.body_names.index(name)
            gym.create_asset_force_sensor(self._asset, body, gymapi.Transform(), properties)

    def _set_shapes(self) -> None:
        """Gives shapes friction and filters, which the importer does not read."""
        left = {name: list(body["shapes"]) for name, body in self.bodies.items()}
        properties = self._gym.get_asset_rigid_shape_properties(self._asset)
        for shape, owner in zip(properties, self.shape_names):
            wanted = left[owner].pop(0)
            shape.friction, shape.filter = wanted["friction"], wanted["filter"]
            shape.restitution = 0.0
        self._gym.set_asset_rigid_shape_properties(self._asset, properties)

    def create(self, env: Any, index: int) -> None:
        """Creates it in an environment, by its index."""
        at = self.described["pose"]
        pose = gymapi.Transform()
        pose.p, pose.r = gymapi.Vec3(*at[:3]), gymapi.Quat(*at[3:])
        # Own group: environments do not touch each other. Filters are the shapes' own.
        name = self.described["name"]
        self.handles.append(self._gym.create_actor(env, self._asset, pose, name, index, -1, 0))

    def finish(self, envs: List[Any]) -> List[str]:
        """Sets what creating it has dropped in all environments; returns what still differs."""
        self._keep_shapes(envs)
        return self._set_bodies(envs) + self._set_joints(envs)

    def _keep_shapes(self, envs: List[Any]) -> None:
        """Gives actors the asset's friction and filters where creating them has changed these."""
        gym = self._gym
        wanted = gym.get_asset_rigid_shape_properties(self._asset)
        found = gym.get_actor_rigid_shape_properties(envs[0], self.handles[0])
        if all((a.friction, a.filter) == (b.friction, b.filter) for a, b in zip(found, wanted)):
            return
        for env, handle in zip(envs, self.handles):
            properties = gym.get_actor_rigid_shape_properties(env, handle)
            for shape, kept in zip(properties, wanted):
                shape.friction, shape.filter = kept.friction, kept.filter
            gym.set_actor_rigid_shape_properties(env, handle, properties)

    def _set_bodies(self, envs: List[Any]) -> List[str]:
        """Compares masses with the scene's, sets those that differ and returns what still does."""
        gym, names, wanted = self._gym, self.body_names, self.bodies
        current = gym.get_actor_rigid_body_properties(envs[0], self.handles[0])
        if not any(_mass_differs(now, wanted[name]) for name, now in zip(names, current)):
            return []
        for env, handle in zip(envs, self.handles):
            properties = gym.get_actor_rigid_body_properties(env, handle)
            for name, now in zip(names, properties):
                now.mass = wanted[name]["mass"]
                now.com = gymapi.Vec3(*wanted[name]["com"])
                rows = np.reshape(wanted[name]["inertia"], (3, 3)).tolist()
                now.inertia.x, now.inertia.y, now.inertia.z = (gymapi.Vec3(*row) for row in rows)
            gym.set_actor_rigid_body_properties(env, handle, properties, False)
        current = gym.get_actor_rigid_body_properties(envs[0], self.handles[0])
        return [
            f"body {name} has a mass of {now.mass:g} kg, an inertia of {_rows(now.inertia)} and "
            f"its centre at {[now.com.x, now.com.y, now.com.z]}; the asset has "
            f"{wanted[name]['mass']:g} kg, {wanted[name]['inertia']} and {wanted[name]['com']}"
            for name, now in zip(names, current)
            if _mass_differs(now, wanted[name])
        ]

    def _set_joints(self, envs: List[Any]) -> List[str]:
        """Sets what the importer drops, by name; returns what is not as it was set."""
        gym, names = self._gym, self.dof_names
        if not names:
            return []
        wanted = {joint["name"]: joint for joint in self.described["joints"]}
        properties = gym.get_actor_dof_properties(envs[0], self.handles[0])
        for index, name in enumerate(names):
            for field, value in dof_fields(wanted[name]).items():
                properties[field][index] = value
        for env, handle in zip(envs, self.handles):
            gym.set_actor_dof_properties(env, handle, properties)
        found = gym.get_actor_dof_properties(envs[0], self.handles[0])
        return [
            f"joint {name} has {field} {float(found[field][index]):g} instead of {value:g}"
            for index, name in enumerate(names)
            for field, value in dof_fields(wanted[name]).items()
            if abs(float(found[field][index]) - value) > _CLOSE * max(abs(value), 1e-6)
        ]

    def paint(self, envs: List[Any]) -> None:
        """Gives its bodies the asset's colours."""
        for env, handle in zip(envs, self.handles):
            for index, name in enumerate(self.body_names):
                color = gymapi.Vec3(*self.bodies[name]["color"])
                self._gym.set_rigid_body_color(env, handle, index, gymapi.MESH_VISUAL, color)


def _asset(gym: Any, sim: Any, described: Dict[str, Any]) -> Any:
    """Returns the asset, with its own looks if possible.

    Whether shapes that touch nothing are only drawn depends on the importer: if it lets them
    collide, the text without them is taken.
    """
    wanted = {body["name"]: len(body["shapes"]) for body in described["bodies"]}
    for name in ("mjcf_with_looks", "mjcf"):
        asset = _load(gym, sim, described, described[name])
        if asset is None:
            continue
        shapes = _shape_bodies(gym, asset)
        if all(shapes.count(body) == count for body, count in wanted.items()):
            return asset
    raise Refused(f"Isaac Gym's importer does not load {described['name']} as described", "asset")


def _load(gym: Any, sim: Any, described: Dict[str, Any], text: str) -> Any:
    """Returns the asset of a text, which Isaac Gym reads from a file only."""
    options = gymapi.AssetOptions()
    options.fix_base_link = described["fixed_base"]
    options.disable_gravity = described["weightless"]
    options.collapse_fixed_joints = False
    options.angular_damping = options.linear_damping = 0.0
    options.armature = 0.0
    options.thickness = 0.0  # by default shapes come to rest 2 cm from each other
    options.default_dof_drive_mode = int(gymapi.DOF_MODE_NONE)
    with tempfile.TemporaryDirectory(prefix="rlgpu-isaacgym-") as folder:
        with open(os.path.join(folder, "robot.xml"), "w") as file:
            file.write(text)
        return gym.load_asset(sim, folder, "robot.xml", options)


def _shape_bodies(gym: Any, asset: Any) -> List[str]:
    """Returns the name of the body that each collision shape belongs to."""
    names = gym.get_asset_rigid_body_names(asset)
    owners = [""] * gym.get_asset_rigid_shape_count(asset)
    for name, shapes in zip(names, gym.get_asset_rigid_body_shape_indices(asset)):
        for index in range(shapes.start, shapes.start + shapes.count):
            owners[index] = name
    return owners


def _check_names(kind: str, found: List[str], wanted: List[str]) -> None:
    if sorted(found) != sorted(wanted):
        raise Refused(
            f"Isaac Gym's importer made the {kind} {', '.join(found)} of the scene's "
            f"{', '.join(wanted)}",
            kind,
        )


def _rows(matrix: Any) -> List[float]:
    return [value for row in (matrix.x, matrix.y, matrix.z) for value in (row.x, row.y, row.z)]


def _mass_differs(now: Any, wanted: Dict[str, Any]) -> bool:
    com = [now.com.x, now.com.y, now.com.z]
    # All of it: the importer drops the orientation of a body's principal axes.
    expected = np.array(wanted["inertia"])
    return not (
        abs(now.mass - wanted["mass"]) <= _CLOSE * wanted["mass"]
        and np.allclose(com, wanted["com"], atol=1e-4)
        and np.allclose(
            _rows(now.inertia), expected, rtol=_CLOSE, atol=_CLOSE * float(expected.max())
        )
    )


def dof_fields(joint: Dict[str, Any]) -> Dict[str, float]:
    """Returns Isaac Gym's properties of a joint of the scene."""
    modes = {
        "passive": gymapi.DOF_MODE_EFFORT,
        "effort": gymapi.DOF_MODE_EFFORT,
        "position": gymapi.DOF_MODE_POS,
    }
    fields = {
        "driveMode": float(int(modes[joint["mode"]])),
        "stiffness": joint["stiffness"],
        "damping": joint["damping"],
        "effort": joint["effort"],
        "friction": joint["friction"],
        "armature": joint["armature"],
        "hasLimits": float(joint["limits"] is not None),
    }
    if joint["limits"] is not None:
        fields["lower"], fields["upper"] = joint["limits"]
    return fields
