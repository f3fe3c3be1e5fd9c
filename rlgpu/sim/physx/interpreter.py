"""Finds the Python that has Isaac Gym, and the environment that its process needs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

VARIABLE = "ISAACGYM_PYTHON"
_MINORS = (8, 7, 6)
"""Isaac Gym's bindings exist for Python 3.6 to 3.8."""
_ELSEWHERE = (Path("/opt/conda"), Path("/opt/miniconda3"))
_ROOTS = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda")


class NoInterpreter(ValueError):
    """There is no Python with Isaac Gym."""

    def __init__(self, message: str, *, source: str = "", path: Path | None = None) -> None:
        """Keeps the setting or the variable that names one, and the path that it names."""
        super().__init__(message)
        self.source, self.path = source, path


_DROPPED = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONOPTIMIZE",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "__PYVENV_LAUNCHER__",
)
"""Variables that lead another Python to this one's modules."""


def find_python(wanted: str) -> Path:
    """Returns the interpreter to run Isaac Gym with.

    Args:
        wanted: ``sim.python``; if empty, the variable ISAACGYM_PYTHON or the usual places decide.

    Raises:
        NoInterpreter: There is none, or what was given is none.
    """
    for source, text in (("sim.python", wanted), (VARIABLE, os.environ.get(VARIABLE, ""))):
        if text:
            path = Path(text).expanduser()
            if path.is_dir():
                path = path / "bin" / "python"
            if not (path.is_file() and os.access(path, os.X_OK)):
                said = f"{source}={text}: there is no interpreter of that name"
                raise NoInterpreter(said, source=source, path=path)
            return path.absolute()  # resolving a virtual environment's link would leave it
    for path in candidates():
        return path
    raise NoInterpreter(
        "no Python with Isaac Gym was found; give it as sim.python=PATH or in the variable "
        f"{VARIABLE}; docs/isaacgym.md says how to set it up"
    )


def candidates() -> Iterator[Path]:
    """Yields interpreters in the usual places that have Isaac Gym installed."""
    for prefix in _prefixes():
        for minor in _MINORS:
            python = prefix / "bin" / f"python3.{minor}"
            packages = prefix / "lib" / f"python3.{minor}" / "site-packages"
            if python.is_file() and any(packages.glob("*isaacgym*")):
                yield python


def _prefixes() -> Iterator[Path]:
    """Yields environments: conda's, virtual ones in the home folder, pyenv's."""
    home = Path.home()
    conda = [*(home / name for name in _ROOTS), *_ELSEWHERE]
    if root := os.environ.get("MAMBA_ROOT_PREFIX"):
        conda.insert(0, Path(root))
    if active := os.environ.get("CONDA_EXE"):
        conda.insert(0, Path(active).parents[1])
    folders = [root / "envs" for root in conda]
    folders += [home / ".virtualenvs", home / "venvs", home / ".pyenv" / "versions"]
    for folder in folders:
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if path.is_dir())
    yield from conda


def environment(python: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment variables of a process of an interpreter.

    Args:
        python: The interpreter.
        given: This process's variables.
    """
    variables = {name: value for name, value in given.items() if name not in _DROPPED}
    folder = python.parent
    variables["PATH"] = _with(folder, given.get("PATH", os.defpath))
    library = folder.parent / "lib"
    if any(library.glob("libpython3.*")):  # of the environment, not the system's
        variables["LD_LIBRARY_PATH"] = _with(library, given.get("LD_LIBRARY_PATH", ""))
    return variables


def _with(folder: Path, path: str) -> str:
    return os.pathsep.join([str(folder), path]) if path else str(folder)
