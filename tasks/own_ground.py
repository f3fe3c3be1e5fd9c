"""Ground of a user's own: a file of heights, a mesh, or a function."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlgpu.config import load_function, names_function
from rlgpu.errors import Unreadable, UsageError, first_line, line_in, usable_path
from rlgpu.robots import triangles_of
from rlgpu.sim.terrain import HeightField

KEY = "task.terrain.kind"
_MESHES = (".stl", ".obj", ".dae")
_EDGE = 2.0
"""Distance from the edge within which no robot starts [m]."""
_SMALLEST = 3.0
"""Least side of a map [m]."""
_LARGEST = 20_000_000
"""Most samples of a map."""


def own_ground(word: str, spacing: float, seed: int) -> HeightField:
    """Returns the ground that ``task.terrain.kind`` names, its middle at the origin.

    Args:
        word: A file .npy, a mesh, or ``path/to/file.py:function``.
        spacing: Distance between samples [m].
        seed: Of the generator that a function gets.

    Raises:
        UsageError: There is no such ground, or it is none.
    """
    if names_function(word):
        function, file = load_function(KEY, word), Path(word.rpartition(":")[0])
        try:
            heights = function(spacing, np.random.default_rng(seed))
        except Exception as error:  # whatever a user's code raises
            said = f"{KEY}: {line_in(error, file)}"
            raise UsageError(said, key=KEY, value=word, path=file) from error
    else:
        path = usable_path(KEY, word)
        if not path.is_file():
            said = (
                f"{KEY}={word}: wanted plane, rough, stairs, slopes, an existing file .npy, "
                f"{', '.join(_MESHES)}, or path/to/file.py:function"
            )
            raise Unreadable(said, "missing", key=KEY, value=word, path=path)
        try:
            heights = _read(path, spacing)
        except (OSError, ValueError, EOFError, SyntaxError) as error:
            said = f"{KEY}={word}: it cannot be read: {first_line(error)}"
            raise Unreadable(said, "form", key=KEY, value=word, path=path) from error
    return _checked(word, heights, spacing)


def _read(path: Path, spacing: float) -> NDArray[np.float32]:
    kind = path.suffix.lower()
    if kind == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if kind in _MESHES:
        return heights_of(*triangles_of(path), spacing)
    raise ValueError(f"its name ends in {kind or 'nothing'}, not in .npy, {', '.join(_MESHES)}")


def _checked(word: str, heights: object, spacing: float) -> HeightField:
    """Returns a height field, lowest point 0.

    Raises:
        UsageError: The heights are no two-dimensional array of finite numbers.
    """
    try:
        grid = np.asarray(heights, dtype=np.float32)
    except (TypeError, ValueError):
        grid = np.zeros(0, np.float32)
    if grid.ndim != 2 or min(grid.shape) < 2 or grid.size > _LARGEST or not np.isfinite(grid).all():
        said = (
            f"{KEY}={word}: wanted finite heights [m] of shape [X, Y], 2 x 2 to {_LARGEST} in all, "
            f"got {type(heights).__name__} of shape {grid.shape}"
        )
        raise UsageError(said, key=KEY, value=word)
    if min(sides := [(n - 1) * spacing for n in grid.shape]) < _SMALLEST:
        said = (
            f"{KEY}={word}: the ground is {sides[0]:.3g} x {sides[1]:.3g} m, less than "
            f"{_SMALLEST:g} m; is it in metres? task.terrain.spacing separates samples"
        )
        raise UsageError(said, key=KEY, value=word)
    half = [(n - 1) * spacing / 2 for n in grid.shape]
    return HeightField(grid - grid.min(), (-half[0], -half[1]), spacing)


def heights_of(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], spacing: float
) -> NDArray[np.float32]:
    """Returns the heights of a mesh seen from above, shape [X, Y]; 0 where it has none.

    Args:
        vertices: Places [m], shape [V, 3].
        faces: Triangles, shape [T, 3].
        spacing: Distance between samples [m].

    Raises:
        ValueError: It would need too many samples.
    """
    low, high = vertices[:, :2].min(0), vertices[:, :2].max(0)
    shape = [int(n) for n in np.floor((high - low) / spacing + 1e-6) + 1]
    if math.prod(shape) > _LARGEST:
        raise ValueError(f"{shape[0]} x {shape[1]} samples; give a larger task.terrain.spacing")
    heights = np.full(shape, -np.inf)
    for corners in vertices[faces]:
        _draw(heights, corners, low, spacing)
    empty = np.isinf(heights)
    heights[empty] = heights[~empty].min() if not empty.all() else 0.0
    return heights.astype(np.float32)


def _draw(
    heights: NDArray[np.float64],
    corners: NDArray[np.float64],
    low: NDArray[np.float64],
    spacing: float,
) -> None:
    """Raises samples under a triangle to it, where it is above them."""
    flat = (corners[:, :2] - low) / spacing
    first = np.ceil(flat.min(0) - 1e-9).astype(int).clip(0)
    last = np.floor(flat.max(0) + 1e-9).astype(int)
    last = np.minimum(last, np.array(heights.shape) - 1)
    (ax, ay), (bx, by), (cx, cy) = flat
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    if (last < first).any() or abs(area) < 1e-12:
        return  # between samples, or seen edge on
    x, y = np.mgrid[first[0] : last[0] + 1, first[1] : last[1] + 1]
    b = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
    c = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
    inside = (b >= -1e-9) & (c >= -1e-9) & (b + c <= 1 + 1e-9)
    z = corners[0, 2] + b * (corners[1, 2] - corners[0, 2]) + c * (corners[2, 2] - corners[0, 2])
    part = heights[first[0] : last[0] + 1, first[1] : last[1] + 1]
    part[inside] = np.maximum(part[inside], z[inside])


def starts_on(field: HeightField, count: int) -> NDArray[np.float32]:
    """Returns places where robots start, away from the edge, shape [1, C, 3].

    Args:
        field: The ground.
        count: Number of places along its longer side.
    """
    shape = np.array(field.heights.shape)
    sides = (shape - 1) * field.spacing
    edge = np.minimum(_EDGE, sides / 4)
    numbers = np.maximum(np.round(count * sides / sides.max()), 1).astype(int)
    spots = [
        np.linspace(edge[i], sides[i] - edge[i], numbers[i])
        if numbers[i] > 1
        else sides[i : i + 1] / 2
        for i in (0, 1)
    ]
    x, y = (part.ravel() for part in np.meshgrid(*spots, indexing="ij"))
    i, j = (np.round(part / field.spacing).astype(int) for part in (x, y))
    reach = max(round(0.3 / field.spacing), 1)
    padded = np.pad(field.heights, reach, mode="edge")
    size = 2 * reach + 1
    high = [padded[a : a + size, b : b + size].max() for a, b in zip(i, j, strict=True)]
    places = np.stack((x + field.corner[0], y + field.corner[1], high), axis=-1)
    return places[None].astype(np.float32)
