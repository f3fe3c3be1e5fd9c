"""Collada files: units, axes, transforms and polygons, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import GYM, close, new_sim, urdf

from rlgpu.errors import UnknownName
from rlgpu.isaacgym.api import gymapi
from rlgpu.robots.dae import read_dae

CORNERS = "0 0 0  1 0 0  0 2 0  0 0 3"
FACES = "0 2 1  0 1 3  0 3 2  1 2 3"
SHAPE = f'<triangles><input semantic="VERTEX" source="#v" offset="0"/><p>{FACES}</p></triangles>'


def geometry(name: str, points: str = CORNERS, faces: str = SHAPE) -> str:
    """Returns a geometry element; its normals come before its positions."""
    return f"""<geometry id="{name}"><mesh>
      <source id="{name}n"><float_array count="3">9 9 9</float_array></source>
      <source id="{name}p"><float_array>{points}</float_array></source>
      <vertices id="v"><input semantic="NORMAL" source="#{name}n"/>
        <input semantic="POSITION" source="#{name}p"/></vertices>{faces}</mesh></geometry>"""


def instance(name: str) -> str:
    """Returns what puts a geometry into a node."""
    return f'<instance_geometry url="#{name}"/>'


@pytest.fixture
def read(tmp_path):
    """Writes a file and returns its vertices and triangles."""

    def run(geometries: str, nodes: str = "", asset: str = "<up_axis>Z_UP</up_axis>"):
        scene = f'<library_visual_scenes><visual_scene id="s">{nodes}</visual_scene>'
        path = tmp_path / "part.dae"
        path.write_text(
            '<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">'
            f"<asset>{asset}</asset><library_geometries>{geometries}</library_geometries>"
            f"{scene}</library_visual_scenes></COLLADA>"
        )
        return read_dae(path)

    return run


@pytest.mark.parametrize(
    ("axis", "wanted"),
    [
        ("<up_axis>Z_UP</up_axis>", [1, 2, 3]),
        # The file's y is up and its z points to the viewer, from whom our y points away.
        ("<up_axis>Y_UP</up_axis>", [1, -3, 2]),
        ("", [1, -3, 2]),  # Collada's default
        # Its x is up, its -y points to the right and its z to the viewer.
        ("<up_axis> X_UP </up_axis>", [-2, -3, 1]),
    ],
)
def test_axes_are_turned_such_that_z_is_up(read, axis, wanted):
    """Right, away from the viewer and up, as Collada's specification names the axes."""
    vertices, _ = read(geometry("g", points="1 2 3"), asset=axis)
    close(vertices, [wanted])


def test_an_axis_that_collada_does_not_have_is_refused(read):
    """With its name."""
    with pytest.raises(UnknownName) as refusal:
        read(geometry("g"), asset="<up_axis>W_UP</up_axis>")
    assert (refusal.value.kind, refusal.value.name) == ("up_axis", "W_UP")
    assert refusal.value.known == ("X_UP", "Y_UP", "Z_UP")


def test_lengths_become_metres(read):
    """A file in millimetres; without a unit, in metres."""
    millimetres = '<unit name="mm" meter="0.001"/><up_axis>Z_UP</up_axis>'
    vertices, faces = read(geometry("g"), asset=millimetres)
    close(vertices, 1e-3 * np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]]))
    assert faces.tolist() == [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]
    for unit in ("", "<unit/>"):
        close(read(geometry("g"), asset=unit + "<up_axis>Z_UP</up_axis>")[0], 1e3 * vertices)


def test_transforms_of_nodes_apply_from_the_last_to_the_first(read):
    """(1, 0, 0): doubled to (2, 0, 0), turned to (0, 2, 0), moved to (1, 4, 3)."""
    steps = "<translate>1 2 3</translate><rotate>0 0 3 90</rotate><scale>2 1 1</scale>"
    vertices, _ = read(geometry("g"), f"<node>{steps}{instance('g')}</node>")
    close(vertices[1], [1, 4, 3], atol=1e-12)
    close(vertices[2], [1 - 2, 2, 3], atol=1e-12)


def test_nodes_are_inside_each_other(read):
    """A matrix that moves by 5 along z, and half a turn about x: (0, 2, 0) becomes (1, 0, -5)."""
    inner = f"<node><matrix>1 0 0 1  0 1 0 0  0 0 1 5  0 0 0 1</matrix>{instance('g')}</node>"
    vertices, _ = read(
        geometry("g"), f"<node><translate>0 2 0</translate><rotate>1 0 0 180</rotate>{inner}</node>"
    )
    close(vertices[0], [1, 2, -5], atol=1e-12)
    close(vertices[2], [1, 0, -5], atol=1e-12)


def test_geometries_are_joined_as_often_as_they_are_in_the_scene(read):
    """One twice and another once, which is not drawn at all without a node."""
    nodes = f"<node>{instance('a')}</node><node><translate>0 0 7</translate>{instance('a')}</node>"
    vertices, faces = read(geometry("a") + geometry("b"), nodes)
    assert len(vertices) == 8
    close(vertices[4:] - vertices[:4], np.tile([0, 0, 7], (4, 1)))
    assert faces[4:].tolist() == (faces[:4] + 4).tolist()
    vertices, faces = read(geometry("a") + geometry("b"))
    assert (len(vertices), len(faces)) == (8, 8)


def test_polygons_become_triangles_about_their_first_corner(read):
    """Of four and three corners in a list, and of five alone; indices of normals are skipped."""
    inputs = '<input semantic="NORMAL" offset="0"/><input semantic="VERTEX" offset="1"/>'
    listed = f"<polylist>{inputs}<vcount>4 3</vcount><p>8 0 8 1 8 2 8 3 8 3 8 2 8 4</p></polylist>"
    alone = f"<polygons>{inputs}<p>8 0 8 1 8 2 8 3 8 4</p><p>8 4 8 1 8 0</p></polygons>"
    points = "0 0 0 1 0 0 1 1 0 0 1 0 0 0 1"
    _, faces = read(geometry("g", points, listed))
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3], [3, 2, 4]]
    _, faces = read(geometry("g", points, alone))
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4], [4, 1, 0]]


def test_a_robot_has_the_hull_of_its_collada_mesh(read, tmp_path):
    """A tetrahedron of 1 m^3 of 500 kg/m^3, its centre at a quarter of each side."""
    read(geometry("g"))
    shape = '<collision><geometry><mesh filename="part.dae"/></geometry></collision>'
    text = f'<link name="base">{shape}</link>'
    options = gymapi.AssetOptions()
    options.density = 500.0
    asset = GYM.load_asset(new_sim("mujoco"), *urdf(tmp_path, text), options)
    (body,) = asset.body_properties
    assert body.mass == pytest.approx(500.0, rel=1e-5)
    close(list(body.com), [0.25, 0.5, 0.75], atol=1e-6)
