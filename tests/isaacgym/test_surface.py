"""Every call of ``gymapi.Gym``, with what scripts pass: Python's values, NumPy's and records."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scenes import GYM, at, ids, new_env, new_sim, run, unwrap, wrapped

from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.calls.unsupported import REASONS
from rlgpu.isaacgym.runner.coverage import calls

ROBOT = """<mujoco><worldbody><body name="base"><geom size="0.1"/>
<body name="arm"><joint name="hinge" axis="0 1 0"/><geom size="0.1" pos="0 0 0.5" mass="1"/>
</body></body></worldbody><actuator><motor name="motor" joint="hinge" gear="5"/></actuator>
<tendon><fixed name="rope" stiffness="1"><joint joint="hinge" coef="1"/></fixed></tendon>
</mujoco>"""

NEED_A_WINDOW = {
    "clear_lines",
    "create_viewer",
    "destroy_viewer",
    "draw_env_rigid_contacts",
    "draw_viewer",
    "get_viewer_camera_handle",
    "get_viewer_camera_transform",
    "get_viewer_mouse_position",
    "get_viewer_size",
    "poll_viewer_events",
    "query_viewer_action_events",
    "query_viewer_has_closed",
    "subscribe_viewer_keyboard_event",
    "subscribe_viewer_mouse_event",
    "viewer_camera_look_at",
    "write_viewer_image_to_file",
    "add_lines",
}
"""Tested on a window that records, in ``test_window.py``."""
NEED_OPENGL = {
    "get_camera_image",
    "get_camera_image_gpu_tensor",
    "render_all_camera_sensors",
    "write_camera_image_to_file",
}
"""Tested where there is OpenGL, in ``test_runner.py``."""
BEFORE = {
    "add_ground",
    "add_heightfield",
    "add_triangle_mesh",
    "begin_aggregate",
    "create_actor",
    "create_aggregate",
    "create_asset_force_sensor",
    "create_env",
    "create_rigid_body_attractor",
    "destroy_env",
    "set_actor_fixed_tendon_joint_coefficients",
    "set_actor_scale",
    "set_actor_tendon_offset",
}
"""Calls that belong before ``prepare_sim``."""
IDLE = {
    "begin_aggregate",
    "create_aggregate",
    "create_texture_from_buffer",
    "create_texture_from_file",
    "end_access_image_tensors",
    "end_aggregate",
    "fetch_results",
    "free_texture",
    "get_rigid_body_texture",
    "poll_viewer_events",
    "refresh_dof_force_tensor",
    "refresh_force_sensor_tensor",
    "refresh_jacobian_tensors",
    "refresh_mass_matrix_tensors",
    "refresh_net_contact_force_tensor",
    "refresh_rigid_body_state_tensor",
    "set_light_parameters",
    "set_rigid_body_texture",
    "set_sim_device",
    "start_access_image_tensors",
    "step_graphics",
    "subscribe_viewer_mouse_event",
    "sync_frame_time",
}
"""Calls that do nothing here."""


def scene(folder, *, prepared):
    """Returns a simulation of two robots and balls, and what calls about it need."""
    (folder / "robot.xml").write_text(ROBOT)
    sim, options = new_sim("auto", ground=prepared), gymapi.AssetOptions()
    options.fix_base_link = True
    asset = GYM.load_asset(sim, str(folder), "robot.xml", options)
    GYM.create_asset_force_sensor(asset, 1, at())
    ball, envs = GYM.create_sphere(sim, 0.1, None), []
    for i in range(2):
        envs.append(new_env(sim))
        GYM.create_actor(envs[-1], asset, at(z=1.0), "robot", i, 0)
        GYM.create_actor(envs[-1], ball, at(x=2.0, z=0.1), "ball", i, 0)
        GYM.enable_actor_dof_force_sensors(envs[-1], 0)
        attractor = gymapi.AttractorProperties()
        attractor.rigid_handle, attractor.axes = 2, gymapi.AXIS_X
        GYM.create_rigid_body_attractor(envs[-1], attractor)
        GYM.create_camera_sensor(envs[-1], gymapi.CameraProperties())
    if prepared:
        GYM.prepare_sim(sim)
        run(sim, 2)
    timers = GYM.create_performance_timers(sim)
    return SimpleNamespace(sim=sim, envs=envs, asset=asset, folder=folder, timers=timers)


def of_type(parts, kind, name):
    """Returns a value for a parameter by its type, as the documentation has it."""
    made = {
        "Sim": parts.sim,
        "Env": parts.envs[0],
        "Env | None": parts.envs[0],
        "Asset": parts.asset,
        "str": "none",
        "str | None": "none",
        "bool": True,
        "int": 0,
        "float": 0.5,
        "list[Env]": parts.envs,
        "int | list[int]": [0, 0],
        "list[int]": [0, 1],
        "list[float]": [1.0],
        "IndexDomain": gymapi.DOMAIN_SIM,
        "MeshType": gymapi.MESH_VISUAL,
        "CoordinateSpace": gymapi.ENV_SPACE,
        "DofType": gymapi.DOF_ROTATION,
        "JointType": gymapi.JOINT_REVOLUTE,
        "CameraFollowMode": gymapi.FOLLOW_TRANSFORM,
        "SimType": gymapi.SIM_PHYSX,
    }
    if kind in made:
        return made[kind]
    record = getattr(gymapi, kind.removesuffix(" | None"), None)
    assert record is not None, f"no value for {name}: {kind}"
    return record()


def of_tensors(call):
    """Returns the tensors that a call takes, by parameter."""
    roots = torch.zeros(4, 13)
    roots[:, 6] = 1.0
    indices = {"indices": ids(2), "count": 1} if call.endswith("_indexed") else {}
    forces = unwrap(torch.zeros(2, 3, 3))
    return {
        "apply_rigid_body_force_at_pos_tensors": {"forceTensor": forces, "posTensor": forces},
        "apply_rigid_body_force_tensors": {"forceTensor": forces, "torqueTensor": None},
        "set_actor_root_state_tensor": {"states": unwrap(roots)} | indices,
        "set_dof_actuation_force_tensor": {"forces": unwrap(torch.zeros(2))} | indices,
        "set_dof_position_target_tensor": {"targets": unwrap(torch.zeros(2))} | indices,
        "set_dof_state_tensor": {"states": unwrap(torch.zeros(2, 2))} | indices,
        "set_dof_velocity_target_tensor": {"targets": unwrap(torch.zeros(2))} | indices,
    }.get(call.removesuffix("_indexed"), {})


def of_arrays(call):
    """Returns the arrays that a call takes, by parameter."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], np.float32)
    triangles = np.array([0, 1, 2, 2, 1, 3], np.uint32)
    field = gymapi.HeightFieldParams()
    field.nbRows = field.nbColumns = 3
    dofs, bodies = np.zeros(1, gymapi.DofState.dtype), np.zeros(2, gymapi.RigidBodyState.dtype)
    bodies["pose"]["r"]["w"] = 1.0
    return {
        "add_heightfield": {"samples": np.zeros((3, 3), np.int16), "params": field},
        "add_triangle_mesh": {"vertices": corners.flatten(), "triangles": triangles},
        "apply_actor_dof_efforts": {"efforts": np.zeros(1, np.float32)},
        "create_texture_from_buffer": {"buffer": np.zeros(4, np.uint8)},
        "set_actor_dof_position_targets": {"targets": np.zeros(1, np.float32)},
        "set_actor_dof_states": {"states": dofs, "flags": gymapi.STATE_ALL},
        "set_actor_dof_velocity_targets": {"targets": np.zeros(1, np.float32)},
        "set_actor_rigid_body_states": {"states": bodies, "flags": gymapi.STATE_ALL},
    }.get(call, {})


def of_properties(call, parts):
    """Returns the properties that a call takes: those that the matching call returns."""
    name = call.removeprefix("set_").removesuffix("_properties")
    if not call.endswith("_properties") or not call.startswith("set_"):
        return {}
    read = getattr(GYM, f"get_{name}_properties")
    if name == "attractor":
        return {"properties": read(parts.envs[0], 0)}
    on_asset = name.startswith("asset")
    return {"props": read(parts.asset) if on_asset else read(parts.envs[0], 0)}


def of_scene(call, parts):
    """Returns names, handles and files of the scene that a call takes."""
    attractor = gymapi.AttractorProperties()
    attractor.rigid_handle = 2
    file = {"rootpath": str(parts.folder), "filename": "robot.xml"}
    return {
        "acquire_jacobian_tensor": {"name": "robot"},
        "acquire_mass_matrix_tensor": {"name": "robot"},
        "create_rigid_body_attractor": {"properties": attractor},
        "debug_print_asset": {"outpath": None},
        "destroy_env": {"env": parts.envs[-1]},
        "destroy_performance_timers": {"handle": parts.timers},
        "get_joint_handle": {"actor": "robot", "joint": "hinge"},
        "get_performance_timers": {"handle": parts.timers},
        "get_rigid_handle": {"actor": "robot", "body": "arm"},
        "load_asset": file | {"options": None},
        "load_mjcf": file,
        "load_urdf": file | {"filename": "arm.urdf"},
        "set_sim_params": {"params": GYM.get_sim_params(parts.sim)},
    }.get(call, {})


def as_numpy(value):
    """Returns a value in NumPy's form: scalars, elements of structured arrays, tuples."""
    scalar = {bool: np.bool_, int: np.int64, float: np.float32}.get(type(value))
    if scalar is not None:
        return scalar(value)
    if isinstance(value, list):
        return tuple(map(as_numpy, value))
    if isinstance(value, gymapi.Vec3 | gymapi.Quat):
        return np.array([tuple(value)], type(value).dtype)[0]
    if isinstance(value, gymapi.Transform):
        return np.array([(tuple(value.p), tuple(value.r))], gymapi.Transform.dtype)[0]
    is_plain = isinstance(value, np.ndarray) and value.dtype == np.float32
    return value.tolist() if is_plain else value


def arguments(call, parts):
    """Returns all arguments of a call, by name."""
    given = of_tensors(call) | of_arrays(call) | of_properties(call, parts) | of_scene(call, parts)
    return {
        p.name: given[p.name] if p.name in given else of_type(parts, p.annotation, p.name)
        for p in inspect.signature(getattr(GYM, call)).parameters.values()
    }


WORKING = [row.name for row in calls() if row.state != "raises"]


@pytest.fixture(scope="module")
def scenes_of(tmp_path_factory):
    """A prepared simulation, and one that is not."""
    folder = tmp_path_factory.mktemp("surface")
    (folder / "arm.urdf").write_text('<robot name="r"><link name="base"/></robot>')
    return {prepared: scene(folder, prepared=prepared) for prepared in (True, False)}


@pytest.mark.parametrize("call", sorted(set(WORKING) - NEED_A_WINDOW - NEED_OPENGL))
def test_calls_take_what_scripts_pass(call, scenes_of, tmp_path):
    """By name and by position, Python's values and NumPy's; each returns what it says."""
    function, returned = getattr(GYM, call), inspect.signature(getattr(GYM, call))
    for form in (lambda value: value, as_numpy):
        parts = scenes_of[call not in BEFORE]
        if call.startswith("destroy_"):
            parts = scene(tmp_path, prepared=call not in BEFORE)
        given = {name: form(value) for name, value in arguments(call, parts).items()}
        result = function(*given.values()) if form is as_numpy else function(**given)
        kind = returned.return_annotation
        if kind in ("bool", "int", "float", "str"):
            assert type(result).__name__ == kind
        if kind == "bool":
            assert result is True
        assert (result is None) == (kind == "None")


def test_calls_that_refuse_are_about_what_is_not_simulated():
    """Soft bodies, USD, OpenSim, Omniverse, saved simulations, and states of single bodies."""
    topics = ("soft", "particle", "pneumatic", "cloth", "tet", "triangle", "usd", "opensim", "omni")
    others = {name for name in REASONS if not any(topic in name for topic in topics)}
    assert others == {
        "attach_sim",
        "create_force_sensor",
        "get_sensor",
        "load_sim",
        "set_env_rigid_body_states",
        "set_rigid_body_state_tensor",
        "set_sim_rigid_body_states",
    }
    for name in REASONS:
        with pytest.raises(NotImplementedError):
            getattr(GYM, name)()


def test_calls_that_do_nothing_are_known():
    """The table of calls says so of each."""
    assert {row.name for row in calls() if row.state == "does nothing"} == IDLE


def test_setters_of_numpys_values_arrive(scenes_of):
    """What was passed as NumPy's is read back."""
    env, sim = scenes_of[True].envs[0], scenes_of[True].sim
    GYM.set_dof_target_position(env, np.int64(0), np.float32(0.25))
    assert GYM.get_dof_target_position(env, 0) == 0.25
    GYM.set_actor_dof_states(env, 0, np.array([(0.5, 0.0)], gymapi.DofState.dtype), np.int32(3))
    assert wrapped(GYM.acquire_dof_state_tensor(sim))[0, 0] == 0.5
    GYM.set_rigid_transform(env, 2, np.array([((1, 2, 3), (0, 0, 0, 1))], gymapi.Transform.dtype))
    assert list(GYM.get_rigid_transform(env, 2).p) == [1, 2, 3]
