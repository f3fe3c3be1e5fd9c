"""Convex hulls of boxes and meshes: their vertices, and their faces in MuJoCo's order."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np


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
    starts, sizes = (
        x[adr : adr + polygons].tolist() for x in (model.mesh_polyvertadr, model.mesh_polyvertnum)
    )
    corners = model.mesh_polyvert
    for start, size in zip(starts, sizes, strict=True):
        faces.append([local[vertex] for vertex in corners[start : start + size].tolist()])
    around, touching = [], model.mesh_polymap
    starts, sizes = (
        x[first + kept].tolist() for x in (model.mesh_polymapadr, model.mesh_polymapnum)
    )
    for start, size in zip(starts, sizes, strict=True):
        around.append(touching[start : start + size].tolist())
    return Hull(vertices[kept], faces, model.mesh_polynormal[adr : adr + polygons], around)
