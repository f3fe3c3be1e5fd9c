"""The folder a run writes into: ``runs/<experiment or task>/<YYYY-MM-DD_HH-MM-SS>/``."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rlgpu.config import Config, plain, read_file, yaml_text
from rlgpu.errors import Cause, TrainingFailed, Unreadable, UsageError, usable_path

_HEADER = "# Repeat this run with: rlgpu train run={folder}\n"


def task_folder(runs_dir: str, experiment: str, task_name: str) -> Path:
    """Returns ``runs/<experiment or task>``."""
    return usable_path("runs_dir", runs_dir) / (experiment or task_name)


def newest_task(runs_dir: str) -> str:
    """Returns the name of the folder of the newest run in ``runs_dir``, empty if there is none."""
    folder = usable_path("runs_dir", runs_dir)
    runs = {path.name: path / "latest" for path in folder.glob("*") if (path / "latest").exists()}
    return max(runs, key=lambda name: runs[name].resolve().stat().st_mtime, default="")


def create_run_folder(config: Config, origin: Mapping[str, str]) -> Path:
    """Creates the folder and its ``nn/``, and saves the configuration.

    Args:
        config: The resolved configuration.
        origin: As ``origin_of`` returns it.

    Raises:
        UsageError: The folder cannot be created or written to.
    """
    parent = task_folder(config.runs_dir, config.experiment, config.task.name)
    text = yaml_text({**plain(config), "origin": dict(origin)})
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = _create_unused(parent / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
        (folder / "nn").mkdir()
        header = _HEADER.format(folder=folder)
        (folder / "config.yaml").write_text(header + text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{parent} cannot be written ({error.strerror}); "
            "change its permissions or use runs_dir=ANOTHER_FOLDER",
            key="runs_dir",
            path=parent,
        ) from error
    return folder


def read_run_folder(folder: Path) -> tuple[dict[str, Any], Any]:
    """Returns the configuration and the origin that a run saved in ``config.yaml``.

    Args:
        folder: The run's folder, or the file itself.

    Raises:
        UsageError: There is no such file, or it is not YAML.
    """
    path = folder / "config.yaml" if folder.is_dir() else folder
    if not path.is_file():
        said = f"run={folder}: wanted the folder of a run, with a config.yaml"
        raise Unreadable(said, "missing", key="run", value=str(folder), path=path)
    values = read_file(path)
    return values, values.pop("origin", None)


def point_latest(folder: Path) -> None:
    """Makes the link ``latest`` beside a run's folder point to it.

    Raises:
        OSError: The link cannot be written.
    """
    temporary = folder.with_name(f".latest-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.name)
    temporary.replace(folder.with_name("latest"))


def training_failed(
    said: str,
    cause: Cause,
    folder: Path,
    *,
    iteration: int | None = None,
    sources: Iterable[str] = (),
) -> TrainingFailed:
    """Returns the failure of a run, whose sentence ends with its newest checkpoint.

    Args:
        said: What happened.
        cause: Why training stops.
        folder: The run's folder.
        iteration: The iteration in which it shows.
        sources: The methods or reported values that are not finite, if they are known.
    """
    newest = folder / "nn" / "last.pth"
    last = newest if newest.exists() else None
    good = f"the last good checkpoint is {last}" if last else "no checkpoint exists yet"
    return TrainingFailed(
        f"{said}; {good}", cause, iteration=iteration, sources=sources, checkpoint=last
    )


def remove_unused(folder: Path) -> None:
    """Removes the folder of a run that ended before its first checkpoint."""
    if not any((folder / "nn").glob("*.pth")):
        shutil.rmtree(folder, ignore_errors=True)


def _create_unused(folder: Path) -> Path:
    """Creates the folder, with a number appended to its name if it exists already."""
    for number in itertools.count(1):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            candidate.mkdir()
        except FileExistsError:  # also by another run, started in the same second
            continue
        return candidate
    raise AssertionError  # numbers do not end
