"""Turns terrains of triangles into grids of heights, which collide exactly and fast."""

from __future__ import annotations

import numpy as np

from rlgpu.isaacgym.records.geometry import Vec3
from rlgpu.isaacgym.runner.notes import Notes
from rlgpu.isaacgym.simulation.grids import grid_of_mesh

_MOST_SAMPLES = 4_000_000
_FINEST, _COARSEST = 0.02, 0.1
"""Distances of samples of a mesh that is no grid [m]."""


def heights_of_mesh(
    vertices: np.ndarray, triangles: np.ndarray, notes: Notes
) -> tuple[np.ndarray, tuple[float, float], Vec3]:
    """Returns heights [rows, columns], their distances along x and y, and the first one's place.

    A mesh made from a height field is recognised by its vertices and triangles, also where walls
    were made vertical: its heights are exact, and a wall becomes as steep as one cell. Any other
    mesh is sampled from above.

    Args:
        vertices: Points [m], shape [V, 3], any float dtype.
        triangles: Indices of vertices, shape [T, 3], any integer dtype.
        notes: Gets a remark if the mesh is sampled.

    Raises:
        ValueError: The mesh is empty.
    """
    if len(vertices) == 0 or len(triangles) == 0:
        raise ValueError("a triangle mesh needs vertices and triangles")
    grid = grid_of_mesh(vertices, triangles)
    if grid is not None:
        return grid.heights, grid.steps, Vec3(*grid.start, 0.0)
    return _sampled(vertices.astype(float), triangles, notes)


def _sampled(
    vertices: np.ndarray, triangles: np.ndarray, notes: Notes
) -> tuple[np.ndarray, tuple[float, float], Vec3]:
    """Returns the highest surface over a grid as fine as the mesh's triangles."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    corners = vertices[triangles]  # [T, 3, 3]
    sides = np.linalg.norm(corners[:, [1, 2, 0], :2] - corners[:, :, :2], axis=-1)
    step = float(np.clip(np.percentile(sides[sides > 1e-6], 10) / 2, _FINEST, _COARSEST))
    area = float(np.prod(high[:2] - low[:2]))
    step = max(step, (area / _MOST_SAMPLES) ** 0.5, 1e-3)
    rows, columns = (int(np.ceil(size / step)) + 1 for size in (high - low)[:2])
    heights = np.full((max(rows, 2), max(columns, 2)), low[2])
    for corner in corners:
        _raise(heights, (corner - [low[0], low[1], 0.0]) / [step, step, 1.0])
    notes.add(
        f"a triangle mesh is sampled from above every {step:.3g} m: overhangs and the sides of "
        "walls within a sample are lost"
    )
    return heights, (step, step), Vec3(float(low[0]), float(low[1]), 0.0)


def _raise(heights: np.ndarray, corner: np.ndarray) -> None:
    """Raises the samples below a triangle to it; its x and y are in samples."""
    first = np.maximum(np.ceil(corner[:, :2].min(axis=0) - 1e-9).astype(int), 0)
    last = np.minimum(np.floor(corner[:, :2].max(axis=0) + 1e-9).astype(int) + 1, heights.shape)
    if (last <= first).any():
        return
    a, b, c = corner
    double = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    if abs(double) < 1e-12:
        return  # seen from its edge
    x, y = np.meshgrid(np.arange(first[0], last[0]), np.arange(first[1], last[1]), indexing="ij")
    to_b = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / double
    to_c = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / double
    inside = (to_b >= -1e-9) & (to_c >= -1e-9) & (to_b + to_c <= 1 + 1e-9)
    z = a[2] + to_b * (b[2] - a[2]) + to_c * (c[2] - a[2])
    part = heights[first[0] : last[0], first[1] : last[1]]
    np.maximum(part, np.where(inside, z, -np.inf), out=part)
