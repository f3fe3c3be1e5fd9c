"""Shapes of URDF files: collision elements, and visual ones, which are only drawn."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import mujoco

from rlgpu.errors import MalformedModel
from rlgpu.robots.frames import THIN, Frame, frame_of, number, numbers
from rlgpu.robots.meshes import MeshFiles
from rlgpu.robots.reports import report
from rlgpu.robots.robot import ReadOptions

DRAWN = 2
"""Group of shapes that are only drawn, as in MuJoCo's own models."""
_SPHERE, _BOX = mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_BOX
_CYLINDER, _CAPSULE = mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE


def colours_of(root: ET.Element) -> dict[str, ET.Element]:
    """Returns the ``color`` elements of a file's materials, by name."""
    return {
        name: colour
        for material in root.findall("material")
        if (name := material.get("name")) and (colour := material.find("color")) is not None
    }


def add_visual(
    body: mujoco.MjsBody,
    visual: ET.Element,
    frame: Frame,
    meshes: MeshFiles,
    colours: dict[str, ET.Element],
) -> None:
    """Adds a visual element's shape to a body; one that cannot be read is reported.

    Args:
        body: The body.
        visual: The element.
        frame: Frame of its link in the body.
        meshes: The specification's meshes.
        colours: Those of the file's materials.
    """
    before = len(list(body.geoms))
    try:
        add_shape(body, visual, frame, meshes, ReadOptions(density=0.0))
    except MalformedModel as error:
        report(f"{meshes.path.name}: a shape of {body.name} is not drawn: {error}")
        for geom in list(body.geoms)[before:]:
            meshes.spec.delete(geom)
    for geom in list(body.geoms)[before:]:
        geom.contype = geom.conaffinity = 0
        geom.group = DRAWN
        if colour := _colour(visual, colours):
            geom.rgba = colour


def add_shape(
    body: mujoco.MjsBody,
    collision: ET.Element,
    frame: Frame,
    meshes: MeshFiles,
    options: ReadOptions,
) -> None:
    """Adds a collision element's shape to a body."""
    geometry = collision.find("geometry")
    if geometry is None or len(geometry) == 0:
        return
    where, shape = frame @ frame_of(collision), geometry[0]
    geom = body.add_geom(pos=where.pos, quat=where.quat, density=options.density)
    if shape.tag == "sphere":
        geom.type, geom.size = _SPHERE, [_length(shape, "radius"), 0, 0]
    elif shape.tag == "box":
        sides = numbers(shape, "size", [1, 1, 1])
        geom.type, geom.size = _BOX, [max(0.5 * _positive(shape, x), THIN) for x in sides]
    elif shape.tag in ("cylinder", "capsule"):
        whole = shape.tag == "capsule" or options.replace_cylinder_with_capsule
        geom.type = _CAPSULE if whole else _CYLINDER
        geom.size = [_length(shape, "radius"), 0.5 * _length(shape, "length"), 0]
    elif shape.tag == "mesh":
        meshes.use(geom, shape, where, _resolution(collision.find("sdf")))
    else:
        said = f"shape <{shape.tag}> is not one of sphere, box, cylinder, capsule, mesh"
        raise MalformedModel(said, "shape", shape.tag)


def _colour(visual: ET.Element, known: dict[str, ET.Element]) -> list[float]:
    """Returns the colour of a visual, of its own or of the file's materials; empty if none."""
    material = visual.find("material")
    if material is None:
        return []
    own = material.find("color")
    colour = known.get(material.get("name", "")) if own is None else own
    return [] if colour is None else numbers(colour, "rgba", [0.7, 0.7, 0.7, 1])


def _resolution(field: ET.Element | None) -> int:
    """Returns the resolution of a signed distance field, 0 without one.

    Raises:
        MalformedModel: It is less than 1 or infinite.
    """
    if field is None:
        return 0
    value = number(field, "resolution", 256)
    if not 1 <= value < math.inf:
        said = f"an <sdf> has a resolution of {value:g}; resolutions are at least 1"
        raise MalformedModel(said, "resolution", field.tag, f"{value:g}")
    return int(value)


def _length(shape: ET.Element, name: str) -> float:
    """Returns a length of a shape; some files have flat ones, which MuJoCo does not."""
    return max(_positive(shape, number(shape, name)), THIN)


def _positive(shape: ET.Element, length: float) -> float:
    """Returns a length.

    Raises:
        MalformedModel: It is negative.
    """
    if length < 0:
        said = f"a <{shape.tag}> has a size of {length:g}; sizes are at least 0"
        raise MalformedModel(said, "negative", shape.tag, f"{length:g}")
    return length
