"""Finds the robot that ``robot=`` names: a file, a folder, or a model of MuJoCo Menagerie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rlgpu.config import ROBOT, convert, keys_of, read_file
from rlgpu.errors import Unavailable, Unreadable, UsageError, list_some, nearest, usable_path
from rlgpu.robots.survey.settings import RobotSettings

_KINDS = (".xml", ".urdf", ".mjcf")
_MENAGERIE = "menagerie:"
_VALUES = "robot.yaml"


def located(settings: RobotSettings) -> RobotSettings:
    """Returns settings with the robot's file by its full path, and the values of its folder.

    A folder's ``robot.yaml`` has keys of ``task.robot``; settings that are given count more.

    Raises:
        UsageError: There is no such robot, or its folder's values are none.
    """
    word = settings.file
    if word.startswith(_MENAGERIE):
        return replace(settings, file=str(_of_menagerie(word.removeprefix(_MENAGERIE))))
    path = usable_path("robot", word)
    if path.is_dir():
        settings = _with_values(settings, path)
        named = path / settings.file if settings.file != word else None
        return replace(settings, file=str((named or _only_file(path)).resolve()))
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*") if p.suffix.lower() in _KINDS)
        has = f"; beside it are {list_some(beside)}" if beside else ""
        said = f"robot={word}: there is no such file{has}; give an MJCF or URDF file"
        raise Unreadable(said, "missing", key=ROBOT, value=word, path=path)
    return replace(settings, file=str(path.resolve()))


def _only_file(folder: Path) -> Path:
    """Returns the robot's file in a folder that has one.

    Raises:
        UsageError: It has none, or several.
    """
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _KINDS)
    if len(files) == 1:
        return files[0]
    has = f"it has {list_some([p.name for p in files])}" if files else "it has none"
    said = (
        f"robot={folder}: a folder needs one MJCF or URDF file; {has}; name the file, or write "
        f"`file: NAME` in its {_VALUES}"
    )
    raise Unreadable(said, "missing", key=ROBOT, value=str(folder), path=folder)


def _with_values(settings: RobotSettings, folder: Path) -> RobotSettings:
    """Returns settings with the values of a folder's ``robot.yaml`` where none are given."""
    path = folder / _VALUES
    if not path.is_file():
        return settings
    keys, plain = keys_of(RobotSettings), RobotSettings()
    found: dict[str, Any] = {}
    for name, value in read_file(path).items():
        if name not in keys:
            said = f"{path}: {name} is not a key of task.robot{nearest(name, keys)}"
            raise UsageError(said, key=name, value=value, allowed=list(keys), path=path)
        try:
            found[name] = convert(name, value, keys[name].hint)
        except UsageError as error:
            error.add_place(str(path))
            raise
        given = getattr(settings, name)
        if isinstance(given, dict):
            found[name] |= given
        elif name != "file" and given != getattr(plain, name):
            found[name] = given
    return replace(settings, **found)


def _of_menagerie(word: str) -> Path:
    """Returns the file of a model of MuJoCo Menagerie, which is downloaded at first use.

    Args:
        word: The model's name, such as ``unitree_go2``; with one of its files, ``unitree_g1/g1``.

    Raises:
        UsageError: The package is missing, there is no such model, or it cannot be downloaded.
    """
    try:
        import mujoco_menagerie as menagerie  # noqa: PLC0415
    except ImportError as error:
        missing, install = "it needs a package", "pip install mujoco-menagerie"
        raise Unavailable(missing, install, key=ROBOT, value=f"{_MENAGERIE}{word}") from error
    name, _, entry = word.partition("/")
    try:
        robot = menagerie.get(name)
        return Path(robot.xml(entry or robot.default_model)).resolve()
    except menagerie.MenagerieError as error:
        said = f"robot={_MENAGERIE}{word}: {error}"
        known = menagerie.names()
        raise UsageError(said, key=ROBOT, value=f"{_MENAGERIE}{word}", allowed=known) from error
