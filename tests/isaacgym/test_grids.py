"""Which triangle meshes count as grids of heights, and which heights they get."""

from __future__ import annotations

import numpy as np
import pytest

from rlgpu.isaacgym.runner.notes import Notes
from rlgpu.isaacgym.simulation.grids import grid_of_mesh
from rlgpu.isaacgym.simulation.terrains import heights_of_mesh

SCALE, UNIT = 0.05, 0.005
"""Distance of samples and height of one unit [m], those of legged robots' parkour."""


def mesh_of(raw, threshold=None):
    """Returns the mesh that legged_gym makes of heights, written as its script words it."""
    hf, (num_rows, num_cols) = raw.astype(int), raw.shape
    y = np.linspace(0, (num_cols - 1) * SCALE, num_cols)
    x = np.linspace(0, (num_rows - 1) * SCALE, num_rows)
    yy, xx = np.meshgrid(y, x)
    if threshold is not None:
        most = threshold * SCALE / UNIT
        move_x, move_y, corners = (np.zeros((num_rows, num_cols)) for _ in range(3))
        move_x[:-1, :] += hf[1:, :] - hf[:-1, :] > most
        move_x[1:, :] -= hf[:-1, :] - hf[1:, :] > most
        move_y[:, :-1] += hf[:, 1:] - hf[:, :-1] > most
        move_y[:, 1:] -= hf[:, :-1] - hf[:, 1:] > most
        corners[:-1, :-1] += hf[1:, 1:] - hf[:-1, :-1] > most
        corners[1:, 1:] -= hf[:-1, :-1] - hf[1:, 1:] > most
        xx += (move_x + corners * (move_x == 0)) * SCALE
        yy += (move_y + corners * (move_y == 0)) * SCALE
    vertices = np.zeros((num_rows * num_cols, 3), dtype=np.float32)
    vertices[:, 0], vertices[:, 1], vertices[:, 2] = xx.flatten(), yy.flatten(), hf.flatten() * UNIT
    triangles = np.zeros((2 * (num_rows - 1) * (num_cols - 1), 3), dtype=np.uint32)
    for i in range(num_rows - 1):
        ind0 = np.arange(0, num_cols - 1) + i * num_cols
        start, stop = 2 * i * (num_cols - 1), 2 * (i + 1) * (num_cols - 1)
        triangles[start:stop:2] = np.stack((ind0, ind0 + num_cols + 1, ind0 + 1), axis=1)
        triangles[start + 1 : stop : 2] = np.stack(
            (ind0, ind0 + num_cols, ind0 + num_cols + 1), axis=1
        )
    return vertices, triangles


def walls(rows, columns, seed=0):
    """Returns rough ground of +-3 units with blocks of 5 x 5 samples, 100 units high."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 2, (-(-rows // 5), -(-columns // 5))) * 100
    high = np.repeat(np.repeat(blocks, 5, axis=0), 5, axis=1)[:rows, :columns]
    return (high + rng.integers(-3, 4, (rows, columns))).astype(np.int16)


@pytest.mark.parametrize("shape", [(4000, 60), (60, 4000), (2, 2), (2, 7), (3, 3)])
@pytest.mark.parametrize("threshold", [None, 1.5])
def test_a_grid_is_recognised_with_thousands_of_rows(shape, threshold):
    """Positions of 200 m in float32 do not blur the spacing, and heights are exact."""
    raw = walls(*shape)
    notes = Notes()
    vertices, triangles = mesh_of(raw, threshold)
    assert threshold is None or shape[0] < 4 or vertices[1:, 0].min() < SCALE / 2
    heights, steps, corner = heights_of_mesh(vertices, triangles, notes)
    np.testing.assert_array_equal(heights, (raw * UNIT).astype(np.float32))
    np.testing.assert_allclose(steps, [SCALE, SCALE], rtol=1e-6)
    np.testing.assert_allclose(list(corner), [0, 0, 0], atol=1e-6)


def test_thousands_of_random_steps_are_recognised():
    """Heights at random, where most vertices move and some cells fold."""
    raw = np.random.default_rng(2).integers(-50, 50, (700, 900)).astype(np.int16)
    grid = grid_of_mesh(*mesh_of(raw, 0.75))
    assert grid is not None
    np.testing.assert_array_equal(grid.heights, (raw * UNIT).astype(np.float32))
    np.testing.assert_allclose(grid.start, [0, 0], atol=1e-6)


def test_lines_at_the_border_may_move_inwards():
    """A trench along each border: its outer lines are under the inner ground."""
    raw = np.zeros((30, 20), dtype=np.int16)
    raw[[0, -1]] = raw[:, [0, -1]] = -200
    vertices, triangles = mesh_of(raw, 0.75)
    grid = grid_of_mesh(vertices, triangles)
    assert grid is not None
    np.testing.assert_allclose(vertices[:, 0].min(), 0.0, atol=1e-6)
    np.testing.assert_allclose(grid.steps, [SCALE, SCALE], rtol=1e-6)
    np.testing.assert_allclose(grid.start, [0, 0], atol=1e-6)
    raw[:, [0, -1]] = 0  # now nothing remains at x = 0
    raw[[0, -1]] = -200
    vertices, triangles = mesh_of(raw, 0.75)
    np.testing.assert_allclose(vertices[:, 0].min(), SCALE, rtol=1e-6)
    grid = grid_of_mesh(vertices, triangles)
    assert grid is not None
    np.testing.assert_allclose(grid.steps, [SCALE, SCALE], rtol=1e-6)
    np.testing.assert_allclose(grid.start, [0, 0], atol=1e-6)


def hole(vertices, triangles):
    """Removes one triangle."""
    return vertices, np.delete(triangles, 40, axis=0)


def bridge(vertices, triangles):
    """Has one triangle span several cells."""
    triangles[40] = [0, 9, 100]
    return vertices, triangles


def overhang(vertices, triangles):
    """Moves a high vertex past its lower neighbor's wall, where no higher one is."""
    high = 4 * 12 + 4
    vertices[high, 2] += 1.0
    vertices[high, 0] += SCALE
    return vertices, triangles


def stretched(vertices, triangles):
    """Moves a vertex by two cells."""
    vertices[50, 0] += 2 * SCALE
    return vertices, triangles


def beside(vertices, triangles):
    """Moves a vertex by a tenth of a cell."""
    vertices[50, 1] += SCALE / 10
    return vertices, triangles


def uneven(vertices, triangles):
    """Widens rows with x."""
    vertices[:, 0] *= 1 + vertices[:, 0] / 100
    return vertices, triangles


def turned(vertices, triangles):
    """Turns the grid by a degree about z."""
    angle = np.radians(1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    vertices[:, :2] = vertices[:, :2] @ turn.T
    return vertices, triangles


@pytest.mark.parametrize(
    "change", [hole, bridge, overhang, stretched, beside, uneven, turned], ids=lambda f: f.__name__
)
def test_other_meshes_are_not_taken_for_grids(change):
    """Each change of a grid of 12 x 12 leaves a mesh whose heights the grid would miss."""
    vertices, triangles = mesh_of(np.zeros((12, 12), dtype=np.int16))
    assert grid_of_mesh(vertices, triangles) is not None
    assert grid_of_mesh(*change(vertices.copy(), triangles.copy())) is None


def test_cells_cut_into_overlapping_triangles_are_no_grid():
    """Both triangles of each cell leave out a corner on one side, which stays open."""
    vertices, triangles = mesh_of(np.zeros((12, 12), dtype=np.int16))
    lower, right, across = triangles[::2, 0], triangles[::2, 2], triangles[::2, 1]
    both = np.stack(((lower, right, across - 1), (lower, right, across)), axis=0)  # [2, 3, cells]
    assert grid_of_mesh(vertices, both.transpose(2, 0, 1).reshape(-1, 3)) is None
