"""Writes a scene as an MJCF file that needs nothing from elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

from rlgpu.sim import SceneSpec, Timing


def write_model(scene: SceneSpec, timing: Timing, folder: Path) -> None:
    """Writes ``scene.xml`` with the task's drives, and the files that it names below ``assets/``.

    Args:
        scene: The scene.
        timing: Its physics step.
        folder: Where to.
    """
    from rlgpu.sim.mujoco.model import specification  # noqa: PLC0415  (MuJoCo is imported late)

    spec = specification(scene, timing)
    here = Path(spec.modelfiledir)
    for kind, things in (
        (spec.meshdir, spec.meshes),
        (spec.texturedir, spec.textures),
        (spec.meshdir, spec.hfields),
    ):
        for number, thing in enumerate(things):
            if thing.file:
                thing.file = _copied(here / kind / thing.file, folder / "assets", number)
    spec.meshdir = spec.texturedir = "assets"
    spec.compile()
    (folder / "scene.xml").write_text(spec.to_xml())


def _copied(file: Path, folder: Path, number: int) -> str:
    """Copies a file under a name that no other one has; returns the name."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{file.stem}_{number}{file.suffix}"
    shutil.copyfile(file, folder / name)
    return name
