"""Finds mesh files and adds them to specifications."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.errors import MalformedModel
from rlgpu.robots.convex_parts import convex_parts
from rlgpu.robots.dae import read_dae
from rlgpu.robots.frames import THIN, Frame, mesh_vertices, numbers, word
from rlgpu.robots.part_cache import keep_parts
from rlgpu.robots.reports import report
from rlgpu.robots.robot import ReadOptions
from rlgpu.robots.shapes import READ_BY_MUJOCO

_MOST_HULL_VERTICES = 64  # as PhysX's convex meshes
_MOST_PARTS = 32
_DECOMPOSED = 64
"""Resolution of convex decompositions that scripts ask for."""


class MeshFiles:
    """The meshes of one specification; each file is added once for a scale and a resolution."""

    def __init__(
        self, spec: mujoco.MjSpec, path: Path, folders: list[Path], options: ReadOptions
    ) -> None:
        """Remembers where to look.

        Args:
            spec: Meshes are added to it.
            path: The asset's file.
            folders: Further folders that names may be relative to.
            options: How the asset is loaded.
        """
        self.spec, self.path, self.folders, self.options = spec, path, folders, options
        self._names: dict[tuple[Path, tuple[float, ...], int], str] = {}
        """By file, scale and resolution of the parts, which is 0 for one hull."""
        self.owners: dict[str, str] = {}
        """Names of the geoms that are the first parts of meshes, by the names of the others."""

    def use(
        self, geom: mujoco.MjsGeom, shape: ET.Element, where: Frame, resolution: int = 0
    ) -> None:
        """Makes a geom the convex hull of a mesh element's file, or one of several parts of it.

        Args:
            geom: The geom; further parts are added to its body.
            shape: The mesh element.
            where: Frame of the mesh in the body.
            resolution: Cells of a signed distance field along the mesh that the file asks for. The
                mesh is split into convex parts as exact as a cell.

        Raises:
            ValueError: The file does not exist or is of a format that is not read.
        """
        file = self.find(word(shape, "filename"))
        scale = tuple(numbers(shape, "scale", [1, 1, 1]))
        flat = _flat_box(file, np.array(scale))
        if flat is not None:
            report(f"{self.path.name}: mesh {file.name} is flat; it collides as a thin box")
            at = where @ flat[0]
            geom.pos, geom.quat = at.pos, at.quat
            geom.type, geom.size = mujoco.mjtGeom.mjGEOM_BOX, flat[1]
            return
        resolution = resolution or _DECOMPOSED * self.options.vhacd_enabled
        parts = _parts(_version(file), scale, resolution) if resolution else []
        if len(parts) > 1:
            self._use_parts(geom, (file, scale, resolution), parts)
            return
        key = file, scale, 0
        if key not in self._names:
            self._names[key] = f"{file.stem}_{len(self._names)}"
            self._add(self._names[key], file, scale)
        geom.type, geom.meshname = mujoco.mjtGeom.mjGEOM_MESH, self._names[key]

    def _use_parts(
        self,
        geom: mujoco.MjsGeom,
        key: tuple[Path, tuple[float, ...], int],
        parts: Sequence[np.ndarray],
    ) -> None:
        """Makes a geom the first of several convex parts, and adds the others to its body."""
        file = key[0]
        report(f"{self.path.name}: mesh {file.name} collides as {len(parts)} convex parts")
        if key not in self._names:
            self._names[key] = f"{file.stem}_{len(self._names)}"
            for i, points in enumerate(parts):
                mesh = self.spec.add_mesh(name=f"{self._names[key]}:part{i}")
                mesh.maxhullvert = _MOST_HULL_VERTICES
                mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
                mesh.uservert = points.astype(np.float32).flatten()
        shape = f"parts_{len(self.spec.geoms)}"
        for i in range(len(parts)):
            part = geom if i == 0 else geom.parent.add_geom()
            part.pos, part.quat, part.density = geom.pos, geom.quat, geom.density
            part.name = f"{shape}:part{i}"
            if i > 0:
                self.owners[part.name] = geom.name
            part.type, part.meshname = mujoco.mjtGeom.mjGEOM_MESH, f"{self._names[key]}:part{i}"

    def _add(self, name: str, file: Path, scale: tuple[float, ...]) -> None:
        mesh = self.spec.add_mesh(name=name)
        mesh.scale, mesh.maxhullvert = scale, _MOST_HULL_VERTICES
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        if file.suffix.lower() in READ_BY_MUJOCO:
            mesh.file = str(file)
        elif file.suffix.lower() == ".dae":
            vertices, faces = read_dae(file)
            mesh.uservert = vertices.astype(np.float32).flatten()
            mesh.userface = faces.astype(np.int32).flatten()
        else:
            raise MalformedModel(
                f"mesh {file.name} is of a format that is not read; convert it to one of "
                f"{', '.join((*READ_BY_MUJOCO, '.dae'))}",
                "mesh_format",
                file.name,
                file=self.path.name,
            )

    def find(self, name: str) -> Path:
        """Returns the file that a mesh element names.

        Names are relative to the asset's folder, to the asset root or to a folder above either;
        ``package://x/...`` and ``file://`` are understood.

        Raises:
            MalformedModel: There is no such file.
        """
        bare = name
        for scheme in ("package://", "package:/", "model://", "file://"):
            bare = bare.removeprefix(scheme)
        options = [Path(bare)]
        if bare != name and "/" in bare:
            options.append(Path(bare.split("/", 1)[1]))  # a package's folder may be named otherwise
        # Some files name a folder that was flattened when their meshes were published.
        options += [path.parent.parent / path.name for path in options]
        bases = [self.path.parent, *self.folders]
        above = [parent for base in bases for parent in base.resolve().parents[:4]]
        for base in [*bases, *above]:
            for option in options:
                if (base / option).is_file():
                    return (base / option).resolve()
        said = f"there is no mesh {name} beside it or above its folder"
        raise MalformedModel(said, "no_mesh", name, file=self.path.name)


class _Version(NamedTuple):
    """A file as it was when it was last written, which tells cached results of it apart."""

    file: Path
    modified: int
    """Time of the last modification [ns]."""
    size: int
    """Size [bytes]."""


def _version(file: Path) -> _Version:
    state = file.stat()
    return _Version(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _parts(version: _Version, scale: tuple[float, ...], resolution: int) -> tuple[np.ndarray, ...]:
    """Returns the points of a mesh's convex parts [m], each of shape [P, 3]."""

    def compute() -> list[np.ndarray]:
        vertices, faces = triangles_of(version.file)
        vertices = vertices * np.array(scale)
        tolerance = float(np.ptp(vertices, axis=0).max()) / resolution
        return convex_parts(vertices, faces, tolerance, _MOST_PARTS)

    return keep_parts(version.file, (*scale, resolution, _MOST_PARTS), compute)


def triangles_of(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns a mesh's vertices, shape [V, 3], and triangles, shape [T, 3]."""
    kind = file.suffix.lower()
    if kind == ".dae":
        return read_dae(file)
    vertices = _vertices(file)
    if kind == ".obj" and vertices is not None:
        return vertices, _faces(file)
    if vertices is not None:
        return vertices, np.arange(len(vertices)).reshape(-1, 3)
    spec = mujoco.MjSpec()
    mesh = spec.add_mesh(name="mesh", file=str(file))
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # exact needs a closed mesh
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="mesh")
    model = spec.compile()
    return mesh_vertices(model), model.mesh_face


def _faces(file: Path) -> np.ndarray:
    """Returns all triangles of an OBJ file, shape [T, 3]; MuJoCo reads those of one group.

    Raises:
        MalformedModel: A face has fewer than three corners, or a vertex that the file lacks.
    """
    faces, num_vertices = [], 0
    for number, line in enumerate(file.open(errors="replace"), 1):
        match line.lstrip()[:2]:
            case "v " | "v\t":
                num_vertices += 1
            case "f " | "f\t" | "f\n":
                # Negative indices count back from the last vertex above the line.
                faces.append((number, line.split()[1:], num_vertices))
    found = []
    for number, words, above in faces:
        corners = [_corner(word, above, num_vertices) for word in words]
        if len(corners) < 3 or None in corners:
            said = (
                f"mesh {file.name}, line {number}: a face with the corners "
                f"{' '.join(words) or '(none)'}; it needs three or more of vertices 1 to "
                f"{num_vertices}"
            )
            raise MalformedModel(said, "face", file.name, str(number))
        first, *rest = corners
        found += [(first, a, b) for a, b in pairwise(rest)]
    return np.array(found, dtype=int).reshape(-1, 3)


def _corner(word: str, above: int, num_vertices: int) -> int | None:
    """Returns the vertex, from 0, of a corner of an OBJ file's face; None if there is no such.

    Args:
        word: The corner, such as ``3/1/2`` or ``-1``.
        above: Number of vertices above the line.
        num_vertices: Number of vertices in the file.
    """
    try:
        index = int(word.partition("/")[0])
    except ValueError:
        return None
    vertex = index - 1 if index > 0 else above + index
    return vertex if index and 0 <= vertex < num_vertices else None


def _flat_box(file: Path, scale: np.ndarray) -> tuple[Frame, np.ndarray] | None:
    """Returns frame and half sizes of a thin box about a mesh without volume, None for others."""
    vertices = _vertices(file)
    if vertices is None or len(vertices) < 3:
        return None
    points = vertices * scale
    middle = points.mean(axis=0)
    _, extents, axes = np.linalg.svd(points - middle, full_matrices=False)
    if extents[-1] > 1e-5 * extents[0]:
        return None
    matrix = axes.T if np.linalg.det(axes) > 0 else axes.T * [1, 1, -1]
    local = (points - middle) @ matrix
    low, high = local.min(axis=0), local.max(axis=0)
    centre = middle + matrix @ (0.5 * (low + high))
    return Frame(centre, matrix), np.maximum(0.5 * (high - low), THIN)


def _vertices(file: Path) -> np.ndarray | None:
    """Returns a mesh's vertices, shape [V, 3]; None for a format that only MuJoCo reads here."""
    kind = file.suffix.lower()
    if kind == ".dae":
        return read_dae(file)[0]
    if kind == ".obj":
        with file.open(errors="replace") as lines:
            places = [x.split()[1:4] for x in lines if x.lstrip()[:2] in ("v ", "v\t")]
        return np.array(places, dtype=float).reshape(-1, 3)
    data = file.read_bytes()
    count = int.from_bytes(data[80:84], "little")
    if kind != ".stl" or len(data) != 84 + 50 * count:
        return None
    rows = np.frombuffer(data, dtype=np.uint8, offset=84).reshape(count, 50)
    return rows[:, 12:48].copy().view("<f4").reshape(-1, 3).astype(float)
