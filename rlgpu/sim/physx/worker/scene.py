"""Creates a simulation from a scene that is data: ground, environments, and their actors."""

import base64
import math
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
from isaacgym import gymapi

from .actors import Actor
from .refusal import Refused

_HOLD = {"stiffness": 5e7, "damping": 5e3}
"""Gains that hold a point of a body in place [N/m, N s/m]; those of IsaacGymEnvs' BallBalance."""


class Built(NamedTuple):
    """A simulation and how its parts are numbered in each environment."""

    gym: Any
    sim: Any
    envs: List[Any]
    actors: List[Actor]
    """The actors of each environment, in the order in which they are created."""
    notes: List[str]
    """What differs from the scene."""

    def names(self, kind: str) -> List[str]:
        """Returns ``dof_names``, ``body_names``, ... of all actors of an environment."""
        return [name for actor in self.actors for name in getattr(actor, kind)]


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
        raise Refused("create_sim failed", "create_sim")
    if scene["ground"] is not None:
        _add_ground(gym, sim, scene)
    actors = [Actor(gym, sim, described) for described in scene["actors"]]
    envs = _create(gym, sim, scene, actors)
    notes = [note for actor in actors for note in actor.finish(envs)]
    for actor in actors:
        _hold(gym, envs, actor)
        if scene["viewer"]:
            actor.paint(envs)
    gym.prepare_sim(sim)
    return Built(gym, sim, envs, actors, notes)


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


def _add_ground(gym: Any, sim: Any, scene: Dict[str, Any]) -> None:
    ground, terrain = scene["ground"], scene["terrain"]
    if terrain is None:
        plane = gymapi.PlaneParams()
        plane.normal, plane.distance = gymapi.Vec3(0.0, 0.0, 1.0), -ground["height"]
        _give_friction(plane, ground)
        gym.add_ground(sim, plane)
        return
    vertices, triangles = _mesh(terrain)
    mesh = gymapi.TriangleMeshParams()
    mesh.nb_vertices, mesh.nb_triangles = len(vertices), len(triangles)
    mesh.transform.p = gymapi.Vec3(terrain["corner"][0], terrain["corner"][1], 0.0)
    _give_friction(mesh, ground)
    gym.add_triangle_mesh(sim, vertices.flatten(), triangles.flatten(), mesh)


def _give_friction(surface: Any, ground: Dict[str, Any]) -> None:
    surface.static_friction = surface.dynamic_friction = ground["own_friction"]
    surface.restitution = 0.0


def _mesh(terrain: Dict[str, Any]) -> Tuple[Any, Any]:
    """Returns vertices, float32 [V, 3], and triangles, uint32 [T, 3], of a grid of heights.

    Cells are cut from their lowest to their highest corner, as MuJoCo cuts them.
    """
    rows, columns = terrain["shape"]
    heights = np.frombuffer(base64.b64decode(terrain["heights"]), "<f4").reshape(rows, columns)
    x, y = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    spacing = terrain["spacing"]
    vertices = np.stack((x * spacing, y * spacing, heights), axis=-1).reshape(-1, 3)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    across = corner + columns + 1
    triangles = np.stack((corner, across, corner + 1, corner, corner + columns, across), axis=-1)
    return vertices.astype(np.float32), triangles.reshape(-1, 3).astype(np.uint32)


def _create(gym: Any, sim: Any, scene: Dict[str, Any], actors: List[Actor]) -> List[Any]:
    """Creates the environments with an actor of each kind; returns them."""
    half, count = scene["spacing"] / 2, scene["num_envs"]
    lower, upper = gymapi.Vec3(-half, -half, 0.0), gymapi.Vec3(half, half, half)
    envs = []
    for index in range(count):
        envs.append(gym.create_env(sim, lower, upper, int(math.sqrt(count)) or 1))
        for actor in actors:
            actor.create(envs[-1], index)
    numbers = [
        gym.get_actor_index(env, actor.handles[index], gymapi.DOMAIN_SIM)
        for index, env in enumerate(envs)
        for actor in actors
    ]
    if numbers != list(range(count * len(actors))):
        said = "Isaac Gym numbers actors otherwise than in the order of their creation"
        raise Refused(said, "numbering")
    return envs


def _hold(gym: Any, envs: List[Any], actor: Actor) -> None:
    """Holds points of an actor's bodies at places in the world, by stiff springs."""
    for held in actor.described["holds"]:
        for env, handle in zip(envs, actor.handles):
            spring = gymapi.AttractorProperties()
            spring.axes = gymapi.AXIS_TRANSLATION
            spring.stiffness, spring.damping = _HOLD["stiffness"], _HOLD["damping"]
            spring.rigid_handle = gym.find_actor_rigid_body_handle(env, handle, held["body"])
            # Records are given whole: their parts may be copies.
            offset, target = gymapi.Transform(), gymapi.Transform()
            offset.p, target.p = gymapi.Vec3(*held["offset"]), gymapi.Vec3(*held["target"])
            spring.offset, spring.target = offset, target
            gym.create_rigid_body_attractor(env, spring)
