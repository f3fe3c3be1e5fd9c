"""Records, vectors and argument checks behave as native bindings do."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scenes import GYM, at, close, new_env, new_sim

from rlgpu.isaacgym.api import gymapi, gymtorch, gymutil
from rlgpu.isaacgym.calls.unsupported import REASONS
from tests.refusals import names


def test_assigning_a_record_copies_it():
    """Changing a vector after assigning it does not change the pose; changing the pose does."""
    pose, vector = gymapi.Transform(), gymapi.Vec3(1, 2, 3)
    pose.p = vector
    vector.x = 9
    pose.p.z = 5
    assert list(pose.p) == [1, 2, 5]
    assert gymapi.Transform(vector, r=None).r.w == 1.0


def test_unknown_fields_and_wrong_types_raise():
    """A typo is an AttributeError, a wrong type a TypeError, and enumerations are numbers."""
    options = gymapi.AssetOptions()
    with pytest.raises(AttributeError) as unknown:
        options.fix_base = True
    assert names(unknown.value, "AssetOptions", "fix_base")
    with pytest.raises(TypeError) as refusal:
        options.armature = "much"
    assert names(refusal.value, "armature", "str")
    with pytest.raises(TypeError) as refusal:
        options.default_dof_drive_mode = 1.5
    assert names(refusal.value, "default_dof_drive_mode", "int", "float")
    options.default_dof_drive_mode = gymapi.DOF_MODE_EFFORT
    assert options.default_dof_drive_mode == 3
    options.density = np.array([200.0])  # as randomisation code assigns
    assert options.density == 200.0


def test_floats_read_back_in_single_precision():
    """As from C structs: defaults, what is set, vectors and their sums, and infinity."""
    params = gymapi.SimParams()
    assert params.dt == float(np.float32(1 / 60)) != 1 / 60
    assert params.physx.contact_offset == float(np.float32(0.02))
    params.dt, params.gravity = 0.01, gymapi.Vec3(0, 0, -9.81)
    assert isinstance(params.dt, float)
    assert (params.dt, params.gravity.z) == (0.009999999776482582, -9.8100004196167)
    # legged_gym counts the steps of 20 s: 1001, as a step of four is below 0.02 s.
    params.dt = 0.005
    assert math.ceil(20 / (4 * params.dt)) == 1001
    total = gymapi.Vec3(0.1, 0, 0) + gymapi.Vec3(0.2, 0, 0)
    assert total.x == float(np.float32(0.1) + np.float32(0.2))
    options = gymapi.AssetOptions()
    options.max_linear_velocity = 1e39
    assert options.max_linear_velocity == math.inf
    sim = new_sim("mujoco", dt=0.01)
    assert GYM.get_sim_params(sim).dt == float(np.float32(0.01))


def test_defaults_are_not_shared_and_copies_are_deep():
    """Two records of defaults are independent, and so is a copy."""
    first, second = gymapi.SimParams(), gymapi.SimParams()
    first.physx.num_threads, first.gravity.z = 7, -9.81
    twin = copy.deepcopy(first)
    twin.physx.num_threads = 8
    assert (first.physx.num_threads, second.physx.num_threads) == (7, 0)
    assert second.gravity.z == 0.0


def test_quaternions_rotate_and_compose_as_written_by_hand():
    """A quarter turn about z takes x to y; euler angles turn about x, then y, then z."""
    quarter = gymapi.Quat.from_axis_angle(gymapi.Vec3(0, 0, 2), math.pi / 2)
    close(list(quarter.rotate(gymapi.Vec3(1, 0, 0))), [0, 1, 0], atol=1e-6)
    mixed = gymapi.Quat.from_euler_zyx(0.3, -0.4, 0.5)
    close(mixed.to_euler_zyx(), [0.3, -0.4, 0.5], rtol=1e-6)
    # About x by 90 degrees, then about z by 90: y goes to z and stays.
    both = gymapi.Quat.from_euler_zyx(math.pi / 2, 0, math.pi / 2)
    close(list(both.rotate(gymapi.Vec3(0, 1, 0))), [0, 0, 1], atol=1e-6)
    pose = gymapi.Transform(gymapi.Vec3(1, 0, 0), quarter)
    close(list((pose * pose.inverse()).p), [0, 0, 0], atol=1e-6)
    close(list(pose.transform_point(gymapi.Vec3(1, 0, 0))), [1, 1, 0], atol=1e-6)


def test_arrays_of_records_have_named_columns():
    """Buffers of vectors and transforms convert both ways."""
    array = np.array([((1, 2, 3), (0, 0, 0, 1))], dtype=gymapi.Transform.dtype)
    assert list(gymapi.Transform.from_buffer(array).p) == [1, 2, 3]
    points = np.array([(1, 0, 0), (0, 1, 0)], dtype=gymapi.Vec3.dtype)
    moved = gymapi.Transform(gymapi.Vec3(0, 0, 1)).transform_points(points)
    assert moved["z"].tolist() == [1, 1]
    assert gymapi.eulers_to_quats_zyx(np.zeros(2, gymapi.Vec3.dtype))["w"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda env: GYM.get_actor_count(0), ("get_actor_count", "env", "Env", "int")),
        (
            lambda env: GYM.get_actor_index(env, 0, 2),
            ("get_actor_index", "domain", "IndexDomain", "int"),
        ),
        (lambda env: GYM.find_actor_handle(env, 3), ("find_actor_handle", "name", "str", "int")),
        (
            lambda env: GYM.create_env(env.sim, (0, 0, 0), gymapi.Vec3(), 1),
            ("create_env", "lower", "Vec3", "tuple"),
        ),
        (
            lambda env: GYM.create_env(env.sim, gymapi.Vec3(), gymapi.Vec3(), 1.5),
            ("create_env", "num_per_row", "int", "float"),
        ),
        (
            lambda env: GYM.set_dof_state_tensor(env.sim, torch.zeros(1)),
            ("set_dof_state_tensor", "Tensor"),
        ),
    ],
)
def test_arguments_are_checked_by_type(call, named):
    """No integer passes for an environment or an enumeration, no tuple for a vector."""
    env = new_env(new_sim("mujoco"))
    with pytest.raises(TypeError) as refusal:
        call(env)
    assert names(refusal.value, *named)


def test_tensors_must_be_contiguous_and_fit():
    """A view with gaps, another type or another size is refused."""
    sim = new_sim("mujoco")
    asset = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    GYM.create_actor(new_env(sim), asset, at(), "ball", 0, 0)
    GYM.prepare_sim(sim)
    with pytest.raises(ValueError) as refusal:
        gymtorch.unwrap_tensor(torch.zeros(4, 26)[:, ::2])
    assert names(refusal.value, "tensor.contiguous()")
    with pytest.raises(ValueError) as refusal:
        GYM.set_actor_root_state_tensor(sim, gymtorch.unwrap_tensor(torch.zeros(12)))
    assert names(refusal.value, "set_actor_root_state_tensor", 13, "float32", 12)
    given = gymtorch.unwrap_tensor(torch.zeros(13))
    with pytest.raises(TypeError) as wrong:
        ids = gymtorch.unwrap_tensor(torch.zeros(1, dtype=torch.int64))
        GYM.set_actor_root_state_tensor_indexed(sim, given, ids, 1)
    assert names(wrong.value, "int32", "int64")
    with pytest.raises(IndexError) as beyond:
        ids = gymtorch.unwrap_tensor(torch.ones(1, dtype=torch.int32))
        GYM.set_actor_root_state_tensor_indexed(sim, given, ids, 1)
    assert names(beyond.value, "1 actors")
    assert GYM.acquire_dof_state_tensor(sim) is None
    assert gymtorch.wrap_tensor(None) is None


def test_what_cannot_be_done_raises_with_a_reason():
    """Soft bodies, Flex, late changes and unknown names are refused in words."""
    sim = new_sim("mujoco")
    with pytest.raises(NotImplementedError) as refusal:
        GYM.create_cloth_grid(sim, 1, 1, 1.0, 1.0)
    assert names(refusal.value, "create_cloth_grid", REASONS["create_cloth_grid"])
    with pytest.raises(NotImplementedError) as refusal:
        GYM.create_sim(0, 0, gymapi.SIM_FLEX, gymapi.SimParams())
    assert names(refusal.value, "create_sim", "SIM_FLEX", "SIM_PHYSX")
    with pytest.raises(AttributeError) as unknown:
        GYM.acquire_everything(sim)
    assert names(unknown.value, "Gym", "acquire_everything")
    asset = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    GYM.create_actor(new_env(sim), asset, at(), "ball", 0, 0)
    GYM.prepare_sim(sim)
    with pytest.raises(RuntimeError) as late:
        new_env(sim)
    assert names(late.value, "create_env", "prepare_sim")
    with pytest.raises(ValueError) as absent:
        GYM.acquire_jacobian_tensor(sim, "arm")
    assert names(absent.value, "arm", "ball")


def test_a_configuration_sets_parameters_by_name():
    """``parse_sim_config`` converts to the fields' types and skips unknown keys."""
    params = gymapi.SimParams()
    config = {
        "dt": "0.005",
        "gravity": [0, 0, -1],
        "up_axis": 1,
        "unknown": 3,
        "physx": {"contact_collection": 1, "use_gpu": "no"},
    }
    gymutil.parse_sim_config(config, params)
    assert params.dt == np.float32(0.005)
    assert (params.gravity.z, params.up_axis) == (-1.0, gymapi.UP_AXIS_Z)
    assert params.physx.contact_collection == gymapi.CC_LAST_SUBSTEP
    assert params.physx.use_gpu is False
    assert gymutil.parse_device_str("cuda:1") == ("cuda", 1)
    with pytest.raises(ValueError) as refusal:
        gymutil.parse_device_str("tpu")
    assert names(refusal.value, "tpu", "cpu", "cuda")


def test_wireframes_have_two_vertices_a_line():
    """A box has 12 edges, axes three; a pose moves them."""
    assert gymutil.WireframeBoxGeometry(1, 1, 1).num_lines() == 12
    axes = gymutil.AxesGeometry(0.5, gymapi.Transform(gymapi.Vec3(0, 0, 1)))
    assert axes.vertices()["z"].tolist() == [1, 1, 1, 1, 1, 1.5]
    sphere = gymutil.WireframeSphereGeometry(2.0, 4, 6)
    points = np.stack([sphere.vertices()[name] for name in "xyz"], axis=-1)
    close(np.linalg.norm(points, axis=-1), 2.0, rtol=1e-6)


def test_a_tensor_can_be_described_without_torch() -> None:
    """By address, type and shape, as code without gymtorch does; wrong types are refused."""
    values = np.arange(6, dtype=np.int32)
    tensor = gymapi.Tensor()
    tensor.data_address, tensor.device = values.ctypes.data, -1
    tensor.dtype, tensor.shape = gymapi.DTYPE_UINT32, [2, 3]
    tensor.own_data = False
    seen = gymtorch.wrap_tensor(tensor)
    assert seen.tolist() == [[0, 1, 2], [3, 4, 5]]
    values[0] = 7
    assert int(seen[0, 0]) == 7
    for name, wrong in (("data_address", "7"), ("device", 0.5), ("dtype", 1), ("shape", [2.5])):
        with pytest.raises(TypeError) as refusal:
            setattr(tensor, name, wrong)
        assert names(refusal.value, name, type(wrong[0] if name == "shape" else wrong).__name__)
