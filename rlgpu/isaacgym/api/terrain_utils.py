"""Terrains as grids of heights: ``isaacgym.terrain_utils``.

A terrain's ``height_field_raw[i, j]`` is the height at x = i * horizontal_scale,
y = j * horizontal_scale in units of ``vertical_scale``, an int16. Functions change it in place and
return the terrain. Random ones draw from NumPy's global generator, as scripts seed that one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SubTerrain",
    "convert_heightfield_to_trimesh",
    "discrete_obstacles_terrain",
    "np",
    "pyramid_sloped_terrain",
    "pyramid_stairs_terrain",
    "random_uniform_terrain",
    "sloped_terrain",
    "stairs_terrain",
    "stepping_stones_terrain",
    "wave_terrain",
]


class SubTerrain:
    """A rectangle of heights."""

    def __init__(
        self,
        terrain_name: str = "terrain",
        width: int = 256,
        length: int = 256,
        vertical_scale: float = 1.0,
        horizontal_scale: float = 1.0,
    ) -> None:
        """Builds a flat terrain of ``width`` samples along x and ``length`` along y."""
        self.terrain_name = terrain_name
        self.vertical_scale, self.horizontal_scale = vertical_scale, horizontal_scale
        self.width, self.length = width, length
        self.height_field_raw = np.zeros((width, length), dtype=np.int16)

    def units(self, height: float) -> int:
        """Returns a height [m] in the samples' units."""
        return int(height / self.vertical_scale)

    def samples(self, distance: float) -> int:
        """Returns a distance [m] in samples."""
        return int(distance / self.horizontal_scale)

    def flatten_middle(self, size: float, height: int | None = None) -> None:
        """Gives the middle square one height: the lowest or highest at its edge if None."""
        half = self.samples(size / 2)
        x, y = self.width // 2, self.length // 2
        square = slice(x - half, x + half), slice(y - half, y + half)
        if height is None:
            edge = self.height_field_raw[x - half, y - half]
            low, high = min(int(edge), 0), max(int(edge), 0)
            np.clip(self.height_field_raw, low, high, out=self.height_field_raw)
        else:
            self.height_field_raw[square] = height


def random_uniform_terrain(
    terrain: SubTerrain,
    min_height: float,
    max_height: float,
    step: float = 1,
    downsampled_scale: float | None = None,
) -> SubTerrain:
    """Adds random heights [m] in steps, drawn on a coarser grid and interpolated linearly."""
    spacing = downsampled_scale or terrain.horizontal_scale
    low, high, by = (terrain.units(value) for value in (min_height, max_height, step))
    shape = [int(n * terrain.horizontal_scale / spacing) for n in (terrain.width, terrain.length)]
    coarse = np.random.choice(np.arange(low, high + by, by), shape)
    along_x = np.linspace(0, shape[0] - 1, terrain.width)
    along_y = np.linspace(0, shape[1] - 1, terrain.length)
    i, j = along_x.astype(int), along_y.astype(int)
    i_next, j_next = np.minimum(i + 1, shape[0] - 1), np.minimum(j + 1, shape[1] - 1)
    a, b = (along_x - i)[:, None], (along_y - j)[None, :]
    first = coarse[np.ix_(i, j)] * (1 - b) + coarse[np.ix_(i, j_next)] * b
    second = coarse[np.ix_(i_next, j)] * (1 - b) + coarse[np.ix_(i_next, j_next)] * b
    terrain.height_field_raw += np.rint(first * (1 - a) + second * a).astype(np.int16)
    return terrain


def sloped_terrain(terrain: SubTerrain, slope: float = 1) -> SubTerrain:
    """Adds a slope along x."""
    rise = slope * terrain.horizontal_scale / terrain.vertical_scale
    heights = (np.arange(terrain.width) * rise).astype(np.int16)
    terrain.height_field_raw += heights[:, None]
    return terrain


def pyramid_sloped_terrain(
    terrain: SubTerrain, slope: float = 1, platform_size: float = 1.0
) -> SubTerrain:
    """Adds a pyramid, or a pit if the slope is negative, cut off by a platform [m]."""
    x = 1 - np.abs(np.linspace(-1, 1, terrain.width, endpoint=False))
    y = 1 - np.abs(np.linspace(-1, 1, terrain.length, endpoint=False))
    top = slope * terrain.horizontal_scale / terrain.vertical_scale * terrain.width / 2
    terrain.height_field_raw += (top * x[:, None] * y[None, :]).astype(np.int16)
    terrain.flatten_middle(platform_size)
    return terrain


def discrete_obstacles_terrain(
    terrain: SubTerrain,
    max_height: float,
    min_size: float,
    max_size: float,
    num_rects: int,
    platform_size: float = 1.0,
) -> SubTerrain:
    """Adds rectangles of heights +-max_height and +-max_height / 2 [m], and a platform."""
    top, least, most = terrain.units(max_height), *map(terrain.samples, (min_size, max_size))
    heights, sizes = [-top, -top // 2, top // 2, top], np.arange(least, most, 4)
    rows, cols = terrain.height_field_raw.shape
    for _ in range(num_rects):
        width, length = np.random.choice(sizes), np.random.choice(sizes)
        i = np.random.choice(np.arange(0, rows - width, 4))
        j = np.random.choice(np.arange(0, cols - length, 4))
        terrain.height_field_raw[i : i + width, j : j + length] = np.random.choice(heights)
    terrain.flatten_middle(platform_size, 0)
    return terrain


def wave_terrain(terrain: SubTerrain, num_waves: int = 1, amplitude: float = 1.0) -> SubTerrain:
    """Adds waves along both axes, of a height between crest and trough in metres."""
    if num_waves > 0:
        wave = 2 * np.pi * num_waves / terrain.length
        half = terrain.units(0.5 * amplitude)
        x, y = np.arange(terrain.width) * wave, np.arange(terrain.length) * wave
        heights = half * np.cos(y)[None, :] + half * np.sin(x)[:, None]
        terrain.height_field_raw += heights.astype(np.int16)
    return terrain


def stairs_terrain(terrain: SubTerrain, step_width: float, step_height: float) -> SubTerrain:
    """Adds stairs along x, of a depth and a height a step [m]."""
    width, height = terrain.samples(step_width), terrain.units(step_height)
    steps = np.arange(terrain.width) // width + 1
    terrain.height_field_raw += (np.minimum(steps, terrain.width // width) * height).astype(
        np.int16
    )[:, None]
    return terrain


def pyramid_stairs_terrain(
    terrain: SubTerrain, step_width: float, step_height: float, platform_size: float = 1.0
) -> SubTerrain:
    """Replaces the terrain by stairs on four sides up to a platform, or down if negative."""
    width, height = terrain.samples(step_width), terrain.units(step_height)
    platform = terrain.samples(platform_size)
    level, margin = 0, 0
    while min(terrain.width, terrain.length) - 2 * margin > platform:
        margin, level = margin + width, level + height
        inside = slice(margin, terrain.width - margin), slice(margin, terrain.length - margin)
        terrain.height_field_raw[inside] = level
    return terrain


def stepping_stones_terrain(
    terrain: SubTerrain,
    stone_size: float,
    stone_distance: float,
    max_height: float,
    platform_size: float = 1.0,
    depth: float = -10,
) -> SubTerrain:
    """Replaces the terrain by square stones over a depth [m], each row shifted at random."""
    stone, gap = terrain.samples(stone_size), terrain.samples(stone_distance)
    top = terrain.units(max_height)
    heights = np.arange(-top - 1, top, step=1)
    terrain.height_field_raw[:] = terrain.units(depth)
    # Rows of stones run along the longer side.
    field = terrain.height_field_raw
    field = field if terrain.length >= terrain.width else field.T
    for start in range(0, field.shape[1], stone + gap):
        row = field[:, start : start + stone]
        shift = np.random.randint(0, stone)
        row[: max(0, shift - gap)] = np.random.choice(heights)
        for first in range(shift, field.shape[0], stone + gap):
            row[first : first + stone] = np.random.choice(heights)
    terrain.flatten_middle(platform_size, 0)
    return terrain


def convert_heightfield_to_trimesh(
    height_field_raw: NDArray[np.int16],
    horizontal_scale: float,
    vertical_scale: float,
    slope_threshold: float | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Returns vertices, shape [V, 3] [m], and triangles, shape [T, 3], of a height field.

    Args:
        height_field_raw: Heights in units of ``vertical_scale``.
        horizontal_scale: Distance of the samples [m].
        vertical_scale: Height of one unit [m].
        slope_threshold: Steeper slopes become vertical, by moving the lower vertices under the
            upper ones; None keeps all slopes.
    """
    rows, cols = height_field_raw.shape
    x, y = np.meshgrid(
        np.arange(rows) * horizontal_scale, np.arange(cols) * horizontal_scale, indexing="ij"
    )
    if slope_threshold is not None:
        steps = _toward_higher(
            height_field_raw, slope_threshold * horizontal_scale / vertical_scale
        )
        x, y = x + steps[0] * horizontal_scale, y + steps[1] * horizontal_scale
    z = height_field_raw * vertical_scale
    vertices = np.stack((x, y, z), axis=-1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(rows - 1)[:, None] * cols + np.arange(cols - 1)[None, :]).reshape(-1)
    first = np.stack((corner, corner + cols + 1, corner + 1), axis=-1)
    second = np.stack((corner, corner + cols, corner + cols + 1), axis=-1)
    triangles = np.stack((first, second), axis=1).reshape(-1, 3).astype(np.uint32)
    return vertices, triangles


def _toward_higher(
    heights: NDArray[np.int16], threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns by how many samples each vertex moves along x and y, to make walls vertical."""
    levels = heights.astype(np.int64)
    rows, cols = levels.shape
    x, y, both = np.zeros((rows, cols)), np.zeros((rows, cols)), np.zeros((rows, cols))
    up_x, up_y = np.diff(levels, axis=0), np.diff(levels, axis=1)
    diagonal = levels[1:, 1:] - levels[:-1, :-1]
    x[:-1] += up_x > threshold
    x[1:] -= -up_x > threshold
    y[:, :-1] += up_y > threshold
    y[:, 1:] -= -up_y > threshold
    both[:-1, :-1] += diagonal > threshold
    both[1:, 1:] -= -diagonal > threshold
    # A vertex that a wall moves along one axis already does not follow a diagonal.
    return x + both * (x == 0), y + both * (y == 0)
