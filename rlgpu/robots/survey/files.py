"""Finds the robot that ``robot=`` names."""

from __future__ import annotations

from pathlib import Path

from rlgpu.errors import Unreadable, list_some, usable_path
from rlgpu.robots.survey.settings import RobotSettings

KEY = "task.robot.file"
_KINDS = (".xml", ".urdf", ".mjcf")


def file_of(settings: RobotSettings) -> Path:
    """Returns the robot's file.

    Raises:
        UsageError: There is none.
    """
    word = settings.file
    path = usable_path("robot", word)
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*") if p.suffix.lower() in _KINDS)
        has = f"; beside it are {list_some(beside)}" if beside else ""
        said = f"robot={word}: there is no such file{has}; give an MJCF or URDF file"
        raise Unreadable(said, "missing", key=KEY, value=word, path=path)
    return path


def _in_folder(folder: Path) -> Path:
    """Returns the robot's file in a folder that has one.

    Raises:
        UsageError: It has none, or several.
    """
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _KINDS)
    if len(files) == 1:
        return files[0]
    has = f"it has {list_some([p.name for p in files])}" if files else "it has none"
    said = f"robot={folder}: a folder needs one MJCF or URDF file; {has}; name the file"
    raise Unreadable(said, "missing", key=KEY, value=str(folder), path=folder)
