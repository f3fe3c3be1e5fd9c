"""Stacks of very different masses, and bodies dropped on a terrain of triangles."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import GYM, at, close, new_env, new_sim, run, wrapped

from rlgpu.isaacgym.api import gymapi, terrain_utils


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize("heaviest_below", [True, False])
def test_a_stack_of_boxes_from_10_kg_to_10_t_stands(engine, heaviest_below):
    """Boxes of 1 m: each is where it was within 5 mm if the heaviest carries the others.

    The other way round, 11 t sink into the contacts of 10 kg, by a tenth of a box at most within
    two seconds.
    """
    sim, boxes = new_sim(engine, dt=1 / 60, substeps=2, ground=True), []
    masses = [10.0, 100.0, 1000.0, 10000.0]
    for mass in reversed(masses) if heaviest_below else masses:
        options = gymapi.AssetOptions()
        options.density = mass
        boxes.append(GYM.create_box(sim, 1.0, 1.0, 1.0, options))
    env = new_env(sim)
    for i, box in enumerate(boxes):
        GYM.create_actor(env, box, at(z=0.5 + i), f"box_{i}", 0, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 120)
    close(roots[:, 2], [0.5, 1.5, 2.5, 3.5], atol=0.005 if heaviest_below else 0.15)
    assert roots[0, 2] > 0.4
    if heaviest_below:
        run(sim, 300)
        close(roots[:, 7:10], 0.0, atol=1e-3)


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
def test_what_is_dropped_on_a_terrain_stays_above_it(engine):
    """Balls, boxes and capsules on noise and on stairs down, within a rim that keeps them."""
    np.random.seed(0)
    side, step, unit = 48, 0.25, 0.005
    heights = np.zeros((2 * side, side), dtype=np.int16)
    parts = [
        terrain_utils.SubTerrain(
            width=side, length=side, vertical_scale=unit, horizontal_scale=step
        )
        for _ in range(2)
    ]
    terrain_utils.random_uniform_terrain(
        parts[0], min_height=-0.2, max_height=0.2, step=0.2, downsampled_scale=0.5
    )
    terrain_utils.pyramid_stairs_terrain(parts[1], step_width=0.75, step_height=-0.5)
    heights[:side], heights[side:] = parts[0].height_field_raw, parts[1].height_field_raw
    heights[:2] = heights[-2:] = heights[:, :2] = heights[:, -2:] = 5.0 / unit  # the rim
    vertices, triangles = terrain_utils.convert_heightfield_to_trimesh(
        heights, horizontal_scale=step, vertical_scale=unit, slope_threshold=1.5
    )
    sim, params = new_sim(engine, dt=1 / 60, substeps=2), gymapi.TriangleMeshParams()
    params.nb_vertices, params.nb_triangles = len(vertices), len(triangles)
    GYM.add_triangle_mesh(sim, vertices.flatten(), triangles.flatten(), params)
    options = gymapi.AssetOptions()
    kinds = (
        GYM.create_sphere(sim, 0.2, options),
        GYM.create_box(sim, 0.3, 0.3, 0.3, options),
        GYM.create_capsule(sim, 0.1, 0.3, options),
    )
    for i in range(30):
        env = GYM.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 6)
        x, y = np.random.uniform(1.5, 22.5), np.random.uniform(1.5, 10.5)
        GYM.create_actor(env, kinds[i % 3], at(x=x, y=y, z=4.0), "body", i, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    for _ in range(300):
        run(sim, 1)
        row, column = (roots[:, :2].numpy() / step).astype(int).T
        below = [heights[row + i, column + j] for i in (0, 1) for j in (0, 1)]
        assert (roots[:, 2].numpy() > np.min(below, axis=0) * unit).all()
