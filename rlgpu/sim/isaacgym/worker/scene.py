"""Creates a simulation from a scene that is data, and compares what Isaac Gym made of it."""

import math
import os
import tempfile
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
from isaacgym import gymapi

_NAME = "robot"
_CLOSE = 1e-3
"""Relative difference from which a number counts as another one."""


class Built(NamedTuple):
    """A simulation and how its parts are numbered."""

    gym: Any
    sim: Any
    envs: List[Any]
    actors: List[int]
    dof_names: List[str]
    body_names: List[str]
    shape_bodies: List[str]
    """Name of the body that each collision shape belongs to."""
    notes: List[str]
    """What differs from the scene."""


class Refused(Exception):
    """Isaac Gym cannot simulate the scene, or not here; the message says why."""


def build(scene: Dict[str, Any]) -> Built:
    """Creates the simulation, its environments and actors, and prepares it.

    Args:
        scene: As the client describes it.

    Raises:
        Refused: It cannot be created.
    """
    gym = gymapi.acquire_gym()
    device = scene["device"]
    sim = gym.create_sim(
        device["compute"], device["graphics"], gymapi.SIM_PHYSX, _parameters(scene)
    )
    if sim is None:
        raise Refused("create_sim failed")
    if scene["ground"] is not None:
        gym.add_ground(sim, _plane(scene["ground"]))
    asset = _asset(gym, sim, scene)
    dof_names = gym.get_asset_dof_names(asset)
    body_names = gym.get_asset_rigid_body_names(asset)
    shape_bodies = _shape_bodies(gym, asset)
    _check_names("bodies", body_names, [body["name"] for body in scene["bodies"]])
    _check_names("joints", dof_names, [joint["name"] for joint in scene["joints"]])
    _set_shapes(gym, asset, scene, shape_bodies)
    for name in scene["sensors"]:
        properties = gymapi.ForceSensorProperties()
        properties.enable_forward_dynamics_forces = False
        properties.enable_constraint_solver_forces = True
        properties.use_world_frame = False
        gym.create_asset_force_sensor(asset, body_names.index(name), gymapi.Transform(), properties)
    envs, actors = _create(gym, sim, scene, asset)
    _keep_shapes(gym, asset, envs, actors)
    notes = _set_bodies(gym, envs, actors, scene, body_names)
    notes += _set_joints(gym, envs, actors, scene, dof_names)
    if scene["viewer"]:
        _paint(gym, envs, actors, scene, body_names)
    gym.prepare_sim(sim)
    return Built(gym, sim, envs, actors, dof_names, body_names, shape_bodies, notes)


def _parameters(scene: Dict[str, Any]) -> Any:
    device = scene["device"]
    parameters = gymapi.SimParams()
    parameters.dt, parameters.substeps = scene["physics_dt"], 1
    parameters.up_axis = gymapi.UP_AXIS_Z
    parameters.gravity = gymapi.Vec3(*scene["gravity"])
    parameters.use_gpu_pipeline = device["gpu"]
    parameters.physx.use_gpu = device["gpu"]
    parameters.physx.solver_type = 1
    parameters.physx.num_threads = device["num_threads"]
    parameters.physx.num_subscenes = 0
    parameters.physx.num_position_iterations = scene["position_iterations"]
    parameters.physx.num_velocity_iterations = scene["velocity_iterations"]
    parameters.physx.contact_offset = scene["contact_offset"]
    parameters.physx.rest_offset = 0.0
    parameters.physx.bounce_threshold_velocity = 0.2
    parameters.physx.max_depenetration_velocity = scene["max_depenetration_velocity"]
    # Robots by the thousand touch the ground more often than Isaac Gym's defaults provide for.
    parameters.physx.max_gpu_contact_pairs = 8 * 1024 * 1024
    parameters.physx.default_buffer_size_multiplier = 5.0
    parameters.physx.contact_collection = gymapi.ContactCollection(1)  # of the last substep
    return parameters


def _plane(ground: Dict[str, Any]) -> Any:
    plane = gymapi.PlaneParams()
    plane.normal, plane.distance = gymapi.Vec3(*ground["normal"]), ground["distance"]
    plane.static_friction = plane.dynamic_friction = ground["plane_friction"]
    plane.restitution = 0.0
    return plane


def _asset(gym: Any, sim: Any, scene: Dict[str, Any]) -> Any:
    """Returns the asset, with its own looks if possible.

    Whether shapes that touch nothing are only drawn depends on the importer: if it lets them
    collide, the text without them is taken.
    """
    wanted = {body["name"]: len(body["shapes"]) for body in scene["bodies"]}
    for name in ("mjcf_with_looks", "mjcf"):
        asset = _load(gym, sim, scene[name], scene["fixed_base"])
        if asset is None:
            continue
        shapes = _shape_bodies(gym, asset)
        if all(shapes.count(body) == count for body, count in wanted.items()):
            return asset
    raise Refused("Isaac Gym's importer does not load the robot as it is described")


def _load(gym: Any, sim: Any, text: str, is_fixed: bool) -> Any:
    """Returns the asset of a text, which Isaac Gym reads from a file only."""
    options = gymapi.AssetOptions()
    options.fix_base_link = is_fixed
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
            f"{', '.join(wanted)}"
        )


def _set_shapes(gym: Any, asset: Any, scene: Dict[str, Any], owners: List[str]) -> None:
    """Gives shapes friction and filters, which the importer does not read."""
    left = {body["name"]: list(body["shapes"]) for body in scene["bodies"]}
    properties = gym.get_asset_rigid_shape_properties(asset)
    for shape, owner in zip(properties, owners):
        wanted = left[owner].pop(0)
        shape.friction, shape.filter = wanted["friction"], wanted["filter"]
        shape.restitution = 0.0
    gym.set_asset_rigid_shape_properties(asset, properties)


def _keep_shapes(gym: Any, asset: Any, envs: List[Any], actors: List[int]) -> None:
    """Gives actors the asset's friction and filters where creating them has changed these."""
    wanted = gym.get_asset_rigid_shape_properties(asset)
    found = gym.get_actor_rigid_shape_properties(envs[0], actors[0])
    if all((a.friction, a.filter) == (b.friction, b.filter) for a, b in zip(found, wanted)):
        return
    for env, actor in zip(envs, actors):
        properties = gym.get_actor_rigid_shape_properties(env, actor)
        for shape, kept in zip(properties, wanted):
            shape.friction, shape.filter = kept.friction, kept.filter
        gym.set_actor_rigid_shape_properties(env, actor, properties)


def _create(gym: Any, sim: Any, scene: Dict[str, Any], asset: Any) -> Tuple[List[Any], List[int]]:
    half, count = scene["spacing"] / 2, scene["num_envs"]
    lower, upper = gymapi.Vec3(-half, -half, 0.0), gymapi.Vec3(half, half, half)
    pose = gymapi.Transform()
    pose.p, pose.r = gymapi.Vec3(*scene["pose"][:3]), gymapi.Quat(*scene["pose"][3:])
    envs, actors = [], []
    for index in range(count):
        env = gym.create_env(sim, lower, upper, int(math.sqrt(count)) or 1)
        # Own group: environments do not touch each other. Filters are the shapes' own.
        actors.append(gym.create_actor(env, asset, pose, _NAME, index, -1, 0))
        envs.append(env)
    domain = gymapi.DOMAIN_SIM
    found = [gym.get_actor_index(env, actor, domain) for env, actor in zip(envs, actors)]
    if found != list(range(count)):
        raise Refused("Isaac Gym numbers actors otherwise than environments")
    return envs, actors


def _set_bodies(
    gym: Any, envs: List[Any], actors: List[int], scene: Dict[str, Any], names: List[str]
) -> List[str]:
    """Compares masses with the scene's, sets those that differ and returns what still does."""
    wanted = {body["name"]: body for body in scene["bodies"]}
    current = gym.get_actor_rigid_body_properties(envs[0], actors[0])
    if not any(_mass_differs(now, wanted[name]) for name, now in zip(names, current)):
        return []
    for env, actor in zip(envs, actors):
        properties = gym.get_actor_rigid_body_properties(env, actor)
        for name, now in zip(names, properties):
            now.mass = wanted[name]["mass"]
            now.com = gymapi.Vec3(*wanted[name]["com"])
            rows = np.reshape(wanted[name]["inertia"], (3, 3)).tolist()
            now.inertia.x, now.inertia.y, now.inertia.z = (gymapi.Vec3(*row) for row in rows)
        gym.set_actor_rigid_body_properties(env, actor, properties, False)
    current = gym.get_actor_rigid_body_properties(envs[0], actors[0])
    return [
        f"body {name} has a mass of {now.mass:g} kg, an inertia of {_rows(now.inertia)} and its "
        f"centre at {[now.com.x, now.com.y, now.com.z]}; the asset has "
        f"{wanted[name]['mass']:g} kg, {wanted[name]['inertia']} and {wanted[name]['com']}"
        for name, now in zip(names, current)
        if _mass_differs(now, wanted[name])
    ]


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


def _set_joints(
    gym: Any, envs: List[Any], actors: List[int], scene: Dict[str, Any], names: List[str]
) -> List[str]:
    """Sets what the importer drops, by name; returns what is not as it was set."""
    if not names:
        return []
    wanted = {joint["name"]: joint for joint in scene["joints"]}
    properties = gym.get_actor_dof_properties(envs[0], actors[0])
    for index, name in enumerate(names):
        for field, value in dof_fields(wanted[name]).items():
            properties[field][index] = value
    for env, actor in zip(envs, actors):
        gym.set_actor_dof_properties(env, actor, properties)
    found = gym.get_actor_dof_properties(envs[0], actors[0])
    return [
        f"joint {name} has {field} {float(found[field][index]):g} instead of {value:g}"
        for index, name in enumerate(names)
        for field, value in dof_fields(wanted[name]).items()
        if abs(float(found[field][index]) - value) > _CLOSE * max(abs(value), 1e-6)
    ]


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


def _paint(
    gym: Any, envs: List[Any], actors: List[int], scene: Dict[str, Any], names: List[str]
) -> None:
    colors = {body["name"]: body["color"] for body in scene["bodies"]}
    for env, actor in zip(envs, actors):
        for index, name in enumerate(names):
            color = gymapi.Vec3(*colors[name])
            gym.set_rigid_body_color(env, actor, index, gymapi.MESH_VISUAL, color)
