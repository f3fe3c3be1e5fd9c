"""Coarser meshes for pictures: they look alike, and nothing of the physics changes."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from rlgpu.robots.drawn import MOST_TRIANGLES, thin_drawn_meshes, thinned


def ball(rings: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a sphere of radius 1 as a mesh of about ``4 rings^2`` triangles."""
    turns, heights = np.meshgrid(
        np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False),
        np.linspace(0.02, np.pi - 0.02, rings),
        indexing="ij",
    )
    wide = np.sin(heights)
    places = np.stack((wide * np.cos(turns), wide * np.sin(turns), np.cos(heights)), -1)
    index = np.arange(2 * rings * rings).reshape(2 * rings, rings)
    a, b = index[:, :-1].ravel(), np.roll(index, -1, 0)[:, :-1].ravel()
    c, d = index[:, 1:].ravel(), np.roll(index, -1, 0)[:, 1:].ravel()
    faces = np.concatenate((np.stack((a, c, b), -1), np.stack((b, c, d), -1)))
    return places.reshape(-1, 3), faces


def with_ball() -> tuple[mujoco.MjSpec, int]:
    """Returns a specification with a mesh named ball, and its number of triangles."""
    vertices, faces = ball(60)
    spec = mujoco.MjSpec()
    mesh = spec.add_mesh(name="ball")
    mesh.uservert = vertices.astype(np.float32).ravel()
    mesh.userface = faces.astype(np.int32).ravel()
    return spec, len(faces)


def test_a_mesh_keeps_its_shape_with_fewer_triangles() -> None:
    """A sphere stays within 5 % of its radius, and its faces look outwards as before."""
    vertices, faces = ball(60)
    assert len(faces) > 2 * MOST_TRIANGLES
    thin, kept = thinned(vertices, faces)
    assert 500 < len(kept) <= MOST_TRIANGLES
    used = thin[np.unique(kept)]
    np.testing.assert_allclose(np.linalg.norm(used, axis=1), 1.0, atol=0.05)
    corners = thin[kept]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outwards = (normals * corners.mean(1)).sum(1) > 0
    before = vertices[faces]
    were = np.cross(before[:, 1] - before[:, 0], before[:, 2] - before[:, 0])
    assert outwards.mean() > 0.98 or outwards.mean() < 0.02
    assert outwards.mean() == pytest.approx(
        (were * before.mean(1)).sum(1).__gt__(0).mean(), abs=0.02
    )


@pytest.mark.parametrize("shared", [False, True])
def test_only_what_is_drawn_becomes_coarse(shared) -> None:
    """A mesh that also collides, or that gives its body its mass, keeps every vertex for that."""
    spec, num_faces = with_ball()
    body = spec.worldbody.add_body(name="body")
    body.add_freejoint()
    body.explicitinertial, body.mass, body.inertia = True, 2.0, [0.1, 0.1, 0.1]
    kind = mujoco.mjtGeom.mjGEOM_MESH
    drawn = body.add_geom(name="drawn", type=kind, meshname="ball", pos=[0.1, 0, 0])
    drawn.contype = drawn.conaffinity = 0
    if shared:
        body.add_geom(name="solid", type=kind, meshname="ball")
    before = spec.copy().compile()
    thin_drawn_meshes(spec, before)
    after = spec.compile()
    assert after.mesh_facenum[after.geom("drawn").dataid[0]] <= MOST_TRIANGLES
    if shared:
        assert after.mesh_facenum[after.geom("solid").dataid[0]] == num_faces
    assert after.body_mass.tolist() == before.body_mass.tolist()
    np.testing.assert_allclose(after.body_inertia, before.body_inertia)
    np.testing.assert_allclose(after.geom("drawn").pos, before.geom("drawn").pos, atol=0.02)


def test_a_mesh_that_gives_a_body_its_mass_stays() -> None:
    """Without an ``inertial``, density counts whether it touches or not."""
    spec, _ = with_ball()
    body = spec.worldbody.add_body()
    body.add_freejoint()
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="ball")
    geom.contype = geom.conaffinity = 0
    before = spec.copy().compile()
    thin_drawn_meshes(spec, before)
    assert spec.compile().body_mass[1] == before.body_mass[1]
