"""Tables of convex hulls: vertices, faces, and for large hulls the candidates of each direction."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import mujoco
import numpy as np

BLOCK = 4
"""Vertices come in multiples of this many."""
CELLS = 16
"""Cells along an edge of the cube of directions, a power of two, ``kCells`` in csrc."""
MOST_LOOKED_AT = 12
"""Vertices of a hull that is searched whole; larger ones get cells."""
_SAMPLES = 5
"""Directions along a cell's side whose farthest vertices are tried first."""


class Hull(NamedTuple):
    """A convex polytope."""

    vertices: np.ndarray
    """Shape [V, 3], in the geom's axes [m]."""
    faces: list[list[int]]
    """Vertices of each face, counter-clockwise seen from outside."""
    normals: np.ndarray
    """Outward normals of the faces, shape [F, 3]."""
    around: list[list[int]]
    """Faces around each vertex, in MuJoCo's order."""


class HullTables:
    """The tables of all hulls of a model, as shapes.h and faces.h in csrc read them."""

    def __init__(self, model: mujoco.MjModel, geoms: Iterable[int | None]) -> None:
        """Collects the hulls of geoms; those of other geoms than meshes and boxes are none.

        Args:
            model: The model.
            geoms: Geoms in the order of the engine's tables; None for one that needs no hull.
        """
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
            self._hulls.append(mesh_hull(model, mesh))
        return self._of_mesh[mesh]

    def tables(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the integers and the constants, by their names."""
        ints: dict[str, list[int]] = {name: [0] for name in ("hull_vertex_adr", "face_adr")}
        ints |= {name: [] for name in ("hull_cell_adr", "hull_face_adr", "hull_around_adr")}
        ints |= {name: [] for name in ("face_vertex", "around_face", "cell_adr")}
        around_adr: list[int] = []
        vertices: list[np.ndarray] = []
        candidates: list[np.ndarray] = []
        for hull in self._hulls:
            count = len(hull.vertices)
            padded = _padded(np.arange(count))
            vertices.append(hull.vertices[padded])
            ints["hull_vertex_adr"].append(ints["hull_vertex_adr"][-1] + len(padded))
            ints["hull_face_adr"].append(len(ints["face_adr"]) - 1)
            for face in hull.faces:
                ints["face_vertex"] += face
                ints["face_adr"].append(len(ints["face_vertex"]))
            ints["hull_around_adr"].append(len(around_adr))
            for faces in hull.around:
                around_adr.append(len(ints["around_face"]))
                ints["around_face"] += faces
            around_adr.append(len(ints["around_face"]))
            ints["hull_cell_adr"].append(-1 if count <= MOST_LOOKED_AT else len(ints["cell_adr"]))
            if count > MOST_LOOKED_AT:
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


def box_hull(size: np.ndarray) -> Hull:
    """Returns a box's hull; corners are numbered by their signs, +x 1, +y 2, +z 4."""
    signs = np.array(
        [[1 if corner & 1 << axis else -1 for axis in range(3)] for corner in range(8)]
    )
    # As MuJoCo lists them, the other way round: +x, -x, +y, -y, +z, -z.
    clockwise = ([7, 3, 1, 5], [2, 6, 4, 0], [2, 3, 7, 6], [4, 5, 1, 0], [6, 7, 5, 4], [3, 2, 0, 1])
    normals = np.repeat(np.eye(3), 2, axis=0) * np.tile([[1.0], [-1.0]], (3, 1))
    around = [[2 * axis + (signs[corner, axis] < 0) for axis in range(3)] for corner in range(8)]
    faces = [face[::-1] for face in clockwise]
    return Hull(signs * size, faces, normals, [[int(face) for face in faces] for faces in around])


def mesh_hull(model: mujoco.MjModel, mesh: int) -> Hull:
    """Returns the convex hull of a mesh as MuJoCo computed it, or all its vertices without one."""
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    vertices = model.mesh_vert[first : first + count].astype(np.float64)
    graph = int(model.mesh_graphadr[mesh])
    if graph < 0:
        kept = np.arange(count)
    else:
        number = int(model.mesh_graph[graph])
        kept = model.mesh_graph[graph + 2 + number : graph + 2 + 2 * number]
    local = {int(vertex): i for i, vertex in enumerate(kept)}
    adr, polygons = int(model.mesh_polyadr[mesh]), int(model.mesh_polynum[mesh])
    faces = []
    for polygon in range(adr, adr + polygons):
        start = int(model.mesh_polyvertadr[polygon])
        corners = model.mesh_polyvert[start : start + int(model.mesh_polyvertnum[polygon])]
        faces.append([local[int(vertex)] for vertex in corners])
    around = []
    for vertex in kept:
        start = int(model.mesh_polymapadr[first + vertex])
        end = start + int(model.mesh_polymapnum[first + vertex])
        around.append([int(face) for face in model.mesh_polymap[start:end]])
    return Hull(vertices[kept], faces, model.mesh_polynormal[adr : adr + polygons], around)


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


def _padded(numbers: np.ndarray) -> np.ndarray:
    """Returns numbers, filled up to a multiple of ``BLOCK`` with the first one."""
    missing = -len(numbers) % BLOCK
    return np.concatenate((numbers, np.repeat(numbers[:1], missing)))
