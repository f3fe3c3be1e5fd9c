"""Convex hulls of fewer vertices, and how far they are from the whole ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.hull_shapes import Hull, mesh_hull
from rlgpu.sim.mujoco.fused.packing import matrix_of

LEAST_VERTICES = 8
"""Fewest vertices that a hull may be limited to, those of a box."""
_FAR = 1e3
"""Beyond this distance, nothing is measured [m]."""


class Thinned(NamedTuple):
    """A hull whose vertices are some of another one's."""

    hull: Hull
    deviation: float
    """Largest distance of the whole hull's surface from this one [m]."""


def thin(hull: Hull, most: int) -> Thinned:
    """Returns a hull with some of another one's vertices, as Qhull chooses them.

    Args:
        hull: The whole hull.
        most: The most vertices that are kept.
    """
    if len(hull.vertices) <= most:
        return Thinned(hull, 0.0)
    chosen = _in_axes_of_vertices(_compiled(hull.vertices, most))
    # Again from these alone: MuJoCo looks at all vertices of a small mesh, chosen or not.
    model = _compiled(chosen.vertices, -1)
    return Thinned(_in_axes_of_vertices(model), _deviation(model, hull.vertices))


def describe_deviations(most: int, deviations: Mapping[str, float]) -> str:
    """Returns a part of a sentence about hulls with fewer vertices.

    Args:
        most: The most vertices that were kept.
        deviations: Those of the hulls that had more [m], by mesh.
    """
    if not deviations:
        return f"; no hull has more than {most} vertices"
    worst = max(deviations, key=lambda mesh: deviations[mesh])
    return (
        f"; hulls keep at most {most} vertices: mesh {worst!r} loses most, "
        f"{1e3 * deviations[worst]:.2g} mm (thinned: {len(deviations)})"
    )


def _compiled(vertices: np.ndarray, most: int) -> mujoco.MjModel:
    """Returns a model with the mesh of some vertices as geom 0, and a ball as geom 1."""
    spec = mujoco.MjSpec()
    mesh = spec.add_mesh(name="mesh", uservert=vertices.ravel().tolist(), maxhullvert=most)
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # thin ones have no volume
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="mesh")
    ball = spec.worldbody.add_body()
    ball.add_freejoint()
    ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[1e-9, 0, 0], mass=1.0)
    ball.explicitinertial, ball.mass, ball.inertia = True, 1.0, [1.0, 1.0, 1.0]
    return spec.compile()


def _in_axes_of_vertices(model: mujoco.MjModel) -> Hull:
    """Returns the hull of the only mesh; MuJoCo turns meshes to their inertia's axes."""
    hull = mesh_hull(model, 0)
    turn = matrix_of(model.mesh_quat[0]).reshape(3, 3)
    vertices = hull.vertices @ turn.T + model.mesh_pos[0]
    return hull._replace(vertices=vertices, normals=hull.normals @ turn.T)


def _deviation(model: mujoco.MjModel, vertices: np.ndarray) -> float:
    """Returns the largest distance of vertices from the mesh of a model [m]."""
    data = mujoco.MjData(model)
    most = 0.0
    for vertex in vertices:
        data.qpos[:3] = vertex
        mujoco.mj_kinematics(model, data)
        most = max(most, mujoco.mj_geomDistance(model, data, 0, 1, _FAR, None))
    return most
