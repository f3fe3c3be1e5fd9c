"""Python files of the user's, imported by their paths."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from rlgpu.errors import Unreadable, UsageError, line_in, list_some, usable_path


def load_module(file: Path) -> ModuleType:
    """Returns the module of a file; what lies beside the file can be imported by it.

    It is executed again each time.

    Raises:
        ImportError: It is not a Python file.
    """
    path = file.resolve()
    _look_beside(path.parent)
    spec = importlib.util.spec_from_file_location(f"rlgpu_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module by name
    spec.loader.exec_module(module)
    return module


_FOLDERS: set[str] = set()
"""Folders of the files that were loaded."""


def _look_beside(folder: Path) -> None:
    """Has modules of a folder found before those of the same names beside other files."""
    for name in [neighbour.stem for neighbour in folder.glob("*.py")]:
        found = getattr(sys.modules.get(name), "__file__", None)
        if found and str(Path(found).parent) in _FOLDERS - {str(folder)}:
            del sys.modules[name]  # whoever has imported it keeps it
    _FOLDERS.add(str(folder))
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    others = [place for place in sys.path if place in _FOLDERS]
    sys.path.insert(sys.path.index(others[0]) if others else len(sys.path), str(folder))


def names_function(word: str) -> bool:
    """Returns whether a word is of the form ``path/to/file.py:function``."""
    path, colon, name = word.rpartition(":")
    return bool(colon) and path.endswith(".py") and name.isidentifier()


def absolute_function(key: str, word: str) -> str:
    """Returns a word of the form ``path/to/file.py:function`` that names it from any folder."""
    path, _, name = word.rpartition(":")
    return f"{usable_path(key, path).resolve()}:{name}"


def load_function(key: str, word: str) -> Callable[..., Any]:
    """Returns the function that a word of the form ``path/to/file.py:function`` names.

    Args:
        key: The key whose value the word is, for refusals.
        word: The word.

    Raises:
        UsageError: There is no such file or function, or the file cannot be run.
    """
    path, _, name = word.rpartition(":")
    file = usable_path(key, path)
    if not names_function(word) or not file.is_file():
        said = f"{key}: {word}: wanted an existing path/to/file.py:function"
        raise Unreadable(said, "missing", key=key, value=word, path=file)
    try:
        module = load_module(file)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{key}: {line_in(error, file)}", key=key, value=word, path=file
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        names = [n for n, x in vars(module).items() if callable(x) and not n.startswith("_")]
        has = f"it has {list_some(names)}" if names else "it has none"
        said = f"{key}: {file.name} has no function {name}; {has}"
        raise UsageError(said, key=key, value=word, allowed=names, path=file)
    return found
