"""Names of Isaac Gym's API that the worker uses, on arrays that only setters change."""

import ctypes
import os
import xml.etree.ElementTree as ET
from enum import IntEnum

import numpy as np

from . import FAULT
from .records import *  # noqa: F403
from .records import (
    DTYPE_FLOAT32,
    AttractorProperties,
    CameraProperties,
    IndexRange,
    RigidBodyProperties,
    RigidShapeProperties,
    SimParams,
    Tensor,
    Transform,
    TriangleMeshParams,
    Vec3,
)

SIM_PHYSX, UP_AXIS_Z, KEY_ESCAPE, KEY_V, MESH_VISUAL = range(5)
DOF_MODE_NONE, DOF_MODE_POS, DOF_MODE_VEL, DOF_MODE_EFFORT = range(4)
ENV_SPACE, DOMAIN_SIM, AXIS_TRANSLATION = range(3)
_DOF = np.dtype(
    [
        ("hasLimits", "?"),
        ("lower", "f4"),
        ("upper", "f4"),
        ("driveMode", "i4"),
        ("velocity", "f4"),
        ("effort", "f4"),
        ("stiffness", "f4"),
        ("damping", "f4"),
        ("friction", "f4"),
        ("armature", "f4"),
    ]
)


class ContactCollection(IntEnum):
    CC_NEVER, CC_LAST_SUBSTEP, CC_ALL_SUBSTEPS = range(3)


class Event:
    """A key that the variable STAND_IN_KEYS has pressed: ``3 QUIT`` is Escape in frame 3."""

    def __init__(self, words):
        self.frame, self.action, self.value = int(words[0]), words[1], 1.0


def _described(array):
    tensor = Tensor()
    tensor.data_address = array.ctypes.data
    tensor.device = 0 if FAULT == "other_device" else -1
    tensor.dtype, tensor.shape, tensor.own_data = DTYPE_FLOAT32, list(array.shape), False
    return tensor


class Sim:
    def __init__(self):
        self.envs, self.prepared = [], False
        self.frame, self.mesh = 0, None

    def actors(self):
        return [actor for env in self.envs for actor in env.actors]


class Env:
    def __init__(self, sim, lower, upper):
        self.sim, self.actors, self.held = sim, [], []
        self.lower, self.upper = lower, upper


class Actor:
    def __init__(self, asset, pose, name):
        self.asset, self.pose, self.name = asset, pose, name
        self.dof_properties = np.zeros(len(asset.dofs), _DOF)
        self.body_properties = asset.properties
        self.shape_properties = [RigidShapeProperties() for _ in asset.shapes]


class Asset:
    """What the importer makes of a file.

    It drops joints and place of the first body, friction, and the turn of principal axes.
    """

    def __init__(self, path, options):
        world = ET.parse(path).getroot().find("worldbody")
        self.fixed, self.weightless = options.fix_base_link, options.disable_gravity
        self.bodies, self.dofs, self.shapes, self.properties = [], [], [], []
        if len(world) != 1:
            raise RuntimeError("only one body below the world is supported")
        self._read(world[0], is_root=True)
        if FAULT == "other_order":
            self.bodies, self.properties = self.bodies[::-1], self.properties[::-1]
            self.dofs = self.dofs[::-1]
        self.sensors = 0

    def _read(self, body, is_root=False):
        self.bodies.append(body.get("name"))
        inertial = body.find("inertial")
        numbers = {k: [float(x) for x in v.split()] for k, v in inertial.attrib.items()}
        self.properties.append(
            RigidBodyProperties(numbers["mass"][0], numbers["pos"], np.diag(numbers["diaginertia"]))
        )
        for geom in body.findall("geom"):
            if (geom.get("contype"), geom.get("conaffinity")) != ("0", "0"):
                self.shapes.append(body.get("name"))
        if not is_root:
            self.dofs += [joint.get("name") for joint in body.findall("joint")]
        for child in body.findall("body"):
            if FAULT != "loses_bodies":
                self._read(child)


def acquire_gym():
    return Gym()


def _is(value, kind):
    if not isinstance(value, kind):
        raise TypeError("incompatible function arguments: " + repr(value)[:60])


class Gym:
    def create_sim(self, compute, graphics, kind, params):
        _is(params, SimParams)
        if FAULT == "no_sim":
            return None
        if FAULT == "unknown_gpu":
            os.write(
                2,
                b"[Error] [carb.gym.plugin] Gym cuda error: no kernel image is available "
                b"for execution on the device: GymPhysXCuda.cu: 1010\n",
            )
        if FAULT == "crash_at_start":
            os.write(1, b"+++ Using GPU PhysX\n")
            ctypes.string_at(0)
        return Sim()

    def add_ground(self, sim, plane):
        _is(sim, Sim)

    def add_triangle_mesh(self, sim, vertices, triangles, params):
        _is(sim, Sim), _is(params, TriangleMeshParams)
        if (vertices.dtype, triangles.dtype) != (np.float32, np.uint32):
            raise TypeError("vertices are float32, triangles uint32")
        if (len(vertices), len(triangles)) != (3 * params.nb_vertices, 3 * params.nb_triangles):
            raise ValueError("numbers of vertices and triangles")
        sim.mesh = params

    def load_asset(self, sim, root, name, options):
        _is(sim, Sim)
        return Asset(os.path.join(root, name), options)

    def get_asset_dof_names(self, asset):
        return list(asset.dofs)

    def get_asset_rigid_body_names(self, asset):
        return list(asset.bodies)

    def get_asset_rigid_shape_count(self, asset):
        return len(asset.shapes)

    def get_asset_rigid_body_shape_indices(self, asset):
        found, start = [], 0
        for name in asset.bodies:
            found.append(IndexRange(start, asset.shapes.count(name)))
            start += asset.shapes.count(name)
        return found

    def get_asset_rigid_shape_properties(self, asset):
        return [RigidShapeProperties() for _ in asset.shapes]

    def set_asset_rigid_shape_properties(self, asset, properties):
        asset.shape_properties = properties

    def create_asset_force_sensor(self, asset, body, pose, properties):
        _is(pose, Transform)
        asset.sensors += 1

    def create_env(self, sim, lower, upper, per_row):
        _is(sim, Sim), _is(lower, Vec3), _is(per_row, int)
        sim.envs.append(Env(sim, lower, upper))
        return sim.envs[-1]

    def create_actor(self, env, asset, pose, name, group, filter, segmentation):
        _is(env, Env), _is(pose, Transform)
        env.actors.append(Actor(asset, pose, name))
        return len(env.actors) - 1

    def create_rigid_body_attractor(self, env, properties):
        _is(env, Env), _is(properties, AttractorProperties), _is(properties.rigid_handle, int)
        _is(properties.offset, Transform), _is(properties.target, Transform)
        env.held.append(properties)
        return len(env.held) - 1

    def find_actor_rigid_body_handle(self, env, actor, name):
        return env.actors[actor].asset.bodies.index(name)

    def get_actor_index(self, env, actor, domain):
        _is(env, Env)
        return env.sim.actors().index(env.actors[actor]) + (FAULT == "numbering")

    def get_actor_dof_properties(self, env, actor):
        _is(env, Env)
        return env.actors[actor].dof_properties.copy()

    def set_actor_dof_properties(self, env, actor, properties):
        _is(env, Env), _is(properties, np.ndarray)
        if FAULT != "deaf":
            env.actors[actor].dof_properties = properties.copy()
        return True

    def get_actor_rigid_body_properties(self, env, actor):
        _is(env, Env)
        return [
            RigidBodyProperties(
                p.mass,
                [p.com.x, p.com.y, p.com.z],
                [[row.x, row.y, row.z] for row in (p.inertia.x, p.inertia.y, p.inertia.z)],
            )
            for p in env.actors[actor].body_properties
        ]

    def set_actor_rigid_body_properties(self, env, actor, properties, recompute):
        _is(env, Env)
        if FAULT != "deaf":
            env.actors[actor].body_properties = properties
        return True

    def get_actor_rigid_shape_properties(self, env, actor):
        _is(env, Env)
        return env.actors[actor].shape_properties

    def set_actor_rigid_shape_properties(self, env, actor, properties):
        _is(env, Env)
        env.actors[actor].shape_properties = properties
        return True

    def prepare_sim(self, sim):
        _is(sim, Sim)
        sim.prepared = True
        assets = [actor.asset for actor in sim.actors()]
        bodies = sum(len(asset.bodies) for asset in assets)
        # Where each actor's rows begin among all degrees of freedom.
        sim.first_dof = np.cumsum([0] + [len(asset.dofs) for asset in assets])
        sim.root = np.full((len(assets), 13), 7.0, "f4")  # it may move actors
        sim.dof = np.zeros((sim.first_dof[-1], 2), "f4")
        sim.bodies = np.zeros((bodies, 13), "f4")
        sim.contacts = np.zeros((bodies, 3), "f4")
        sim.wrenches = np.zeros((sum(asset.sensors for asset in assets), 6), "f4")
        sim.pending = {}

    def acquire_actor_root_state_tensor(self, sim):
        return _described(sim.root)

    def acquire_dof_state_tensor(self, sim):
        return _described(sim.dof)

    def acquire_rigid_body_state_tensor(self, sim):
        return _described(sim.bodies)

    def acquire_net_contact_force_tensor(self, sim):
        return _described(sim.contacts)

    def acquire_force_sensor_tensor(self, sim):
        return _described(sim.wrenches)

    def _refresh(self, sim):
        _is(sim, Sim)
        return True

    refresh_actor_root_state_tensor = refresh_dof_state_tensor = _refresh
    refresh_rigid_body_state_tensor = refresh_net_contact_force_tensor = _refresh
    refresh_force_sensor_tensor = _refresh

    def set_actor_root_state_tensor_indexed(self, sim, states, ids, count):
        return self._set(sim, "root", states, ids, count)

    def set_dof_state_tensor_indexed(self, sim, states, ids, count):
        return self._set(sim, "dof", states, ids, count)

    def _set(self, sim, name, states, ids, count):
        _is(sim, Sim), _is(states, Tensor), _is(ids, Tensor), _is(count, int)
        sim.pending[name] = (states, ids, count)  # replaces an earlier one before simulate
        return True

    def set_dof_actuation_force_tensor(self, sim, tensor):
        _is(sim, Sim), _is(tensor, Tensor)
        return True

    def set_dof_position_target_tensor(self, sim, tensor):
        _is(sim, Sim), _is(tensor, Tensor)
        return FAULT != "refuses"

    def apply_rigid_body_force_tensors(self, sim, force, torque, space):
        _is(sim, Sim), _is(force, Tensor)
        return True

    def simulate(self, sim):
        _is(sim, Sim)
        sim.frame += 1
        if sim.frame > 20:
            if FAULT == "crash":
                ctypes.string_at(0)
            if FAULT == "hang":
                ctypes.PyDLL(None).sleep(100000)  # in native code, Python locked
            if FAULT == "noise":
                os.write(1, b"[Warning] [carb.gym.plugin] again\n" * 1000)
        for name, (states, ids, count) in sim.pending.items():
            into = getattr(sim, name)
            values = states.array().reshape(into.shape)
            for actor in ids.array().reshape(-1)[:count]:
                start, end = actor, actor + 1
                if name == "dof":
                    start, end = sim.first_dof[actor], sim.first_dof[actor + 1]
                into[start:end] = values[start:end]
        sim.pending = {}

    def fetch_results(self, sim, wait):
        _is(sim, Sim), _is(wait, bool)

    def destroy_sim(self, sim):
        _is(sim, Sim)

    def create_viewer(self, sim, camera):
        _is(sim, Sim), _is(camera, CameraProperties)
        keys = os.environ.get("STAND_IN_KEYS")
        if keys is None:
            return None
        self._sim = sim
        self._keys = [Event(words.split()) for words in keys.split(",") if words]
        return object()

    def subscribe_viewer_keyboard_event(self, viewer, key, action):
        _is(key, int)

    def viewer_camera_look_at(self, viewer, env, position, target):
        _is(position, Vec3), _is(target, Vec3)

    def set_rigid_body_color(self, env, actor, body, mesh, color):
        _is(env, Env), _is(color, Vec3)

    def query_viewer_has_closed(self, viewer):
        return False

    def query_viewer_action_events(self, viewer):
        due = [key for key in self._keys if key.frame <= self._sim.frame]
        self._keys = [key for key in self._keys if key not in due]
        return due

    def step_graphics(self, sim):
        _is(sim, Sim)

    def draw_viewer(self, viewer, sim, render_collision):
        os.write(1, b"drawn %d\n" % sim.frame)

    def sync_frame_time(self, sim):
        _is(sim, Sim)

    def poll_viewer_events(self, viewer):
        pass

    def destroy_viewer(self, viewer):
        pass
