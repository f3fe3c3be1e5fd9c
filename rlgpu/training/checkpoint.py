"""Checkpoints: one file for everything, written atomically, loaded without executing code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rlgpu.config import Config
from rlgpu.errors import UsageError

FORMAT = 3
_SECTIONS = ("format", "config", "agent", "env", "trainer", "joint_names")


def save_checkpoint(path: Path, content: Mapping[str, Any], config: Config) -> None:
    """Writes a checkpoint to a temporary file, syncs it and renames it.

    Args:
        path: The file to write.
        content: ``agent``, ``env``, ``trainer`` and ``joint_names``.
        config: The run's configuration.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        torch.save({"format": FORMAT, "config": asdict(config), **content}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Returns a checkpoint's content, with all tensors on the CPU.

    Raises:
        UsageError: The file is missing, truncated, not a checkpoint or of another format.
    """
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*.pth")) if path.parent.is_dir() else []
        found = f"{path.parent} has {', '.join(beside)}" if beside else "no checkpoints beside it"
        raise UsageError(f"checkpoint={path}: there is no such file; {found}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UsageError(
            f"checkpoint={path}: the file is damaged or not a checkpoint of rlgpu "
            f"({str(error).splitlines()[0]}); use another, e.g. checkpoint=best"
        ) from error
    if not isinstance(content, dict) or any(key not in content for key in _SECTIONS):
        raise UsageError(f"checkpoint={path}: the file is not a checkpoint of rlgpu")
    if content["format"] != FORMAT:
        raise UsageError(
            f"checkpoint={path}: its format is {content['format']}; this version reads {FORMAT}"
        )
    return content


def find_checkpoint(wanted: str, task_folder: Path) -> Path:
    """Returns the path that ``checkpoint=`` refers to.

    Args:
        wanted: ``latest``, ``best``, or the path of a file or a run folder.
        task_folder: ``runs/<experiment or task>``.

    Raises:
        UsageError: ``latest`` or ``best`` is requested and there is no run.
    """
    if wanted not in ("latest", "best"):
        path = Path(wanted)
        return path / "nn" / "last.pth" if path.is_dir() else path
    newest = task_folder / "latest"
    if not newest.exists():
        raise UsageError(
            f"checkpoint={wanted}: there is no run in {task_folder}; train first, or give a path"
        )
    return newest.resolve() / "nn" / ("last.pth" if wanted == "latest" else "best.pth")


def check_compatible(
    path: Path, content: Mapping[str, Any], config: Config, joint_names: tuple[str, ...]
) -> None:
    """Checks that a checkpoint is from the same task, robot and network.

    Raises:
        UsageError: A setting that the weights depend on differs.
    """
    saved = content["config"]
    rows = [
        ("task", saved["task"]["name"], config.task.name),
        ("joints", list(content["joint_names"]), list(joint_names)),
    ]
    for key in ("hidden_sizes", "separate"):
        rows.append((f"train.{key}", saved["train"][key], getattr(config.train, key)))
    for key, theirs, ours in rows:
        if theirs != ours:
            raise UsageError(
                f"checkpoint={path}: it was made with {key}={theirs}, this run has {key}={ours}"
            )


def check_resumable(path: Path, content: Mapping[str, Any], config: Config) -> None:
    """Checks that a run is unfinished and used the same engine and number of environments.

    Raises:
        UsageError: The engine or ``num_envs`` differs, or ``max_iterations`` is already reached.
    """
    done, wanted = content["trainer"]["iteration"], config.max_iterations
    if done >= wanted:
        raise UsageError(
            f"checkpoint={path}: it has done {done} of max_iterations={wanted} iterations, "
            f"so nothing is left to do; to train on, use e.g. max_iterations={2 * done}"
        )
    saved = content["config"]
    engine, num_envs = saved["sim"]["engine"], saved["num_envs"]
    if engine != config.sim.engine:
        raise UsageError(
            f"checkpoint={path}: it holds the state of sim={engine}, this run has "
            f"sim={config.sim.engine}; use sim={engine}"
        )
    if num_envs != config.num_envs:
        raise UsageError(
            f"checkpoint={path}: it holds {num_envs} environments, this run "
            f"has num_envs={config.num_envs}; use num_envs={num_envs}"
        )


def carry_best_over(resumed: Path, folder: Path) -> None:
    """Copies the best checkpoint of a resumed run, if there is one, to the new run's folder.

    Args:
        resumed: The checkpoint that training continues from.
        folder: The new run's folder.
    """
    best = resumed.with_name("best.pth")
    if best.is_file():
        shutil.copyfile(best, folder / "nn" / "best.pth")
