"""The model's height field as the kernels read it (csrc/kernels/physics/terrain.h)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.contact_parameters import contact_parameters
from rlgpu.sim.mujoco.fused.coverage import MOST_CELLS
from rlgpu.sim.mujoco.fused.pair_kinds import PairKind, kind_of, steps_of
from rlgpu.sim.mujoco.pairs import Pair

_BLOCK = 8
"""Cells along a side of a block, ``kTerrainBlock`` in csrc."""

_OUTSIDE = -1e9
"""Height around the field [m]: its own edges are convex."""
_FLAT = 1e-5
"""Bends of the surface up to this height within a cell are flat [m]: heights are float32."""


class TerrainTables(NamedTuple):
    """Heights, the largest in and around each block, and where the first sample is."""

    sizes: Mapping[str, int]
    constants: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, model: mujoco.MjModel, pairs: Sequence[Pair]) -> TerrainTables:
        """Returns the tables of the height field that something can touch, or empty ones."""
        fields = [p.geom1 for p in pairs if p.kind[0] == mujoco.mjtGeom.mjGEOM_HFIELD]
        heights, frame, cells, below = np.zeros((0, 0)), np.zeros(5), 0, MOST_CELLS
        if fields:
            heights, frame = _heights(model, fields[0])
            on_it = [pair for pair in pairs if pair.geom1 == fields[0]]
            convex = [pair for pair in on_it if kind_of(pair) is PairKind.TERRAIN_CONVEX]
            cells = _cells_within(max(_reach(model, pair) for pair in on_it), frame)
            below = max([MOST_CELLS, *(_cells_within(_reach(model, p), frame) for p in convex)])
        tops = _tops(heights, below)
        ridges, crests = _ridges(heights)
        return cls(
            sizes={
                "terrain_rows": heights.shape[0],
                "terrain_columns": heights.shape[1],
                "terrain_top_rows": tops.shape[0],
                "terrain_top_columns": tops.shape[1],
            },
            constants={
                "terrain_heights": heights,
                "terrain_ridges": ridges,
                "terrain_crests": crests,
                "terrain_tops": tops,
                "terrain_crest_tops": _tops(crests, cells),
                "terrain_frame": frame,
            },
        )


def _heights(model: mujoco.MjModel, geom: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns heights [m] in the world, rows along y, and x, y, steps and the field's base [m]."""
    field = int(model.geom_dataid[geom])
    rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    start, size = int(model.hfield_adr[field]), model.hfield_size[field]
    data = model.hfield_data[start : start + rows * columns].reshape(rows, columns)
    x, y, z = model.geom_pos[geom]
    frame = np.array([x - size[0], y - size[1], *steps_of(model, geom), z - size[3]])
    return data.astype(np.float64) * size[2] + z, frame


def _reach(model: mujoco.MjModel, pair: Pair) -> float:
    """Returns how far a geom on a height field reaches from its centre, with its margin [m]."""
    size, contact = model.geom_size[pair.geom2], contact_parameters(model, pair)
    margin = contact.margin + contact.gap
    is_box = pair.kind[1] == mujoco.mjtGeom.mjGEOM_BOX
    if kind_of(pair) is PairKind.TERRAIN_CONVEX:
        return margin + float(model.geom_rbound[pair.geom2])
    return margin + float(np.linalg.norm(size) if is_box else size[:2].sum())


def _cells_within(reach: float, frame: np.ndarray) -> int:
    return int(np.ceil(reach / frame[2:4].min())) + 1


def _ridges(heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns marks of the convex edges that begin at each sample, and their largest heights.

    The marks add up: 1 for the edge along x, 2 along y, 4 for that along both.

    The two triangles at an edge form a parallelogram, so the edge is convex if its ends are
    together higher than the two other corners. Edges of the whole field count as convex.
    """
    ridges, crests = np.zeros(heights.shape), np.full(heights.shape, _OUTSIDE)
    if heights.size == 0:
        return ridges, crests
    around = np.pad(heights, 1, constant_values=_OUTSIDE)
    low, high = around[1:-1, 1:-1], around[2:, 2:]
    right, up, down, left = around[1:-1, 2:], around[2:, 1:-1], around[:-2, 1:-1], around[1:-1, :-2]
    edges = ((1, right, high + down), (2, up, high + left), (4, high, right + up))
    for mark, end, corners in edges:
        convex = (end > _OUTSIDE) & (low + end - corners > _FLAT)
        ridges += mark * convex
        crests = np.where(convex, np.maximum(crests, np.maximum(low, end)), crests)
    return ridges, crests


def _tops(heights: np.ndarray, cells: int) -> np.ndarray:
    """Returns the largest height in each block and some cells around it."""
    blocks = [-(-max(count - 1, 0) // _BLOCK) for count in heights.shape]
    tops = np.zeros(blocks)
    for row, column in np.ndindex(*blocks):
        first = np.maximum(np.array([row, column]) * _BLOCK - cells, 0)
        last = np.array([row + 1, column + 1]) * _BLOCK + cells + 1
        tops[row, column] = heights[first[0] : last[0], first[1] : last[1]].max()
    return tops
