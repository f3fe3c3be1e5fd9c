"""Hulls with fewer vertices (``sim.hull_vertices``) on the fused engine."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from rlgpu.sim.mujoco.fused.hull_shapes import mesh_hull
from rlgpu.sim.mujoco.fused.hull_thinning import thin
from rlgpu.sim.mujoco.fused.tables import Tables
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from tests.sim.test_fused_convex import pair_model


def directions(count: int) -> np.ndarray:
    """Returns random unit vectors, shape [count, 3]."""
    found = np.random.default_rng(0).normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("mesh", ["hull", "large"])
@pytest.mark.parametrize("most", [8, 16, 20])
def test_a_thinned_hull_is_within_the_whole_one_by_its_deviation(mesh, most) -> None:
    """Its vertices are some of the hull's; reaches differ by at most the deviation, and by it."""
    model = pair_model(mesh, mesh)
    whole = mesh_hull(model, model.mesh(mesh).id)
    hull, deviation = thin(whole, most)
    assert len(hull.vertices) == most
    for vertex in hull.vertices:
        assert np.abs(whole.vertices - vertex).max(axis=1).min() < 1e-7
    ways = directions(40_000)
    short = (ways @ whole.vertices.T).max(axis=1) - (ways @ hull.vertices.T).max(axis=1)
    assert short.min() > -1e-7
    assert 0.9 * deviation < short.max() < deviation + 1e-6


def test_the_faces_of_a_thinned_hull_are_those_of_its_vertices() -> None:
    """All vertices lie below every face, whose corners run around its normal."""
    model = pair_model("large", "large")
    hull = thin(mesh_hull(model, model.mesh("large").id), 20).hull
    for face, normal in zip(hull.faces, hull.normals, strict=True):
        corners = hull.vertices[face]
        assert (hull.vertices @ normal).max() < (corners @ normal).min() + 1e-4
        assert np.cross(corners[1] - corners[0], corners[2] - corners[1]) @ normal > 0


def test_a_small_hull_stays_as_it_is() -> None:
    """A block of 8 vertices."""
    model = pair_model("block", "block")
    whole = mesh_hull(model, model.mesh("block").id)
    assert thin(whole, 8) == (whole, 0.0)


@pytest.mark.parametrize("geom", ["plane", "box", "large"])
def test_a_mesh_rests_lower_by_at_most_the_deviation(geom) -> None:
    """On a plane, a box and a mesh: the smaller hull sinks until it touches."""
    heights = []
    for most in (0, 16):
        model = pair_model(geom, "large")
        model.opt.gravity[:] = 0.0
        worlds = FusedWorlds(model, 1, hull_vertices=most)
        qpos = worlds.array("qpos")
        first = 0 if geom == "plane" else 7
        low, high = 0.0, 1.0
        for _ in range(20):
            qpos.copy_(qpos.new_tensor(model.qpos0)[None])
            worlds.array("qvel").zero_()
            qpos[0, first + 2] = 0.5 * (low + high)
            worlds.step(1)
            touches = bool(worlds.array("qvel").abs().max() > 1e-6)
            low, high = (0.5 * (low + high), high) if touches else (low, 0.5 * (low + high))
        heights.append(low)
    (deviation,) = Tables(model, hull_vertices=16).hull_deviations.values()
    assert 0.0 < heights[0] - heights[1] < (2 if geom == "large" else 1) * deviation + 1e-4


def test_the_description_names_the_mesh_that_deviates_most() -> None:
    """With the deviation in mm; a limit above all hulls changes nothing."""
    model = pair_model("hull", "large")
    deviations = Tables(model, hull_vertices=16).hull_deviations
    assert set(deviations) == {"hull", "large"}
    worst = max(deviations, key=lambda mesh: deviations[mesh])
    described = FusedWorlds(model, 1, hull_vertices=16).description
    assert repr(worst) in described
    assert f"{1e3 * deviations[worst]:.2g} mm" in described
    assert Tables(model, hull_vertices=300).hull_deviations == {}
    assert "mm" not in FusedWorlds(model, 1, hull_vertices=300).description


def test_hulls_of_fewer_vertices_than_a_box_are_refused() -> None:
    """7 are too few."""
    model = mujoco.MjModel.from_xml_string("""<mujoco><option integrator="implicitfast"/><worldbody>
      <body><joint/><geom size=".1"/></body></worldbody></mujoco>""")
    with pytest.raises(ValueError, match="hull_vertices=7"):
        FusedWorlds(model, 1, hull_vertices=7)
