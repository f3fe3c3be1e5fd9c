"""Meshes of URDF files: where they are found, and how they collide."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from scenes import GYM, close, new_sim

from rlgpu.errors import MalformedModel
from rlgpu.isaacgym.api import gymapi

pytestmark = pytest.mark.usefixtures("cache")  # meshes are split in some

TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 2 0\nv 0 0 3\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
TRIANGLE = "v 1 0 0\nv 1 2 0\nv 1 0 4\nf 1 2 3\n"


def load(folder, name="part.obj", attributes="", file="robot.urdf", **options):
    """Returns the asset of a robot whose base collides as a mesh."""
    shape = f'<collision><geometry><mesh filename="{name}" {attributes}/></geometry></collision>'
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(f'<robot name="r"><link name="base">{shape}</link></robot>')
    chosen = gymapi.AssetOptions()
    for key, value in options.items():
        setattr(chosen, key, value)
    return GYM.load_asset(new_sim("auto"), str(folder), file, chosen)


def write(path, text=TETRAHEDRON):
    """Writes a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_mesh_weighs_as_its_hull_in_its_scale(tmp_path):
    """1 x 2 x 3 / 6 = 1 m^3, doubled along x, halved along z; its centre at a quarter."""
    write(tmp_path / "part.obj")
    (body,) = load(tmp_path, attributes='scale="2 1 0.5"', density=300.0).body_properties
    assert body.mass == pytest.approx(300.0, rel=1e-5)
    close(list(body.com), [0.5, 0.5, 0.375], atol=1e-6)


def test_negative_indices_count_back_from_their_line(tmp_path):
    """Two tetrahedra of 1 m^3, each with its vertices before its triangles."""
    faces = "f -4 -2 -3\nf -4 -3 -1\nf -4 -1 -2\nf -3 -2 -1\n"
    blocks = (f"v {x} 0 0\nv {x + 1} 0 0\nv {x} 2 0\nv {x} 0 3\n{faces}" for x in (0, 9))
    write(tmp_path / "part.obj", "".join(blocks))
    asset = load(tmp_path, vhacd_enabled=True, density=10.0)
    assert len(asset.shapes) == 2
    assert asset.body_properties[0].mass == pytest.approx(20.0, rel=1e-4)


def test_lines_of_a_mesh_may_be_indented_and_have_tabs(tmp_path):
    """Two tetrahedra of 1 m^3; one that is read as flat would weigh nothing."""
    faces = "f -4 -2 -3\n  f -4 -3 -1\n\tf\t-4\t-1\t-2\nf -3 -2 -1\n"
    blocks = (f" v {x} 0 0\nv\t{x + 1} 0 0\n\tv {x} 2 0\nv {x} 0 3\n{faces}" for x in (0, 9))
    write(tmp_path / "part.obj", "".join(blocks))
    asset = load(tmp_path, vhacd_enabled=True, density=10.0)
    assert len(asset.shapes) == 2
    assert asset.body_properties[0].mass == pytest.approx(20.0, rel=1e-4)


@pytest.mark.parametrize("face", ["1 2 9", "1 2 0", "-5 2 3", "1 2", "", "1 2 x", "/1 /2 /3"])
def test_a_face_without_three_vertices_of_the_file_is_refused(tmp_path, face):
    """The tetrahedron has four vertices on lines 1 to 4; a fifth face is on line 9."""
    write(tmp_path / "part.obj", f"{TETRAHEDRON}f {face}\n")
    with pytest.raises(MalformedModel) as refusal:
        load(tmp_path, vhacd_enabled=True)
    assert (refusal.value.fault, refusal.value.named) == ("face", ("part.obj", "9"))
    assert refusal.value.file == "robot.urdf"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("part.obj", "urdf/part.obj"),  # beside the robot's file
        ("meshes/part.obj", "meshes/part.obj"),  # below the asset root
        ("../meshes/part.obj", "meshes/part.obj"),
        ("package://arm/meshes/part.obj", "arm/meshes/part.obj"),
        ("package://arm/meshes/part.obj", "meshes/part.obj"),  # its folder has another name
        ("package:/arm/meshes/part.obj", "meshes/part.obj"),
        ("model://arm/meshes/part.obj", "meshes/part.obj"),
        ("meshes/visual/part.obj", "meshes/part.obj"),  # a folder that was flattened
    ],
)
def test_a_mesh_is_found_by_every_kind_of_name(tmp_path, name, place):
    """Beside the file, below the asset root or a folder above; packages need not be named alike."""
    write(tmp_path / place)
    asset = load(tmp_path, name, file="urdf/robot.urdf", density=10.0)
    assert asset.body_properties[0].mass == pytest.approx(10.0, rel=1e-5)


def test_a_mesh_is_found_by_its_whole_path_and_above_the_asset_root(tmp_path):
    """As ``file://`` names it, and in a folder beside the one that holds the asset root."""
    write(tmp_path / "far" / "part.obj")
    name = f"file://{tmp_path / 'far' / 'part.obj'}"
    for which in (name, "far/part.obj"):
        asset = load(tmp_path / "near" / "root", which, density=10.0)
        assert asset.body_properties[0].mass == pytest.approx(10.0, rel=1e-5)


def test_a_mesh_that_is_not_there_is_refused(tmp_path):
    """With its name."""
    with pytest.raises(MalformedModel) as refusal:
        load(tmp_path, "nothing.obj")
    assert refusal.value.fault == "no_mesh"
    assert "nothing.obj" in refusal.value.named


def stl(*triangles):
    """Returns the bytes of a binary STL file."""
    rows = np.array(triangles, dtype="<f4").reshape(len(triangles), 9)
    facets = b"".join(bytes(12) + row.tobytes() + bytes(2) for row in rows)
    return bytes(80) + len(triangles).to_bytes(4, "little") + facets


DAE = """<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema"><asset><up_axis>Z_UP</up_axis>
  </asset><library_geometries><geometry id="g"><mesh><source id="s"><float_array>1 0 0 1 2 0 1 0 4
  </float_array></source><vertices id="v"><input semantic="POSITION" source="#s"/></vertices>
  <triangles><input semantic="VERTEX" source="#v" offset="0"/><p>0 1 2</p></triangles></mesh>
  </geometry></library_geometries></COLLADA>"""
FLAT = {
    "part.obj": TRIANGLE.encode(),
    "part.stl": stl([[1, 0, 0], [1, 2, 0], [1, 0, 4]]),
    "part.dae": DAE.encode(),
}


@pytest.mark.parametrize("name", FLAT)
def test_a_mesh_without_volume_collides_as_a_thin_box(tmp_path, name):
    """A triangle in the plane x = 1, of 2 m by 4 m: a box of its sides, 0.2 mm thick."""
    (tmp_path / name).write_bytes(FLAT[name])
    model = load(tmp_path, name).model
    assert model.geom_type.tolist() == [mujoco.mjtGeom.mjGEOM_BOX]
    close(model.geom_size[0].min(), 1e-4)
    axes = np.zeros(9)
    mujoco.mju_quat2Mat(axes, model.geom_quat[0])
    reach = np.abs(axes.reshape(3, 3)) @ model.geom_size[0]
    # Whatever the box's axes are in the plane, it holds the triangle and its normal is x.
    close(model.geom_pos[0, 0], 1.0, atol=1e-9)
    close(reach[0], 1e-4, rtol=1e-6)
    local = (np.array([[1, 0, 0], [1, 2, 0], [1, 0, 4]]) - model.geom_pos[0]) @ axes.reshape(3, 3)
    close(np.abs(local).max(axis=0), np.maximum(model.geom_size[0], 1e-4), atol=2e-4)
    close(local.min(axis=0) + local.max(axis=0), 0, atol=1e-9)


def test_an_stl_file_may_end_in_bytes_of_another_program(tmp_path):
    """Or not: its four facets are those of the tetrahedron."""
    o, x, y, z = [0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]
    facets = stl([o, y, x], [o, x, z], [o, z, y], [x, y, z])
    for more in (b"", b"made by hand"):
        (tmp_path / "part.stl").write_bytes(facets + more)
        (body,) = load(tmp_path, "part.stl", density=300.0).body_properties
        assert body.mass == pytest.approx(300.0, rel=1e-5)
        close(list(body.com), [0.25, 0.5, 0.75], atol=1e-6)
