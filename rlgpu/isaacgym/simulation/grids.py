"""Recognises triangle meshes that are grids of heights, also those with vertical walls."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

_LOOSE = 1e-3
"""Distance of a vertex from its place in the grid that counts as rounding, in cells."""
_PROBES = 16
"""Lines of vertices that reject a wrong spacing before all vertices are compared."""


class Grid(NamedTuple):
    """Heights on a regular grid."""

    heights: np.ndarray
    """Heights [m], shape [rows, columns], float64."""
    steps: tuple[float, float]
    """Distances of rows along x and of columns along y [m]."""
    start: tuple[float, float]
    """Position of the first sample along x and y [m]."""


class _Axis(NamedTuple):
    """Regular positions along one axis."""

    start: float
    step: float
    moved: np.ndarray
    """Cells by which each vertex is beside its place: -1, 0 or 1, shape [rows, columns]."""


def grid_of_mesh(vertices: np.ndarray, triangles: np.ndarray) -> Grid | None:
    """Returns the grid that a mesh consists of, None for any other mesh.

    A grid lists its vertices row by row with x growing from row to row and y within a row, and
    two triangles for each cell, all cut alike. Walls are vertical where a vertex is moved by one
    cell under a higher neighbor, as a height field with a slope threshold is converted. Moved
    vertices count at their place in the grid, so heights are those of the height field.

    Args:
        vertices: Points [m], shape [V, 3], any float dtype.
        triangles: Indices of vertices, shape [T, 3], any integer dtype.
    """
    columns = _columns(triangles)
    rows = len(vertices) // columns if columns else 0
    if rows < 2 or columns < 2 or rows * columns != len(vertices):
        return None
    if not _fills_cells(triangles, rows, columns):
        return None
    grid = vertices.reshape(rows, columns, 3)
    along_x = _fit_axis(grid[:, :, 0])
    along_y = _fit_axis(grid[:, :, 1].T) if along_x else None
    if along_x is None or along_y is None:
        return None
    heights = grid[:, :, 2].astype(float)
    # Transposing the grid keeps its diagonals, so both axes share one rule.
    if not (_rises(heights, along_x.moved) and _rises(heights.T, along_y.moved)):
        return None
    return Grid(heights, (along_x.step, along_y.step), (along_x.start, along_y.start))


def _columns(triangles: np.ndarray) -> int:
    """Returns the width of the grid that the first cell implies, 0 if it implies none."""
    corners = np.unique(triangles[:2].astype(np.int64))
    if len(corners) != 4 or corners[1] != corners[0] + 1 or corners[3] != corners[2] + 1:
        return 0
    return int(corners[2] - corners[0])


def _fills_cells(triangles: np.ndarray, rows: int, columns: int) -> bool:
    """Returns whether the triangles are those of all cells in order, all cut alike."""
    if len(triangles) != 2 * (rows - 1) * (columns - 1):
        return False
    first = triangles[:2].astype(np.int64)
    corners = {0, 1, columns, columns + 1}
    # Each triangle leaves out one corner; the two left out are opposite.
    left_out = [corners - set(triangle) for triangle in first.tolist()]
    opposite = sum(sum(corner) for corner in left_out) == columns + 1
    if [len(corner) for corner in left_out] != [1, 1] or not opposite:
        return False
    within = first[None] + np.arange(columns - 1)[:, None, None]  # [C - 1, 2, 3]
    cells = triangles.reshape(rows - 1, columns - 1, 2, 3)
    return all(np.array_equal(row, within + i * columns) for i, row in enumerate(cells))


def _fit_axis(positions: np.ndarray) -> _Axis | None:
    """Returns the regular positions of lines of vertices, None if some vertex is off them.

    The lines span all vertices, except where the whole first or last line is moved inwards. The
    spacing follows from the span, so its rounding does not add up over thousands of lines.

    Args:
        positions: Coordinates along the axis across the lines [m], shape [lines, vertices].
    """
    cells = len(positions) - 1
    low, high = float(positions.min()), float(positions.max())
    rounding = 4 * float(np.finfo(np.float32).eps) * max(abs(low), abs(high))
    probes = positions[:, :: -(-positions.shape[1] // _PROBES)]
    fits = []
    for inwards in product((0, 1), repeat=2):
        span = cells - sum(inwards)
        if span < 1 or high <= low:
            continue
        step = (high - low) / span
        start, loose = low - inwards[0] * step, _LOOSE + rounding / step
        if _offsets(probes, start, step, loose) is None:
            continue
        moved = _offsets(positions, start, step, loose)
        if moved is not None:
            fits.append(_Axis(start, step, moved))
    return min(fits, key=lambda fit: np.count_nonzero(fit.moved), default=None)


def _offsets(positions: np.ndarray, start: float, step: float, loose: float) -> np.ndarray | None:
    """Returns by how many cells vertices are beside their lines, None unless by -1, 0 or 1."""
    beside = (positions - np.float64(start)) / step - np.arange(len(positions))[:, None]
    moved = np.rint(beside)
    if np.abs(moved).max() > 1 or np.abs(beside - moved).max() > loose:
        return None
    return moved.astype(np.int8)


def _rises(heights: np.ndarray, moved: np.ndarray) -> bool:
    """Returns whether each moved vertex has a higher neighbor on the side that it moves to.

    The neighbor is on the same line across or one farther, along the grid's main diagonal.

    Args:
        heights: Heights [m], shape [lines, vertices].
        moved: Cells by which vertices move towards later lines, shape [lines, vertices].
    """
    if moved[0].min() < 0 or moved[-1].max() > 0:
        return False
    line, place = np.nonzero(moved)
    way = moved[line, place].astype(np.int64)
    last = heights.shape[1] - 1
    own, straight = heights[line, place], heights[line + way, place]
    diagonal = heights[line + way, np.clip(place + way, 0, last)]
    return bool((np.maximum(straight, diagonal) > own).all())
