"""Uneven ground: tiles of slopes, stairs, blocks, stones and rough patches, in rising levels.

A tile is a square of heights with a flat platform in its middle, where a robot starts; a map puts
tiles side by side, one row for each level.

Source: legged_gym, utils/terrain.py, whose sizes the levels have. Differences in rlgpu:

* The ground is a height field, so a wall such as a stair's riser leans over one sample, 10 cm. The
  source's mesh moves vertices to make walls vertical.
* Heights are not rounded to 5 mm.
* Slopes have one grade everywhere and go up or down at random, also the rough ones. The source's
  flatten towards the corners; half of its smooth ones go down, none of its rough ones.
* Stones leave a platform of 2 m instead of 4 m, and the gaps between them are 1 m deep, not 10 m.
* There are no tiles with a single wide gap or a pit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Heights = NDArray[np.float32]
SPACING = 0.1
"""Distance between samples [m]."""
PLATFORM = 3.0
"""Largest side of the flat middle of a tile [m]."""
START_AREA = 2.0
"""Side of the area in the middle whose highest point is where robots start [m]."""


class HeightField(NamedTuple):
    """Ground as a grid of heights; between samples it is interpolated."""

    heights: Heights
    """Heights [m], shape [X, Y]."""
    corner: tuple[float, float]
    """Position of sample (0, 0) [m]."""
    spacing: float = SPACING
    """Distance between samples [m]."""

    def sampler(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Returns a function of points [m], [..., 2], that returns the heights there [m], [...].

        Heights are interpolated between the four samples around; beyond the edge, those at it.
        """
        grid = torch.from_numpy(self.heights).to(device).T  # rows along y
        last = torch.tensor(self.heights.shape, dtype=torch.float32, device=device) - 1
        # Places from -1 to 1 along both sides, as grid_sample takes them.
        scale = 2.0 / (self.spacing * last)
        shift = -1.0 - torch.tensor(self.corner, device=device) * scale

        def sample(points_w: Tensor) -> Tensor:
            place = torch.addcmul(shift, points_w, scale)
            # Each row of points has the grid to itself, so that the rows are spread over threads.
            rows = place.shape[0] if place.dim() > 1 else 1
            found = torch.nn.functional.grid_sample(
                grid.expand(rows, 1, -1, -1),
                place.view(rows, 1, -1, 2),
                padding_mode="border",
                align_corners=True,
            )
            return found.view(points_w.shape[:-1])

        return sample


class TerrainMap(NamedTuple):
    """Tiles of rising levels, and where robots start on them."""

    field: HeightField
    starts: NDArray[np.float32]
    """Middles of the tiles [m], shape [levels, columns, 3]."""


def make_map(
    proportions: Mapping[str, float],
    *,
    num_levels: int,
    num_columns: int,
    tile: float,
    border: float,
    seed: int,
) -> TerrainMap:
    """Builds a map: levels along x, kinds of ground along y, flat ground around.

    Args:
        proportions: Share of the columns that each kind of ``KINDS`` has.
        num_levels: Number of levels, from easy to hard.
        num_columns: Number of tiles of each level.
        tile: Side of a tile [m].
        border: Width of the flat ground around [m].
        seed: Seed of what is random about it.
    """
    rng = np.random.default_rng(seed)
    side, edge = round(tile / SPACING), round(border / SPACING)
    grid = np.zeros((num_levels * side + 2 * edge + 1, num_columns * side + 2 * edge + 1))
    starts = np.zeros((num_levels, num_columns, 3))
    kinds = _spread(proportions, num_columns)
    for level in range(num_levels):
        for column, kind in enumerate(kinds):
            heights = KINDS[kind](side, level / num_levels, rng)
            x, y = edge + level * side, edge + column * side
            grid[x : x + side, y : y + side] = heights
            half = _samples(START_AREA / 2)
            middle = slice(side // 2 - half, side // 2 + half)
            start = ((level + 0.5) * tile, (column + 0.5) * tile, heights[middle, middle].max())
            starts[level, column] = start
    field = HeightField(grid.astype(np.float32), (-border, -border))
    return TerrainMap(field, starts.astype(np.float32))


def _spread(proportions: Mapping[str, float], count: int) -> list[str]:
    """Returns kinds for columns, in as many as their shares say."""
    total = sum(proportions.values())
    bounds = np.cumsum([share / total for share in proportions.values()])
    names = list(proportions)
    return [names[int(np.searchsorted(bounds, (i + 0.5) / count))] for i in range(count)]


def _distance(side: int) -> Heights:
    """Returns each sample's distance from the middle, the larger of along x and y [m]."""
    along = np.abs(np.arange(side) - (side - 1) / 2) * SPACING
    return np.maximum(along[:, None], along[None, :]).astype(np.float32)


def slope(side: int, grade: float) -> Heights:
    """Returns a pyramid whose middle is high, or low for a negative grade; its edge is at 0.

    Args:
        side: Samples along a side.
        grade: Rise over run.
    """
    distance = _distance(side)
    run = distance.max() - np.maximum(distance, PLATFORM / 2)
    return (grade * run).astype(np.float32)


def stairs(side: int, step_height: float, step_width: float = 0.31) -> Heights:
    """Returns stairs that go up to the middle, or down for a negative height.

    As in the source, steps are whole samples wide and go on until the platform is at most 3 m wide.

    Args:
        side: Samples along a side.
        step_height: Height of a step [m].
        step_width: Width of a step [m]; 31 cm are 3 samples.
    """
    width, platform = max(_samples(step_width), 1), _samples(PLATFORM)
    count = max(math.ceil((side - platform) / (2 * width)), 0)
    along = np.minimum(np.arange(side), np.arange(side)[::-1])  # samples from the nearer edge
    from_edge = np.minimum(along[:, None], along[None, :])
    return (step_height * np.minimum(from_edge // width, count)).astype(np.float32)


def _samples(length: float) -> int:
    """Returns the number of whole samples in a length [m]."""
    return int(length / SPACING + 1e-6)


def blocks(side: int, height: float, rng: np.random.Generator, *, count: int = 20) -> Heights:
    """Returns flat ground with rectangular blocks and holes of half or all of a height.

    Args:
        side: Samples along a side.
        height: Largest height of a block [m].
        rng: Where they are, how large and how high.
        count: Number of blocks.
    """
    heights = np.zeros((side, side), dtype=np.float32)
    for _ in range(count):
        size = rng.integers(round(1.0 / SPACING), round(2.0 / SPACING), 2)
        x, y = (int(rng.integers(0, side - int(n))) for n in size)
        heights[x : x + size[0], y : y + size[1]] = height * rng.choice([-1, -0.5, 0.5, 1])
    heights[_distance(side) < PLATFORM / 2] = 0.0
    return heights


def stones(side: int, size: float, gap: float, rng: np.random.Generator) -> Heights:
    """Returns stones with gaps of 1 m depth between them.

    Args:
        side: Samples along a side.
        size: Side of a stone [m].
        gap: Distance between stones [m], in whole samples.
        rng: How rows of stones are shifted.
    """
    heights = np.full((side, side), -1.0, dtype=np.float32)
    wide, between = max(_samples(size), 1), _samples(gap)
    for x in range(0, side, wide + between):
        shift = int(rng.integers(0, wide))
        for y in range(-shift, side, wide + between):
            heights[x : x + wide, max(y, 0) : max(y + wide, 0)] = 0.0
    heights[_distance(side) < START_AREA / 2] = 0.0
    return heights


def rough(side: int, height: float, rng: np.random.Generator, *, every: int = 2) -> Heights:
    """Returns random heights, drawn on a coarser grid and interpolated.

    Args:
        side: Samples along a side.
        height: Largest height up and down [m].
        rng: The heights.
        every: Samples between those that are drawn.
    """
    coarse = rng.uniform(-height, height, (side // every + 2, side // every + 2))
    place = np.arange(side) / every
    low = place.astype(int)
    share = place - low
    rows = coarse[low] * (1 - share)[:, None] + coarse[low + 1] * share[:, None]
    heights = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    return heights.astype(np.float32)


def _smooth_slope(side: int, level: float, rng: np.random.Generator) -> Heights:
    return slope(side, 0.4 * level * rng.choice([-1, 1]))


def _rough_slope(side: int, level: float, rng: np.random.Generator) -> Heights:
    return _smooth_slope(side, level, rng) + rough(side, 0.05, rng)


def _stairs_up(side: int, level: float, rng: np.random.Generator) -> Heights:
    return stairs(side, -(0.05 + 0.18 * level))


def _stairs_down(side: int, level: float, rng: np.random.Generator) -> Heights:
    return stairs(side, 0.05 + 0.18 * level)


def _blocks(side: int, level: float, rng: np.random.Generator) -> Heights:
    return blocks(side, 0.05 + 0.2 * level, rng)


def _stones(side: int, level: float, rng: np.random.Generator) -> Heights:
    return stones(side, 1.5 * (1.05 - level), 0.1 if level else 0.05, rng)


KINDS: Mapping[str, Callable[[int, float, np.random.Generator], Heights]] = {
    "smooth_slope": _smooth_slope,
    "rough_slope": _rough_slope,
    "stairs_up": _stairs_up,
    "stairs_down": _stairs_down,
    "blocks": _blocks,
    "stones": _stones,
}
"""Kinds of tiles: functions of samples along a side, difficulty in [0, 1), and random numbers."""


def grid_points(xs: Sequence[float], ys: Sequence[float]) -> Tensor:
    """Returns all pairs of coordinates, x slowest, shape [len(xs) * len(ys), 2]."""
    return torch.cartesian_prod(torch.tensor(xs), torch.tensor(ys))
