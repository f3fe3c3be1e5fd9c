"""Where tasks and their values are: the user's folder, then what comes with rlgpu."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlgpu.config.reading import ROBOT, read_each_once, read_file
from rlgpu.errors import UsageError, nearest

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Project:
    """Folders of YAML files, ``cfg/``, and of tasks, ``tasks/``; a file in an earlier one counts.

    Each folder of YAML files has ``config.yaml`` and the folders ``task``, ``train`` and ``sim``.
    """

    cfg: tuple[Path, ...] = (_PACKAGE.resolve() / "cfg",)
    tasks: tuple[Path, ...] = ()
    """Only the user's; those that come with rlgpu are a package."""
    read: Callable[[Path], dict[str, Any]] = field(default=read_file, repr=False, compare=False)
    """Returns the values of a file."""

    @classmethod
    def at(cls, folder: Path) -> Project:
        """Returns the project of a folder: ``folder/cfg`` and ``folder/tasks``, then rlgpu's.

        It reads each file once: later changes of a file are for the next project.
        """
        cfg, tasks = folder / "cfg", folder / "tasks"
        included = INCLUDED.cfg[0]
        has_cfg = cfg.is_dir() and not (included.is_dir() and cfg.samefile(included))
        has_tasks = tasks.is_dir() and not tasks.samefile(_PACKAGE / "tasks")
        return cls(
            (cfg.resolve(), included) if has_cfg else (included,),
            (tasks.resolve(),) if has_tasks else (),
            read_each_once(),
        )

    def defaults(self) -> dict[str, Any]:
        """Returns the values of every ``config.yaml``, of which an earlier one's count.

        Raises:
            UsageError: A file cannot be read.
        """
        values: dict[str, Any] = {}
        for folder in reversed(self.cfg):
            if (folder / "config.yaml").is_file():
                values |= self.read(folder / "config.yaml")
        return values

    def default_task(self, given: Mapping[str, str]) -> str:
        """Returns the task of a command line without ``task=``: Walk for a robot's file."""
        return "Walk" if ROBOT in given else str(self.defaults().get("task", ""))

    def read_values(self, folders: list[Path], name: str, given: str = "") -> dict[str, Any]:
        """Returns the values of the first file ``name.yaml`` in some folders.

        Args:
            folders: Where to look.
            name: The file's name without its ending.
            given: Key for which the name was given, for the refusal.

        Raises:
            UsageError: There is no such file, or it cannot be read.
        """
        if path := find_values(folders, name):
            return self.read(path)
        known = sorted({p.stem for folder in folders for p in folder.glob("*.yaml")})
        where, wanted = " and ".join(map(str, folders)), folders[0] / f"{name}.yaml"
        chosen, hint = (f"{given}={name}: ", nearest(name, known)) if given else ("", "")
        raise UsageError(
            f"{chosen}there is no file {wanted}; {where} has {', '.join(known) or 'none'}{hint}",
            key=given,
            value=name,
            allowed=known,
            path=wanted,
        )

    def names(self, group: str) -> list[str]:
        """Returns the names of the files of a group: ``task``, ``train`` or ``sim``."""
        return sorted(
            {path.stem for folder in self.cfg for path in (folder / group).glob("*.yaml")}
        )

    def own_task(self, name: str) -> Path | None:
        """Returns the user's file that defines a task of a name, None if there is none."""
        return next((file for file, names in self._own_classes() if name in names), None)

    def own_tasks(self) -> list[str]:
        """Returns the names of the user's own tasks: classes that have a file of values."""
        return sorted(
            {name for _, names in self._own_classes() for name in names} & {*self.names("task")}
        )

    def _own_classes(self) -> Iterator[tuple[Path, list[str]]]:
        """Yields the user's files that import rlgpu, with the names of their classes."""
        for folder in self.tasks:
            for file in sorted(folder.glob("*.py")):
                yield file, _classes(file)


INCLUDED = Project()
"""What comes with rlgpu, whatever the folder."""


def find_values(folders: list[Path], name: str) -> Path | None:
    """Returns the first file ``name.yaml`` in some folders, None if there is none."""
    return next((p for folder in folders if (p := folder / f"{name}.yaml").is_file()), None)


def class_in(folder: Path, name: str) -> str:
    """Returns ``file.py:Class`` for a task of a name in a file of that name, or an empty string.

    The file is in the folder or in a folder of its own there, as ``rlgpu new-task`` writes it.
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    for stem in dict.fromkeys((name, name.lower(), snake.lower())):
        for file in (Path(f"{stem}.py"), Path(stem, f"{stem}.py")):
            for found in _classes(folder / file):
                if found.lower() == name.lower():
                    return f"{file}:{found}"
    return ""


def classes_in(file: Path) -> list[str]:
    """Returns the names of a file's classes that extend another, without running it.

    Dataclasses are left out: they are settings.
    """
    return [x.name for x in _class_nodes(_parsed(file)) if not _is_dataclass(x)]


def _classes(file: Path) -> list[str]:
    """Returns the names of the classes of a file that imports rlgpu, without running it."""
    tree = _parsed(file)
    return [x.name for x in _class_nodes(tree)] if "rlgpu" in _imports(tree) else []


def _parsed(file: Path) -> ast.Module:
    """Returns a file's syntax, that of an empty file if it cannot be read."""
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _class_nodes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.dump(decorator) for decorator in node.decorator_list)


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yields the names of the packages that a file imports."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
