"""Meshes that collide as convex parts: holes stay open, and scripts see one shape."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import GYM, at, close, new_env, new_sim, run, wrapped

from rlgpu.errors import MalformedModel
from rlgpu.isaacgym.api import gymapi
from rlgpu.robots import meshes

pytestmark = pytest.mark.usefixtures("cache")  # meshes are split in some


def ring(corners, outer, inner, height):
    """Returns the text of an OBJ file: a regular prism with a hole along z, which starts at z = 0.

    Args:
        corners: Corners of both polygons.
        outer: Distance of the sides of the prism from the axis [m].
        inner: Distance of the sides of the hole from the axis [m].
        height: Height [m].
    """
    angle = (np.arange(corners) + 0.5) * 2 * np.pi / corners
    round_ = np.stack((np.cos(angle), np.sin(angle)), axis=1) / np.cos(np.pi / corners)
    rims = [np.c_[r * round_, np.full(corners, z)] for r in (outer, inner) for z in (0, height)]
    lines = ["v {:.9f} {:.9f} {:.9f}".format(*point) for point in np.concatenate(rims)]
    low, top, hole, hole_top = (1 + corners * i for i in range(4))
    for i in range(corners):
        lines.append(f"g side_{i}")  # MuJoCo's reader stops at the second group
        k = (i + 1) % corners
        for a, b, c, d in (
            (low + i, low + k, top + k, top + i),
            (hole + k, hole + i, hole_top + i, hole_top + k),
            (top + i, top + k, hole_top + k, hole_top + i),
            (low + k, low + i, hole + i, hole + k),
        ):
            lines += [f"f {a} {b} {c}", f"f {a} {c} {d}"]
    return "\n".join(lines) + "\n"


def refined(text, times):
    """Returns the text of an OBJ file with each triangle cut into four, some times."""
    rows = [line.split() for line in text.splitlines()]
    points = np.array([row[1:] for row in rows if row[0] == "v"], float)
    triangles = points[np.array([row[1:] for row in rows if row[0] == "f"], int) - 1]
    for _ in range(times):
        a, b, c = triangles.transpose(1, 0, 2)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = (a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)
        triangles = np.concatenate([np.stack(part, axis=1) for part in parts])
    lines = ["v {:.9f} {:.9f} {:.9f}".format(*point) for point in triangles.reshape(-1, 3)]
    lines += [f"f {i} {i + 1} {i + 2}" for i in range(1, 3 * len(triangles), 3)]
    return "\n".join(lines) + "\n"


def load(sim, folder, mesh, more="", **options):
    """Returns the asset of a fixed link that collides as a mesh."""
    (folder / "part.obj").write_text(mesh)
    shape = '<geometry><mesh filename="part.obj"/></geometry>'
    (folder / "part.urdf").write_text(
        f'<robot name="r"><link name="base"><collision>{shape}{more}</collision></link></robot>'
    )
    chosen = gymapi.AssetOptions()
    for name, value in options.items():
        setattr(chosen, name, value)
    return GYM.load_asset(sim, str(folder), "part.urdf", chosen)


FIELD = '<sdf resolution="256"/>'


def test_a_block_with_a_square_hole_is_four_boxes_and_one_shape(tmp_path):
    """3 m x 3 m x 1 m without 1 m^3: 8 m^3 in the parts, whose friction a script sets at once."""
    sim = new_sim("mujoco")
    asset = load(sim, tmp_path, ring(4, 1.5, 0.5, 1.0), FIELD, density=10.0)
    assert len(asset.shapes) == 4
    (body,) = asset.body_properties
    assert body.mass == pytest.approx(80.0, rel=1e-4)
    close(list(body.com), [0, 0, 0.5], atol=1e-4)
    assert GYM.get_asset_rigid_shape_count(asset) == 1
    (part,) = GYM.get_asset_rigid_body_shape_indices(asset)
    assert (part.start, part.count) == (0, 1)
    env = new_env(sim)
    GYM.create_actor(env, asset, at(), "block", 0, 0)
    (shape,) = GYM.get_actor_rigid_shape_properties(env, 0)
    shape.friction = 0.25
    GYM.set_actor_rigid_shape_properties(env, 0, [shape])
    assert GYM.get_actor_rigid_shape_count(env, 0) == 1
    GYM.prepare_sim(sim)
    model = sim.world.groups[0].worlds.model
    assert model.ngeom == 4
    close(model.geom_friction[:, 0], 0.25)


@pytest.mark.parametrize("times", [3, 4])
def test_a_finely_meshed_block_is_cut_along_its_walls(times, tmp_path):
    """2048 and 8192 triangles, of which not all are looked at, make the same four boxes."""
    mesh = refined(ring(4, 1.5, 0.5, 1.0), times)
    asset = load(new_sim("mujoco"), tmp_path, mesh, FIELD, density=10.0)
    assert len(asset.shapes) == 4
    (body,) = asset.body_properties
    assert body.mass == pytest.approx(80.0, rel=1e-4)
    close(list(body.com), [0, 0, 0.5], atol=1e-4)


def test_a_convex_mesh_stays_one_hull(tmp_path):
    """Also if its file asks for a field, and lists the corners as seen from inside."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    faces = "1 3 4 2", "5 6 8 7", "1 2 6 5", "3 7 8 4", "1 5 7 3", "2 4 8 6"
    text = "".join("v {} {} {}\n".format(*point) for point in corners)
    asset = load(new_sim("mujoco"), tmp_path, text + "".join(f"f {f}\n" for f in faces), FIELD)
    assert len(asset.shapes) == 1


@pytest.mark.parametrize(
    ("fields", "shapes"), [((0, 64), 5), ((64, 0), 5), ((2, 64), 7), ((64, 2), 7)]
)
def test_a_mesh_may_collide_at_several_resolutions(fields, shapes, tmp_path):
    """Four boxes hold 8 m^3; the hull, or three parts of cells of 1.5 m, fill the hole: 9 m^3."""
    (tmp_path / "part.obj").write_text(ring(4, 1.5, 0.5, 1.0))
    geometry = '<geometry><mesh filename="part.obj"/></geometry>'
    wanted = (f'<sdf resolution="{n}"/>' if n else "" for n in fields)
    text = "".join(f"<collision>{geometry}{field}</collision>" for field in wanted)
    (tmp_path / "part.urdf").write_text(f'<robot name="r"><link name="l">{text}</link></robot>')
    options = gymapi.AssetOptions()
    options.density = 10.0
    asset = GYM.load_asset(new_sim("mujoco"), str(tmp_path), "part.urdf", options)
    assert len(asset.shapes) == shapes
    assert asset.body_properties[0].mass == pytest.approx(170.0, rel=1e-4)
    assert GYM.get_asset_rigid_shape_count(asset) == 2


@pytest.mark.parametrize("resolution", ["-5", "0", "0.5", "inf"])
def test_a_resolution_below_one_cell_is_refused(resolution, tmp_path):
    """As is one without a bound."""
    field = f'<sdf resolution="{resolution}"/>'
    with pytest.raises(MalformedModel) as refusal:
        load(new_sim("mujoco"), tmp_path, ring(4, 1.5, 0.5, 1.0), field)
    assert (refusal.value.fault, refusal.value.named) == ("resolution", ("sdf", resolution))


def test_a_mesh_that_was_written_again_is_split_again(tmp_path):
    """A ring of half the size in the same file; both hold 8 of 9 parts of their hull."""
    masses = []
    for scale in (1.0, 0.5):
        mesh = ring(4, 1.5 * scale, 0.5 * scale, scale)
        (body,) = load(new_sim("mujoco"), tmp_path, mesh, FIELD, density=10.0).body_properties
        masses.append(body.mass)
    assert masses == pytest.approx([80.0, 10.0], rel=1e-4)


def test_parts_are_kept_for_other_processes(cache, tmp_path, monkeypatch):
    """By the mesh's content: under another name it is not split again, of another size it is."""
    square = ring(4, 1.5, 0.5, 1.0)
    load(new_sim("mujoco"), tmp_path, square, FIELD)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(meshes, "convex_parts", lambda *_: pytest.fail("split again"))
    for folder in (tmp_path / "a", tmp_path / "b"):  # neither file is known to this process
        folder.mkdir()
        asset = load(new_sim("mujoco"), folder, square, FIELD, density=10.0)
        assert asset.body_properties[0].mass == pytest.approx(80.0, rel=1e-4)
    with pytest.raises(pytest.fail.Exception):
        load(new_sim("mujoco"), tmp_path, ring(4, 1.5, 0.6, 1.0), FIELD)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_a_damaged_file_of_the_cache_is_written_again(content, cache, tmp_path):
    """As if it were not there."""
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        asset = load(new_sim("mujoco"), folder, ring(4, 1.5, 0.5, 1.0), FIELD)
        assert len(asset.shapes) == 4
        (file,) = cache.iterdir()
        whole = file.read_bytes()
        file.write_bytes(content)
    assert len(whole) > 100


def test_without_a_folder_to_write_parts_are_computed(cache, tmp_path):
    """A file is in the folder's place."""
    cache.parent.parent.mkdir(exist_ok=True)
    cache.parent.write_text("")
    asset = load(new_sim("mujoco"), tmp_path, ring(4, 1.5, 0.5, 1.0), FIELD)
    assert len(asset.shapes) == 4


def test_shapes_of_a_file_keep_their_names(tmp_path):
    """A shape may be called as a part of a mesh would be."""
    text = '<geom name="knee:part2" size="0.1"/><geom name="knee:part0" size="0.2"/>'
    (tmp_path / "leg.xml").write_text(
        f'<mujoco><worldbody><body name="leg">{text}</body></worldbody></mujoco>'
    )
    options = gymapi.AssetOptions()
    asset = GYM.load_asset(new_sim("mujoco"), str(tmp_path), "leg.xml", options)
    assert GYM.get_asset_rigid_shape_count(asset) == 2
    (part,) = GYM.get_asset_rigid_body_shape_indices(asset)
    assert (part.start, part.count) == (0, 2)


def drop(engine, folder, corners, more="", **options):
    """Returns the height of a ball of 4.8 cm dropped into a hole of 5 cm about it, after 2 s."""
    sim = new_sim(engine, dt=0.005, ground=True)
    block = load(sim, folder, ring(corners, 0.15, 0.05, 0.1), more, fix_base_link=True, **options)
    ball, env = GYM.create_sphere(sim, 0.048, gymapi.AssetOptions()), new_env(sim)
    GYM.create_actor(env, block, at(), "block", 0, 0)
    GYM.create_actor(env, ball, at(z=0.2), "ball", 0, 0)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 400)
    return float(roots[1, 2])


@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize("corners", [4, 24])
def test_a_ball_falls_through_a_hole_to_the_ground(engine, corners, tmp_path):
    """A field asks for it. A hull alone would hold the ball at 0.1 m plus its radius."""
    assert drop(engine, tmp_path, corners, FIELD) == pytest.approx(0.048, abs=2e-3)
    assert drop(engine, tmp_path, corners) == pytest.approx(0.148, abs=2e-3)


def test_a_decomposition_that_a_script_asks_for_opens_the_hole(tmp_path):
    """As ``vhacd_enabled``, in parts as exact as a 64th of the mesh."""
    height = drop("mujoco", tmp_path, 4, vhacd_enabled=True)
    assert height == pytest.approx(0.048, abs=2e-3)
