"""Finds mesh files and adds them to specifications."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import mujoco
import numpy as np

from rlgpu.isaacgym.assets.dae import read_dae
from rlgpu.isaacgym.assets.frames import Frame, numbers
from rlgpu.isaacgym.notes import note
from rlgpu.isaacgym.structs import (
    AssetOptions,
)

_READ = (".stl", ".obj", ".msh")
"""Formats that MuJoCo reads."""
_MOST_HULL_VERTICES = 64  # as PhysX's convex meshes


class MeshFiles:
    """The meshes of one specification; each file is added once a scale."""

    def __init__(
        self, spec: mujoco.MjSpec, path: Path, folders: list[Path], options: AssetOptions
    ) -> None:
        """Remembers where to look.

        Args:
            spec: Meshes are added to it.
            path: The asset's file.
            folders: Further folders that names may be relative to.
            options: How the asset is loaded.
        """
        self.spec, self.path, self.folders, self.options = spec, path, folders, options
        self._names: dict[tuple[Path, tuple[float, ...]], str] = {}

    def use(self, geom: mujoco.MjsGeom, shape: ET.Element, where: Frame) -> None:
        """Makes a geom the convex hull of a mesh element's file.

        Raises:
            ValueError: The file does not exist or is of a format that is not read.
        """
        file = self.find(shape.attrib["filename"])
        scale = tuple(numbers(shape, "scale", [1, 1, 1]))
        if self.options.vhacd_enabled:
            note(f"{self.path.name}: meshes collide as one convex hull; vhacd is not done")
        key = file, scale
        if key not in self._names:
            self._names[key] = f"{file.stem}_{len(self._names)}"
            self._add(self._names[key], file, scale)
        geom.type, geom.meshname = mujoco.mjtGeom.mjGEOM_MESH, self._names[key]

    def _add(self, name: str, file: Path, scale: tuple[float, ...]) -> None:
        mesh = self.spec.add_mesh(name=name)
        mesh.scale, mesh.maxhullvert = scale, _MOST_HULL_VERTICES
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        if file.suffix.lower() in _READ:
            mesh.file = str(file)
        elif file.suffix.lower() == ".dae":
            vertices, faces = read_dae(file)
            mesh.uservert = vertices.astype(np.float32).flatten()
            mesh.userface = faces.astype(np.int32).flatten()
        else:
            raise ValueError(
                f"{self.path.name}: mesh {file.name} is of a format that is not read; convert it "
                f"to one of {', '.join((*_READ, '.dae'))}"
            )

    def find(self, name: str) -> Path:
        """Returns the file that a mesh element names.

        Names are relative to the asset's folder, to the asset root or to a folder above either;
        ``package://x/...`` and ``file://`` are understood.

        Raises:
            ValueError: There is no such file.
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
        raise ValueError(f"{self.path.name}: there is no mesh {name} beside it or above its folder")
