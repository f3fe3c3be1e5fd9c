"""torch_utils, terrain_utils, terrains from meshes, randomisation and the table of names."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch
from scenes import close

from rlgpu.isaacgym.api import gymutil, terrain_utils, torch_utils
from rlgpu.isaacgym.runner import coverage
from rlgpu.isaacgym.runner.notes import Notes
from rlgpu.isaacgym.simulation.terrains import heights_of_mesh


def test_all_of_preview_4s_names_are_there():
    """312 calls by the public type stubs, one more that public code uses; each has a remark."""
    rows = coverage.calls()
    assert len(rows) == 313
    assert all(row.remark for row in rows)
    assert "acquire_jacobian_tensor" in coverage.table()
    from rlgpu.isaacgym.api import gymapi

    for name in ("DOF_MODE_POS", "KEY_ESCAPE", "MOUSE_LEFT_BUTTON", "AXIS_ALL", "STATE_ALL"):
        assert hasattr(gymapi, name)


def test_quaternion_functions_agree_with_hand_worked_turns():
    """A quarter about z, and its inverse, products and euler angles."""
    half = math.sqrt(0.5)
    quarter = torch.tensor([[0, 0, half, half]])
    x, y = torch.tensor([[1.0, 0, 0]]), torch.tensor([[0, 1.0, 0]])
    close(torch_utils.quat_apply(quarter, x), y, atol=1e-6)
    close(torch_utils.quat_rotate_inverse(quarter, y), x, atol=1e-6)
    close(torch_utils.quat_mul(quarter, quarter), [[0, 0, 1, 0]], atol=1e-6)
    angles = torch_utils.get_euler_xyz(
        torch_utils.quat_from_euler_xyz(*torch.tensor([[0.1], [0.2], [-0.3]]))
    )
    close(torch.cat(angles), [0.1, 0.2, 2 * math.pi - 0.3], atol=1e-5)
    made = torch_utils.quat_from_angle_axis(
        torch.tensor([math.pi / 2]), torch.tensor([[0, 0, 3.0]])
    )
    close(made, quarter, atol=1e-6)
    q, t = torch_utils.tf_combine(quarter, x, *torch_utils.tf_inverse(quarter, x))
    close(torch.cat((q, t), dim=1), [[0, 0, 0, 1, 0, 0, 0]], atol=1e-6)
    assert torch_utils.get_axis_params(0.5, 2) == [0.0, 0.0, 0.5]
    close(torch_utils.scale(torch.tensor(0.5), torch.tensor(0.0), torch.tensor(4.0)), 3.0)


def test_all_tensor_functions_compile_in_scripts():
    """Tasks call them inside functions marked ``torch.jit.script``."""
    for name in torch_utils.__all__:
        function = getattr(torch_utils, name)
        skipped = ("to_torch", "get_axis_params", "unscale_np")
        if inspect.isfunction(function) and name not in skipped:
            torch.jit.script(function)


def test_stairs_and_slopes_have_the_asked_heights():
    """Steps of 0.1 m; a slope of 0.5 rises 0.5 m in a metre; waves and stones stay in range."""

    def terrain():
        return terrain_utils.SubTerrain("t", 80, 80, vertical_scale=0.005, horizontal_scale=0.1)

    np.random.seed(0)
    stairs = terrain_utils.pyramid_stairs_terrain(terrain(), 0.5, 0.1, 1.0).height_field_raw
    assert [int(stairs[i, 40]) for i in (0, 5, 10)] == [0, 20, 40]
    slope = terrain_utils.sloped_terrain(terrain(), 0.5).height_field_raw * 0.005
    close(slope[10, 0], 0.5, atol=0.01)
    rough = terrain_utils.random_uniform_terrain(terrain(), -0.1, 0.1, 0.02, 0.2)
    assert np.abs(rough.height_field_raw * 0.005).max() <= 0.12
    stones = terrain_utils.stepping_stones_terrain(terrain(), 0.5, 0.2, 0.0, 1.0).height_field_raw
    assert stones[40, 40] == 0
    assert stones.min() == -2000
    wave = terrain_utils.wave_terrain(terrain(), 2, 0.4).height_field_raw * 0.005
    close([wave.max(), wave.min()], [0.4, -0.4], atol=0.02)
    boxes = terrain_utils.discrete_obstacles_terrain(terrain(), 0.2, 0.5, 1.0, 10, 1.0)
    assert set(np.unique(boxes.height_field_raw)) <= {-40, -20, 0, 20, 40}


@pytest.mark.parametrize("threshold", [None, 0.75])
def test_a_mesh_of_a_height_field_is_recognised(threshold):
    """Its heights come back exactly, with and without vertical walls."""
    raw = np.random.default_rng(1).integers(-50, 50, (12, 9)).astype(np.int16)
    points, faces = terrain_utils.convert_heightfield_to_trimesh(raw, 0.25, 0.01, threshold)
    heights, steps, corner = heights_of_mesh(points.astype(float), faces.astype(int), Notes())
    assert heights.shape == (12, 9)
    close(heights, raw * 0.01, atol=1e-6)
    close(steps, [0.25, 0.25], atol=1e-6)
    close(list(corner), [0, 0, 0], atol=0.26 if threshold else 1e-6)


def test_any_other_mesh_is_sampled_from_above():
    """A pyramid of three triangles: its tip, its foot and the middle of a face."""
    points = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [1, 1, 2.0]])
    faces = np.array([[0, 1, 3], [1, 2, 3], [2, 0, 3]])
    heights, (step, _), _ = heights_of_mesh(points, faces, Notes())
    i, half = round(1 / step), round(0.5 / step)
    close(heights[i, i], 2.0, atol=0.1)
    close(heights[half, half], 1.0, atol=0.1)
    assert heights[-1, -1] == 0.0


def test_random_samples_follow_operation_and_schedule():
    """Scaling starts from 1 and additive from 0 under a linear schedule."""
    scaling = {
        "range": [2.0, 2.0],
        "operation": "scaling",
        "distribution": "uniform",
        "schedule": "linear",
        "schedule_steps": 10,
    }
    for step, expected in ((0, 1.0), (5, 1.5), (20, 2.0)):
        close(gymutil.generate_random_samples(scaling, 3, step), [expected] * 3)
    additive = {"range": [0.0, 0.0], "operation": "additive", "distribution": "gaussian"}
    values = np.zeros(2, dtype=[("damping", "f4")])
    values["damping"] = 3.0
    gymutil.apply_random_samples(values, {"damping": np.ones(2)}, "damping", additive, 0)
    close(values["damping"], [1.0, 1.0])
    buckets = {"range": [0.0, 1.0], "distribution": "uniform", "num_buckets": 4}
    assert gymutil.get_bucketed_val(0.6, buckets) == 0.5
