"""Meshes that are only drawn, with fewer triangles: pictures of many robots stay fast."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from rlgpu.robots.frames import mesh_vertices

MOST_TRIANGLES = 3000
"""Of a mesh; a robot of 20 such meshes is drawn in a few hundredths of a second on a CPU."""
_FINEST, _COARSEST = 96, 4
"""Cells along a mesh's longest side."""


def thin_drawn_meshes(spec: mujoco.MjSpec, model: mujoco.MjModel) -> None:
    """Replaces large meshes that neither touch, weigh nor carry a texture by coarser ones.

    Args:
        spec: Changed in place.
        model: Its model.
    """
    for mesh in list(spec.meshes):
        row = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_MESH, mesh.name)
        using = [geom for geom in spec.geoms if geom.meshname == mesh.name]
        drawn = [geom for geom in using if _is_only_drawn(geom) and not _is_textured(spec, geom)]
        if row < 0 or not drawn or model.mesh_facenum[row] <= MOST_TRIANGLES:
            continue
        first, count = int(model.mesh_faceadr[row]), int(model.mesh_facenum[row])
        faces = model.mesh_face[first : first + count].astype(int)
        vertices, faces = thinned(mesh_vertices(model, row), faces)
        thin = spec.add_mesh(name=f"{mesh.name}:thin")
        thin.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # it is no longer closed
        thin.uservert = vertices.astype(np.float32).flatten()
        thin.userface = faces.astype(np.int32).flatten()
        for geom in drawn:
            geom.meshname = thin.name
        if len(drawn) == len(using):
            spec.delete(mesh)


def _is_textured(spec: mujoco.MjSpec, geom: mujoco.MjsGeom) -> bool:
    """Returns whether a texture lies on a geom, which a coarser mesh would lose."""
    material = spec.material(geom.material) if geom.material else None
    return material is not None and any(material.textures)


def _is_only_drawn(geom: mujoco.MjsGeom) -> bool:
    """Returns whether a geom touches nothing and does not count for its body's inertia."""
    body = geom.parent
    touches = bool(geom.contype or geom.conaffinity)
    of_shapes = body.compiler.inertiafromgeom == mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_TRUE
    weighs = geom.mass != 0 and not (np.isnan(geom.mass) and geom.density == 0)
    return not touches and not (weighs and (of_shapes or not body.explicitinertial))


def thinned(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], most: int = MOST_TRIANGLES
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns a mesh with at most so many triangles, or as few as a coarse grid leaves.

    Vertices in one cell of a grid become one, at their mean. The finest grid counts that is coarse
    enough.

    Args:
        vertices: Shape [V, 3].
        faces: Shape [T, 3].
        most: Number of triangles.
    """
    low, longest = vertices.min(0), float(np.ptp(vertices, axis=0).max())
    cells = _FINEST
    while True:
        places = np.floor((vertices - low) / max(longest, 1e-12) * cells).astype(np.int64)
        _, which = np.unique(places, axis=0, return_inverse=True)
        kept = which.reshape(-1)[faces]
        proper = (
            (kept[:, 0] != kept[:, 1]) & (kept[:, 1] != kept[:, 2]) & (kept[:, 2] != kept[:, 0])
        )
        kept = kept[proper]
        _, first = np.unique(np.sort(kept, axis=1), axis=0, return_index=True)
        kept = kept[np.sort(first)]
        if len(kept) <= most or cells <= _COARSEST:
            break
        cells = int(cells * 0.8)
    count = np.bincount(which.reshape(-1))
    means = [np.bincount(which.reshape(-1), weights=vertices[:, i]) / count for i in range(3)]
    return np.stack(means, axis=1), kept
