"""The model's height field as the kernels read it (csrc/kernels/physics/terrain.h)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.coverage import MOST_CELLS, steps_of
from rlgpu.sim.mujoco.pairs import Pair

_BLOCK = 8
"""Cells along a side of a block, ``kTerrainBlock`` in csrc."""


class TerrainTables(NamedTuple):
    """Heights, the largest in and around each block, and where the first sample is."""

    sizes: Mapping[str, int]
    constants: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, model: mujoco.MjModel, pairs: Sequence[Pair]) -> TerrainTables:
        """Returns the tables of the height field that something can touch, or empty ones."""
        fields = [p.geom1 for p in pairs if p.kind[0] == mujoco.mjtGeom.mjGEOM_HFIELD]
        heights, frame = np.zeros((0, 0)), np.zeros(4)
        if fields:
            heights, frame = _heights(model, fields[0])
        tops = _tops(heights)
        return cls(
            sizes={
                "terrain_rows": heights.shape[0], "terrain_columns": heights.shape[1],
                "terrain_top_rows": tops.shape[0], "terrain_top_columns": tops.shape[1],
            },
            constants={
                "terrain_heights": heights, "terrain_tops": tops, "terrain_frame": frame,
            },
        )  # fmt: skip


def _heights(model: mujoco.MjModel, geom: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns heights [m] in the world, rows along y, and x, y and steps of the samples [m]."""
    field = int(model.geom_dataid[geom])
    rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    start, size = int(model.hfield_adr[field]), model.hfield_size[field]
    data = model.hfield_data[start : start + rows * columns].reshape(rows, columns)
    x, y, z = model.geom_pos[geom]
    frame = np.array([x - size[0], y - size[1], *steps_of(model, geom)])
    return data.astype(np.float64) * size[2] + z, frame


def _tops(heights: np.ndarray) -> np.ndarray:
    """Returns the largest height in each block and ``MOST_CELLS`` around it."""
    blocks = [-(-max(count - 1, 0) // _BLOCK) for count in heights.shape]
    tops = np.zeros(blocks)
    for row, column in np.ndindex(*blocks):
        first = np.maximum(np.array([row, column]) * _BLOCK - MOST_CELLS, 0)
        last = np.array([row + 1, column + 1]) * _BLOCK + MOST_CELLS + 1
        tops[row, column] = heights[first[0] : last[0], first[1] : last[1]].max()
    return tops
