"""What public scripts pass to calls: None, NumPy scalars and records, lists, tuples."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scenes import GYM, PENDULUM, at, close, new_env, new_sim, run, unwrap, urdf, wrapped

from rlgpu.isaacgym.api import gymapi, gymutil


def test_actors_need_no_name():
    """Two actors without a name are two actors."""
    sim = new_sim("mujoco")
    env, ball = new_env(sim), GYM.create_sphere(sim, 0.1, None)
    first = GYM.create_actor(env, ball, at(), None, 0, 0)
    GYM.create_actor(env, ball, at(x=1.0), None)
    GYM.prepare_sim(sim)
    assert GYM.get_actor_count(env) == 2
    assert GYM.get_actor_name(env, first) == ""


def test_elements_of_structured_arrays_are_structs():
    """A body state's pose is a transform, and its parts are vectors, in fields and arguments."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    env, ball = new_env(sim), GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    GYM.create_actor(env, ball, at(1, 2, 3), "ball", 0, 0)
    states = GYM.get_actor_rigid_body_states(env, 0, gymapi.STATE_ALL)
    pose = states["pose"][0]
    properties = gymapi.AttractorProperties()
    properties.target, properties.rigid_handle = pose, 0
    properties.axes, properties.stiffness = gymapi.AXIS_TRANSLATION, 1e4
    assert list(properties.target.p) == [1, 2, 3]
    properties.target.p = states["pose"]["p"][0]
    properties.target.r = states["pose"]["r"][:1]
    handle = GYM.create_rigid_body_attractor(env, properties)
    other = GYM.create_actor(env, ball, pose, "other", 1, 0)
    GYM.set_rigid_linear_velocity(env, 1, states["pose"]["p"][0])
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    close(roots[other, 7:10], [1, 2, 3])
    states["pose"]["p"]["x"] = 1.5
    GYM.set_attractor_target(env, handle, states["pose"][0])
    run(sim, 200)
    close(roots[0, :3], [1.5, 2, 3], atol=2e-3)
    for wrong in (states["vel"][0], states, np.zeros(3), (0.0, 0.0, 0.0)):
        with pytest.raises(TypeError):
            properties.target = wrong


@pytest.mark.parametrize("kind", [list, tuple, np.array, np.float32])
def test_arrays_may_be_lists_and_tuples(kind, tmp_path):
    """Targets of an actor's joints are taken from any sequence of numbers."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    asset = GYM.load_asset(sim, *urdf(tmp_path, PENDULUM), gymapi.AssetOptions())
    env = new_env(sim)
    GYM.create_actor(env, asset, at(), "arm", np.int64(0), np.int32(0))
    GYM.set_actor_dof_position_targets(env, 0, kind([0.25]))
    GYM.prepare_sim(sim)
    GYM.set_actor_dof_velocity_targets(env, np.int64(0), kind([0.5]))
    assert GYM.get_actor_dof_position_targets(env, 0).tolist() == [0.25]
    assert GYM.get_actor_dof_velocity_targets(env, 0).tolist() == [0.5]
    with pytest.raises(TypeError):
        GYM.set_actor_dof_position_targets(env, 0, 0.25)


def test_numbers_may_be_numpys():
    """Scalars of NumPy are numbers, in fields and arguments."""
    sim, options = new_sim("mujoco"), gymapi.AssetOptions()
    options.density, options.fix_base_link = np.float32(500.0), np.bool_(False)
    options.default_dof_drive_mode = np.int64(3)
    size = np.float32(0.2)
    asset = GYM.create_box(sim, size, size, np.float64(size), options)
    env = GYM.create_env(sim, gymapi.Vec3(-1, -1, 0), gymapi.Vec3(1, 1, 1), np.int64(2))
    GYM.create_actor(env, asset, gymapi.Transform(p=gymapi.Vec3(*np.ones(3))), "box", np.int32(0))
    close(GYM.get_actor_rigid_body_properties(env, 0)[0].mass, 500 * 0.008, rtol=1e-5)
    GYM.set_rigid_body_color(env, 0, np.int64(0), gymapi.MESH_VISUAL, gymapi.Vec3(*np.zeros(3)))
    GYM.prepare_sim(sim)
    force = np.ones((1, 3), np.float32)
    GYM.apply_body_forces(env, 0, gymapi.Vec3(*force[0]), None, gymapi.ENV_SPACE)
    run(sim, 1)
    assert GYM.get_sim_time(sim) == pytest.approx(0.01)


def test_types_of_joints_have_names():
    """The calls return the names that Isaac Gym prints."""
    kinds = (gymapi.DOF_ROTATION, gymapi.DOF_TRANSLATION)
    assert [GYM.get_dof_type_string(kind) for kind in kinds] == ["Rotation", "Translation"]
    kinds = (gymapi.JOINT_REVOLUTE, gymapi.JOINT_PRISMATIC, gymapi.JOINT_FIXED)
    found = [GYM.get_joint_type_string(kind) for kind in kinds]
    assert found == ["Revolute", "Prismatic", "Fixed"]


def test_custom_parameters_may_have_more_keys(monkeypatch):
    """A constant without a use and unknown keys are ignored; what argparse knows is taken."""
    monkeypatch.setattr(sys, "argv", ["x", "--flag", "False", "--size", "1", "2", "--maybe"])
    parameters = [
        {"name": "--flag", "type": str, "const": True, "default": "True", "unit": "none"},
        {"name": "--size", "type": int, "nargs": 2},
        {"name": "--maybe", "type": int, "nargs": "?", "const": 4},
        {"name": "--on", "action": "store_true", "type": bool, "const": 1},
    ]
    args = gymutil.parse_arguments(custom_parameters=parameters)
    assert (args.flag, args.size, args.maybe, args.on) == ("False", [1, 2], 4, False)


def test_an_environment_without_actors_can_be_simulated():
    """It has no rows in tensors, alone and beside others."""
    sim = new_sim("mujoco", ground=True)
    new_env(sim)
    GYM.prepare_sim(sim)
    run(sim, 2)
    assert GYM.acquire_actor_root_state_tensor(sim) is None
    sim = new_sim("mujoco", ground=True)
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    for filled in (False, True, False, True):
        env = new_env(sim)
        if filled:
            GYM.create_actor(env, ball, at(z=0.1), "ball", 0, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    force = np.zeros((2, 3), np.float32)
    force[1, 2] = 100.0
    GYM.apply_rigid_body_force_tensors(sim, unwrap(torch.from_numpy(force)), None, gymapi.ENV_SPACE)
    run(sim, 2)
    assert roots.shape == (2, 13)
    assert roots[1, 2] > 0.1 + 1e-3 > roots[0, 2]
