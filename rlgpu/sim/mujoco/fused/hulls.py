"""Tables of convex hulls: vertices, faces, and for meshes the candidates of each direction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import lru_cache
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
                points, ends = _candidates(np.asarray(hull.vertices, np.float64).tobytes())
                ints["cell_adr"] += (sum(map(len, candidates)) + ends).tolist()
                candidates.append(points)
        corners = np.concatenate(vertices) if vertices else np.zeros((0, 3))
        normals = [hull.normals for hull in self._hulls]
        return ints | {"around_adr": around_adr}, {
            "hull_x": corners[:, 0],
            "hull_y": corners[:, 1],
            "hull_z": corners[:, 2],
            "cell_point": np.concatenate(candidates) if candidates else np.zeros((0, 4)),
            "face_normal": np.concatenate(normals) if normals else np.zeros((0, 3)),
        }


@lru_cache(maxsize=256)  # models that differ elsewhere have the same meshes
def _candidates(vertices: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Returns the candidates of all cells of a mesh's hull, and where those of each cell end.

    Args:
        vertices: The vertices [m], float64, shape [V, 3].

    Returns:
        Place and number of each candidate, shape [N, 4], and the ends after a first 0, shape
        [6 * CELLS ** 2 + 1].
    """
    points = np.frombuffer(vertices).reshape(-1, 3)
    cells = cells_of(points)
    chosen = np.concatenate(cells)
    ends = np.cumsum([0, *map(len, cells)])
    return np.column_stack((points[chosen], chosen)), ends


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
        kept, width = [np.arange(len(vertices))], 1
        while True:
            places = np.array(list(itertools.product(range(width), repeat=2)))
            directions = np.full((len(places), _SAMPLES * _SAMPLES, 3), sign)
            directions[:, :, across] = (2.0 * places[:, None] + _PLACES) / width - 1.0
            kept = _farthest_within(vertices, kept, directions)
            if width == CELLS:
                break
            width *= 2
            halves = np.arange(width) // 2
            kept = [kept[u * (width // 2) + v] for u, v in itertools.product(halves, repeat=2)]
        sides += kept
    return sides


_PLACES = np.array(list(itertools.product(np.linspace(0.0, 2.0, _SAMPLES), repeat=2)))
"""Places of the sampled directions in a cell of width 2, shape [_SAMPLES ** 2, 2]."""
_CORNERS = [0, _SAMPLES - 1, -_SAMPLES, -1]
"""Its corners among them."""


def _farthest_within(
    vertices: np.ndarray, among: list[np.ndarray], directions: np.ndarray
) -> list[np.ndarray]:
    """Returns the numbers of vertices that may be the farthest within each of some cells.

    Args:
        vertices: Shape [V, 3].
        among: Numbers of the vertices to choose from, of each of C cells.
        directions: Sampled directions, shape [C, S, 3].
    """
    counts = np.array([len(ids) for ids in among])
    exists = np.arange(counts.max()) < counts[:, None]  # [C, M]
    ids = np.zeros(exists.shape, int)
    ids[exists] = np.concatenate(among)
    reach = directions @ vertices[ids].transpose(0, 2, 1)  # [C, S, M]
    chosen = np.where(exists[:, None], reach, -np.inf).argmax(axis=2)  # [C, S]
    corners = reach[:, _CORNERS]  # [C, 4, M]
    most = np.take_along_axis(corners, chosen[:, None], axis=2)  # [C, 4, S]
    slack = 1e-6 * np.abs(corners).max(axis=(1, 2), keepdims=True)
    low = corners + slack
    for sample in range(chosen.shape[1]):
        exists &= ~(low < most[:, :, sample, None]).all(axis=1)
    return np.split(ids[exists], np.cumsum(exists.sum(axis=1))[:-1])
