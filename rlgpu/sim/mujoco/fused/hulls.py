"""Tables of convex hulls: vertices, faces, and for meshes the candidates of each direction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.hull_shapes import Hull, box_hull, mesh_hull
from rlgpu.sim.mujoco.fused.hull_thinning import thin

CELLS = 16
"""Cells along an edge of the cube of directions, a power of two, ``kCells`` in csrc."""
_SAMPLES = 5
"""Directions along a cell's side whose farthest vertices are tried first."""


class HullTables:
    """The tables of all hulls of a model, as shapes.h and faces.h in csrc read them."""

    def __init__(
        self, model: mujoco.MjModel, geoms: Iterable[int | None], most_vertices: int = 0
    ) -> None:
        """Collects the hulls of geoms; those of other geoms than meshes and boxes are none.

        Args:
            model: The model.
            geoms: Geoms in the order of the engine's tables; None for one that needs no hull.
            most_vertices: The most vertices of a mesh's hull; 0 keeps all.
        """
        self._most_vertices = most_vertices
        self.deviations: dict[str, float] = {}
        """How far the whole hull of a mesh is from the one with fewer vertices [m], by name."""
        self._hulls: list[Hull] = []
        self._of_mesh: dict[int, int] = {}
        self.geom_hull = [self._add(model, geom) for geom in geoms]
        """Hull of each geom, or -1."""

    def _add(self, model: mujoco.MjModel, geom: int | None) -> int:
        if geom is None:
            return -1
        kind = mujoco.mjtGeom(model.geom_type[geom])
        if kind == mujoco.mjtGeom.mjGEOM_BOX:
            self._hulls.append(box_hull(model.geom_size[geom]))
            return len(self._hulls) - 1
        if kind != mujoco.mjtGeom.mjGEOM_MESH:
            return -1
        mesh = int(model.geom_dataid[geom])
        if mesh not in self._of_mesh:
            self._of_mesh[mesh] = len(self._hulls)
            self._hulls.append(self._limited(model, mesh))
        return self._of_mesh[mesh]

    def _limited(self, model: mujoco.MjModel, mesh: int) -> Hull:
        hull = mesh_hull(model, mesh)
        if not self._most_vertices or len(hull.vertices) <= self._most_vertices:
            return hull
        thinned = thin(hull, self._most_vertices)
        self.deviations[model.mesh(mesh).name] = thinned.deviation
        return thinned.hull

    def tables(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the integers and the constants, by their names."""
        ints: dict[str, list[int]] = {name: [0] for name in ("hull_vertex_adr", "face_adr")}
        ints |= {name: [] for name in ("hull_cell_adr", "hull_face_adr", "hull_around_adr")}
        ints |= {name: [] for name in ("face_vertex", "around_face", "cell_adr")}
        around_adr: list[int] = []
        vertices: list[np.ndarray] = []
        candidates: list[np.ndarray] = []
        meshes = set(self._of_mesh.values())
        for number, hull in enumerate(self._hulls):
            count = len(hull.vertices)
            vertices.append(hull.vertices)
            ints["hull_vertex_adr"].append(ints["hull_vertex_adr"][-1] + count)
            ints["hull_face_adr"].append(len(ints["face_adr"]) - 1)
            for face in hull.faces:
                ints["face_vertex"] += face
                ints["face_adr"].append(len(ints["face_vertex"]))
            ints["hull_around_adr"].append(len(around_adr))
            for faces in hull.around:
                around_adr.append(len(ints["around_face"]))
                ints["around_face"] += faces
            around_adr.append(len(ints["around_face"]))
            ints["hull_cell_adr"].append(len(ints["cell_adr"]) if number in meshes else -1)
            if number in meshes:
                ints["cell_adr"].append(sum(map(len, candidates)))
                for cell in cells_of(hull.vertices):
                    candidates.append(np.column_stack((hull.vertices[cell], cell)))
                    ints["cell_adr"].append(ints["cell_adr"][-1] + len(cell))
        points = np.concatenate(vertices) if vertices else np.zeros((0, 3))
        normals = [hull.normals for hull in self._hulls]
        return ints | {"around_adr": around_adr}, {
            "hull_x": points[:, 0],
            "hull_y": points[:, 1],
            "hull_z": points[:, 2],
            "cell_point": np.concatenate(candidates) if candidates else np.zeros((0, 4)),
            "face_normal": np.concatenate(normals) if normals else np.zeros((0, 3)),
        }


def cells_of(vertices: np.ndarray) -> list[np.ndarray]:
    """Returns, for each cell of directions, all vertices that can be the farthest in it, and more.

    Along a side of the cube, how far a vertex reaches is an affine function of the place on the
    side. So a vertex that another one exceeds at the four corners of a cell is never the farthest
    within it; all others are kept. Each cell chooses among those of a cell of four times its size.

    Args:
        vertices: The vertices of a hull, shape [V, 3].
    """
    sides = []
    for side in range(6):
        axis, sign = side // 2, 1.0 - 2.0 * (side % 2)
        across = [k for k in range(3) if k != axis]
        cells, width = {(0, 0): np.arange(len(vertices))}, 1
        while width <= CELLS:
            for (u, v), among in cells.items():
                low = 2.0 * np.array([u, v]) / width - 1.0
                kept = _farthest_within(vertices[among], axis, sign, across, low, 2.0 / width)
                cells[u, v] = among[kept]
            width *= 2
            if width <= CELLS:
                places = itertools.product(range(width), repeat=2)
                cells = {(u, v): cells[u // 2, v // 2] for u, v in places}
        sides += [cells[u, v] for u, v in itertools.product(range(CELLS), repeat=2)]
    return sides


def _farthest_within(
    vertices: np.ndarray, axis: int, sign: float, across: list[int], low: np.ndarray, width: float
) -> np.ndarray:
    """Returns the numbers of vertices that may be the farthest within a square of directions.

    Args:
        vertices: Shape [V, 3].
        axis: The axis on which the square's side of the cube lies.
        sign: Its sign there.
        across: The other axes.
        low: The square's lower corner along them, shape [2].
        width: Its width.
    """
    samples = np.linspace(0.0, width, _SAMPLES)
    directions = np.full((_SAMPLES * _SAMPLES, 3), sign)
    directions[:, across] = low + np.array(list(itertools.product(samples, repeat=2)))
    reach = directions @ vertices.T
    corners = reach[[0, _SAMPLES - 1, -_SAMPLES, -1]]
    chosen = np.unique(reach.argmax(axis=1))
    slack = 1e-6 * np.abs(corners).max()
    exceeded = (corners[:, :, None] + slack < corners[:, None, chosen]).all(axis=0)
    return np.flatnonzero(~exceeded.any(axis=1))
