"""Uneven ground: shapes of tiles, maps, and heights between samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlgpu.sim.terrain import (
    KINDS,
    HeightField,
    blocks,
    grid_points,
    make_map,
    rough,
    slope,
    stairs,
)
from rlgpu.sim.terrain import stones as stones_of

SIDE = 80  # 8 m


def test_a_slope_rises_to_a_platform() -> None:
    """Grade 0.2 over the 2.45 m from the edge to the platform of 3 m."""
    heights = slope(SIDE, 0.2)
    assert heights.max() == pytest.approx(0.2 * (3.95 - 1.5), abs=1e-6)
    assert (heights[26:54, 26:54] == heights.max()).all()
    assert heights[0].max() == 0.0
    assert np.array_equal(heights, heights.T)
    assert np.array_equal(slope(SIDE, -0.2), -heights)


def test_stairs_have_steps_of_one_height() -> None:
    """9 steps, each 3 samples wide, lead from the edge of 8 m to a platform of 26 samples."""
    heights = stairs(SIDE, 0.1)
    # 80 - 2 * 3 * 8 = 32 samples are more than 3 m, so a ninth step follows: 26 samples.
    rise = [level for level in range(9) for _ in range(3)]
    wanted = [*rise, *[9] * 26, *reversed(rise)]
    assert np.round(heights[40] / 0.1).tolist() == wanted
    assert np.round(heights[:, 30] / 0.1).tolist() == wanted
    assert np.round(heights.diagonal() / 0.1).tolist() == wanted
    assert heights[40, 40] == pytest.approx(0.9)
    assert np.array_equal(stairs(SIDE, -0.1), -heights)


def test_blocks_and_stones_leave_the_middle_flat() -> None:
    """Robots start there; elsewhere there are blocks of all or half of a height, and gaps."""
    rng = np.random.default_rng(0)
    heights = blocks(SIDE, 0.2, rng)
    assert not heights[26:54, 26:54].any()
    assert set(np.round(heights * 100).astype(int).flatten()) <= {-20, -10, 0, 10, 20}
    assert heights.any()
    gaps = stones_of(SIDE, 0.5, 0.2, rng)
    assert not gaps[36:44, 36:44].any()
    # Stones of 5 samples and gaps of 2, along both axes: (5 / 7)^2 of the ground, about.
    assert (gaps == 0.0).mean() == pytest.approx(25 / 49, abs=0.08)
    assert gaps.min() == -1.0


def test_the_first_level_of_stones_has_no_gaps() -> None:
    """Gaps of 5 cm are less than a sample, 10 cm; later ones are a sample wide."""
    rng = np.random.default_rng(0)
    assert not KINDS["stones"](SIDE, 0.0, rng).any()
    later = KINDS["stones"](SIDE, 0.5, rng)
    # Stones of 1.5 * 0.55 = 0.825 m are 8 samples; rows 8, 17 and so on are gaps.
    assert (later[8::9] == -1.0)[:, :30].all()
    assert not later[30:50, 30:50].any()


def test_rough_ground_stays_within_its_height() -> None:
    """And differs from sample to sample."""
    heights = rough(SIDE, 0.05, np.random.default_rng(0))
    assert np.abs(heights).max() <= 0.05
    assert heights.std() > 0.01


def test_heights_are_interpolated_and_continue_beyond_the_edge() -> None:
    """A plane z = 2 x + 3 y over x from -1 to 0 and y from 5 to 6, sampled every half metre."""
    x, y = np.meshgrid([-1.0, -0.5, 0.0], [5.0, 5.5, 6.0], indexing="ij")
    field = HeightField((2 * x + 3 * y).astype(np.float32), (-1.0, 5.0), 0.5)
    sample = field.sampler(torch.device("cpu"))
    points = torch.tensor([[-0.3, 5.2], [-1.0, 5.0], [0.0, 6.0], [-9.0, 5.5], [9.0, 9.0]])
    wanted = torch.tensor([15.0, 13.0, 18.0, 14.5, 18.0])
    torch.testing.assert_close(sample(points), wanted)
    assert sample(points.view(5, 1, 2)).shape == (5, 1)


def test_a_map_has_levels_that_rise_and_columns_by_share() -> None:
    """Half slopes and half stairs: columns 0, 1 and 2, 3; level i of n has difficulty i / n."""
    made = make_map(
        {"smooth_slope": 1.0, "stairs_down": 1.0},
        num_levels=3,
        num_columns=4,
        tile=8.0,
        border=5.0,
        seed=1,
    )
    assert made.field.heights.shape == (3 * 80 + 101, 4 * 80 + 101)
    assert made.starts.shape == (3, 4, 3)
    assert made.starts[1, 2, :2].tolist() == [12.0, 20.0]
    # Stairs up to the platform: 9 steps of 5 + 18 * (0, 1 / 3, 2 / 3) = 5, 11 and 17 cm.
    np.testing.assert_allclose(made.starts[:, 2, 2], [0.45, 0.99, 1.53], atol=1e-5)
    assert (np.abs(made.starts[0, :2, 2]) == 0).all()
    sample = made.field.sampler(torch.device("cpu"))
    starts = torch.from_numpy(made.starts)
    torch.testing.assert_close(sample(starts[:, 2, :2]), starts[:, 2, 2])
    assert float(sample(torch.tensor([-4.0, -4.0]))) == 0.0
    same = make_map(
        {"smooth_slope": 1.0, "stairs_down": 1.0},
        num_levels=3,
        num_columns=4,
        tile=8.0,
        border=5.0,
        seed=1,
    )
    assert np.array_equal(same.field.heights, made.field.heights)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_a_tile_of_every_level(kind) -> None:
    """Finite heights of the wanted size."""
    for level in (0.0, 0.5, 1.0):
        heights = KINDS[kind](SIDE, level, np.random.default_rng(0))
        assert heights.shape == (SIDE, SIDE)
        assert np.isfinite(heights).all()


def test_points_of_a_grid_are_all_pairs() -> None:
    """The first coordinate changes slowest."""
    assert grid_points([1.0, 2.0], [3.0, 4.0]).tolist() == [[1, 3], [1, 4], [2, 3], [2, 4]]
