"""Reads the triangles of Collada files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from rlgpu.errors import UnknownName

_SPACE = "{http://www.collada.org/2005/11/COLLADASchema}"
_TURNS = {
    "X_UP": np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]),
    "Y_UP": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "Z_UP": np.eye(3),
}
"""Rotations to axes of which z is up. Source: COLLADA 1.4.1, chapter 5, ``up_axis``."""


def read_dae(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns vertices, shape [V, 3] [m], and triangles, shape [F, 3], of a Collada file.

    Transforms of the scene's nodes and the file's unit and up axis are applied.

    Raises:
        ValueError: Its up axis is none of Collada's.
    """
    root = ET.parse(path).getroot()
    unit = root.find(f".//{_SPACE}asset/{_SPACE}unit")
    scale = float(unit.attrib.get("meter", 1.0)) if unit is not None else 1.0
    up = root.findtext(f".//{_SPACE}asset/{_SPACE}up_axis", "Y_UP").strip()
    if up not in _TURNS:
        said = f"{path.name}: its up_axis is {up!r}, not one of {', '.join(_TURNS)}"
        raise UnknownName(up, tuple(_TURNS), said, kind="up_axis")
    geometries = {g.attrib["id"]: _geometry(g) for g in root.iter(f"{_SPACE}geometry")}
    parts = []
    for scene in root.iter(f"{_SPACE}visual_scene"):
        for node in scene.findall(f"{_SPACE}node"):
            parts += _instances(node, np.eye(4), geometries)
    if not parts:
        parts = list(geometries.values())
    vertices, faces, count = [], [], 0
    for points, triangles in parts:
        vertices.append(points)
        faces.append(triangles + count)
        count += len(points)
    return np.concatenate(vertices) * scale @ _TURNS[up].T, np.concatenate(faces)


def _numbers(text: str | None) -> np.ndarray:
    return np.array((text or "").split(), dtype=float)


def _geometry(geometry: ET.Element) -> tuple[np.ndarray, np.ndarray]:
    """Returns vertices and triangles of a geometry element."""
    sources = {
        f"#{source.attrib['id']}": _numbers(source.findtext(f"{_SPACE}float_array"))
        for source in geometry.iter(f"{_SPACE}source")
    }
    points = np.zeros((0, 3))
    for vertices in geometry.iter(f"{_SPACE}vertices"):
        for given in vertices.findall(f"{_SPACE}input"):
            if given.attrib["semantic"] == "POSITION":
                points = sources[given.attrib["source"]].reshape(-1, 3)
    faces = []
    for kind in ("triangles", "polylist", "polygons"):
        for element in geometry.iter(f"{_SPACE}{kind}"):
            faces += _faces(element)
    return points, np.array(faces, dtype=int).reshape(-1, 3)


def _faces(element: ET.Element) -> list[list[int]]:
    inputs = element.findall(f"{_SPACE}input")
    stride = max(int(given.attrib["offset"]) for given in inputs) + 1
    offset = next(
        int(given.attrib["offset"]) for given in inputs if given.attrib["semantic"] == "VERTEX"
    )
    counts = element.findtext(f"{_SPACE}vcount")
    faces = []
    for indices in element.findall(f"{_SPACE}p"):
        ids = _numbers(indices.text).astype(int).reshape(-1, stride)[:, offset]
        sizes = _numbers(counts).astype(int) if counts else None
        if sizes is None:
            whole = element.tag.endswith("polygons")
            sizes = np.array([len(ids)]) if whole else np.full(len(ids) // 3, 3)
        start = 0
        for size in sizes:
            corner = ids[start : start + size]
            faces += [[corner[0], corner[i], corner[i + 1]] for i in range(1, size - 1)]
            start += size
    return faces


def _instances(
    node: ET.Element, above: np.ndarray, geometries: dict[str, tuple[np.ndarray, np.ndarray]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the geometries below a node, in the scene's frame."""
    pose = above
    for child in node:
        values = _numbers(child.text)
        step = np.eye(4)
        if child.tag == f"{_SPACE}matrix":
            step = values.reshape(4, 4)
        elif child.tag == f"{_SPACE}translate":
            step[:3, 3] = values
        elif child.tag == f"{_SPACE}scale":
            step[:3, :3] = np.diag(values)
        elif child.tag == f"{_SPACE}rotate":
            step[:3, :3] = _rotation(values[:3], np.radians(values[3]))
        else:
            continue
        pose = pose @ step
    found = []
    for instance in node.findall(f"{_SPACE}instance_geometry"):
        points, faces = geometries[instance.attrib["url"].removeprefix("#")]
        found.append((points @ pose[:3, :3].T + pose[:3, 3], faces))
    for child in node.findall(f"{_SPACE}node"):
        found += _instances(child, pose, geometries)
    return found


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """Returns the matrix of a turn about an axis. Source: Rodrigues' formula."""
    x, y, z = axis / (np.linalg.norm(axis) or 1.0)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
