"""The ground that walking robots stand on: flat, or a map of levels that they climb.

Source: legged_gym, envs/base/legged_robot.py (curriculum, measured heights).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from rlgpu.config import Count, Fraction, NonNegative, Positive, Range
from rlgpu.envs import uniform
from rlgpu.rotations import yaw_of
from rlgpu.sim.terrain import HeightField, TerrainMap, grid_points, make_map
from rlgpu.tasks.legged_rewards import flat_ground
from rlgpu.tasks.own_ground import own_ground, starts_on


@dataclass(frozen=True)
class Proportions:
    """Shares of the kinds of ground; ``task.terrain.proportions.*``."""

    smooth_slope: NonNegative = 0.1
    """Slopes up to 36 %; as all largest values here, of the last of 10 levels."""
    rough_slope: NonNegative = 0.1
    """The same with 5 cm of unevenness."""
    stairs_up: NonNegative = 0.35
    """Stairs that lead up from where robots start, steps up to 21 cm."""
    stairs_down: NonNegative = 0.25
    """Stairs that lead down."""
    blocks: NonNegative = 0.2
    """Blocks and holes up to 23 cm."""
    stones: NonNegative = 0.0
    """Stones with gaps between them."""


@dataclass(frozen=True)
class TerrainSettings:
    """The ground; ``task.terrain.*``."""

    kind: str = "plane"
    """plane; rough, stairs or slopes, maps of tiles; or ground of your own: a file .npy of heights
    [m] with a row for each x, a mesh (.stl, .obj, .dae), or path/to/file.py:function, which takes
    the spacing [m] and a NumPy generator and returns heights."""
    spacing: Annotated[float, Range(0.01, 1.0)] = 0.1
    """Distance between the samples of ground of your own [m]."""
    num_levels: Count = 10
    """Levels of difficulty."""
    num_columns: Count = 20
    """Tiles of each level."""
    tile_size: Annotated[float, Range(4.0, 100.0)] = 8.0
    """Side of a tile [m]."""
    border: Positive = 20.0
    """Width of the flat ground around [m]."""
    seed: int = 0
    """Seed of the map."""
    curriculum: bool = True
    """Whether robots that walk far move up a level and those that do not move down; otherwise they
    are spread over all levels of the same map (the source then mixes tiles of three levels)."""
    max_start_level: Annotated[int, Range(0, 1000)] = 5
    """Highest level at the start of training, from 0."""
    demotion: Fraction = 0.5
    """Share of the commanded distance below which a robot moves down."""
    start_spread: Annotated[float, Range(0.0, 1.0)] = 1.0
    """Largest distance of robots from the middle of their tile at reset, along x and y [m]."""
    proportions: Proportions = field(default_factory=Proportions)


TILES: Mapping[str, Mapping[str, float]] = {
    "rough": {},
    "stairs": {"stairs_up": 0.5, "stairs_down": 0.5},
    "slopes": {"smooth_slope": 0.5, "rough_slope": 0.5},
}
"""Shares of kinds of tiles by the kind of a map; empty: those of ``proportions``."""


REACH = 0.3
"""Half the side of the square around a start whose highest point robots stand on [m]."""


class Ground:
    """Where robots start, which level they are on, and how high the ground is."""

    def __init__(self, settings: TerrainSettings) -> None:
        """Builds the map, if there is one."""
        self.settings = settings
        self._map = None
        if settings.kind in TILES:
            self._map = make_map(
                TILES[settings.kind] or vars(settings.proportions),
                num_levels=settings.num_levels,
                num_columns=settings.num_columns,
                tile=settings.tile_size,
                border=settings.border,
                seed=settings.seed,
            )
        elif settings.kind != "plane":
            field = own_ground(settings.kind, settings.spacing, settings.seed)
            self._map = TerrainMap(field, starts_on(field, settings.num_columns))

    @property
    def _has_levels(self) -> bool:
        return self._map is not None and self._map.starts.shape[0] > 1

    @property
    def field(self) -> HeightField | None:
        """The map's heights; None for a plane."""
        return self._map.field if self._map else None

    @property
    def origins(self) -> Tensor:
        """Middles of the robots' tiles on the ground [m], shape [N, 3]."""
        return self._origins

    def bind(self, num_envs: int, device: torch.device) -> dict[str, Tensor]:
        """Spreads robots over the map; returns the tensors to be saved."""
        if self._map is None:
            self._origins = torch.zeros(num_envs, 3, device=device)
            return {}
        self._asked = torch.zeros(num_envs, device=device)
        settings, number = self.settings, torch.arange(num_envs, device=device)
        self._starts = torch.from_numpy(self._map.starts).to(device)
        self._column = number % self._map.starts.shape[1]
        highest = self._map.starts.shape[0] - 1
        if settings.curriculum:
            highest = min(settings.max_start_level, highest)
        self.level = number // self._map.starts.shape[1] % (highest + 1)
        self._next = self.level.clone()
        self._origins = self._starts[self.level, self._column]
        self._sample = self._map.field.sampler(device)
        reach = torch.linspace(-REACH, REACH, 7)
        self._around = grid_points(reach.tolist(), reach.tolist()).to(device)
        return {"terrain_level": self.level, "origins": self._origins, "asked": self._asked}

    def draw_levels(
        self, walked: Tensor, wanted: Tensor, judged: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Returns the middle of the tile on which every robot would restart, shape [N, 3].

        Args:
            walked: Distance from where it started [m], shape [N].
            wanted: Distance that its commands asked for [m], shape [N].
            judged: Whether its level may change, shape [N], bool.
            generator: For robots that have mastered the last level.
        """
        if not self._has_levels or not self.settings.curriculum:
            return self._origins
        top, settings = self.settings.num_levels, self.settings
        up = walked > settings.tile_size / 2
        down = (walked < settings.demotion * wanted) & ~up
        level = (self.level + (up & judged).long() - (down & judged).long()).clamp(min=0)
        anywhere = torch.randint(0, top, level.shape, generator=generator, device=level.device)
        self._next.copy_(torch.where(level >= top, anywhere, level))
        return self._starts[self._next, self._column]

    def scatter(self, starts: Tensor, generator: torch.Generator) -> Tensor:
        """Returns starts moved at random along x and y, [N, 3] -> [N, 3]."""
        spread = self.settings.start_spread
        if self._map is None or not spread:
            return starts
        moved = starts[:, :2] + uniform((len(starts), 2), -spread, spread, generator)
        heights = starts[:, 2:]
        if not self._has_levels:  # tiles are level where robots start; other ground need not be
            around = moved[:, None] + self._around
            heights = self.below(around).amax(1, keepdim=True)
        return torch.cat((moved, heights), dim=-1)

    def settle(self, mask: Tensor) -> None:
        """Puts reset robots on the level that was drawn, shape [N], bool."""
        if self._map is None:
            return
        self._asked.masked_fill_(mask, 0.0)
        self.level.copy_(torch.where(mask, self._next, self.level))
        self._origins.copy_(self._starts[self.level, self._column])

    def walked(self, pos_w: Tensor) -> Tensor:
        """Returns the horizontal distance from the start [m], [N, 3] -> [N]."""
        return (pos_w[:, :2] - self._origins[:, :2]).norm(dim=-1)

    def below(self, points_w: Tensor) -> Tensor:
        """Returns the ground's height at points [m], [..., 2] -> [...]."""
        return flat_ground(points_w) if self._map is None else self._sample(points_w)


def around(quat_w: Tensor, pos_w: Tensor, points: Tensor) -> Tensor:
    """Returns points around robots, turned as they are about the vertical, shape [N, P, 2].

    Args:
        quat_w: Orientations (x, y, z, w), shape [N, 4].
        pos_w: Positions [m], shape [N, 3].
        points: Points ahead and to the left of a robot [m], shape [P, 2].
    """
    yaw = yaw_of(quat_w)
    cos, sin = yaw.cos()[:, None], yaw.sin()[:, None]
    ahead, left = points.unbind(-1)
    turned = torch.stack((cos * ahead - sin * left, sin * ahead + cos * left), dim=-1)
    return pos_w[:, None, :2] + turned


MEASURED = grid_points(
    [0.1 * i for i in (*range(-8, -1), *range(2, 9))],
    [0.1 * i for i in (*range(-5, 0), *range(1, 6))],
)
"""Points at which AnymalTerrain measures heights: 14 ahead and behind, 10 to the sides."""
