"""The folder a run writes into: ``runs/<experiment or task>/<YYYY-MM-DD_HH-MM-SS>/``."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import yaml

from rlgpu.config import Config
from rlgpu.errors import UsageError


def task_folder(config: Config) -> Path:
    """Returns ``runs/<experiment or task>``."""
    return Path(config.runs_dir) / (config.experiment or config.task.name)


def create_run_folder(config: Config) -> Path:
    """Creates the folder and its ``nn/``, saves the configuration and links ``latest`` to it.

    Raises:
        UsageError: The folder cannot be created or written to.
    """
    parent = task_folder(config)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = _unused(parent / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
        (folder / "nn").mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(asdict(config), sort_keys=False))
        _point_latest(parent / "latest", folder)
    except OSError as error:
        raise UsageError(
            f"{parent} cannot be written ({error.strerror}); "
            "change its permissions or use runs_dir=ANOTHER_FOLDER"
        ) from error
    return folder


def _unused(folder: Path) -> Path:
    """Returns the folder, with a number appended if it exists already."""
    candidate, number = folder, 2
    while candidate.exists():
        candidate, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return candidate


def _point_latest(link: Path, folder: Path) -> None:
    temporary = link.with_name(f".latest-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.name)
    temporary.replace(link)
