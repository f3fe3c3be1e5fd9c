"""What a run's configuration is composed from: the request, and the layers of values below it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rlgpu.config.presets import NOT_FOR_GYM, read_preset
from rlgpu.config.project import Project
from rlgpu.config.saved import SavedRun, layers_of
from rlgpu.config.task_file import FoundTask, is_gym
from rlgpu.errors import UsageError, nearest, shown


class EngineSettings(Protocol):
    """The properties of an engine that the configuration depends on."""

    @property
    def settings(self) -> type:
        """Dataclass of the engine's settings, ``sim.*`` on the command line."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Types of devices that it runs on, ``cpu`` or ``cuda``; the first is its default."""

    @property
    def accept(self) -> Callable[[Any, Any], list[str]]:
        """Returns why it cannot simulate a scene, given the timing; empty if it can."""


class Request(NamedTuple):
    """What the user asked for, and where to find it."""

    given: Mapping[str, str]
    """Keys and values of the command line, without those that choose a file."""
    tree: Mapping[str, Any]
    """Contents of the project's ``config.yaml`` files."""
    train: str
    """The word given for ``train``, or an empty string."""
    task: FoundTask
    engines: Mapping[str, EngineSettings]
    project: Project
    saved: SavedRun | None
    chosen: frozenset[str]
    """Which of ``task``, ``train`` and ``sim`` the command line gives."""


def layers_below(request: Request, engine: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Returns the groups of values below the command line, lowest first."""
    task = request.task
    saved = layers_of(request.saved, request.chosen, task.name, engine)

    def values_of(group: str) -> Mapping[str, Any]:
        if group in saved.instead:
            return saved.instead[group]
        if group == "sim":
            folders = [folder / "sim" for folder in request.project.cfg]
            return request.project.read_values(folders, engine)
        if group == "train":
            name = request.train or _train_file(request)
            return _for_engine(request, task.train_folders, name, "train", engine)
        if group == "task":
            if not task.task_folders:
                return {"name": task.name}
            return _for_engine(request, task.task_folders, task.name, "", engine)
        return request.tree

    layers = [(group, values_of(group)) for group in ("", "task", "train")]
    layers += [("train", saved.network), ("sim", values_of("sim"))]
    preset = _preset_values(request)
    if is_gym(task.word):
        preset = {key: value for key, value in preset.items() if key not in NOT_FOR_GYM}
    return [*layers, ("train", preset)]


def _preset(request: Request) -> str:
    """Returns the preset asked for now; the values of a saved run's are among its own."""
    files = {} if request.saved else request.tree
    return str(request.given.get("preset", files.get("preset", "none")) or "none")


def _preset_values(request: Request) -> dict[str, Any]:
    return read_preset(_preset(request), request.project.read)


def left_out(request: Request) -> list[str]:
    """Returns a note for each value of the preset that the task cannot take."""
    if not is_gym(request.task.word):
        return []
    return [
        f"preset={_preset(request)}: train.{key} is left out, since {reason}"
        for key, reason in NOT_FOR_GYM.items()
        if _preset_values(request).get(key) and f"train.{key}" not in request.given
    ]


def _train_file(request: Request) -> str:
    """Returns the file of training values that the task uses by default, for the algorithm."""
    task, saved = request.task, request.saved.values if request.saved else request.tree
    algorithm = request.given.get("algorithm", saved.get("algorithm", "PPO"))
    if algorithm == "PPO":
        return task.train
    own = task.own_train(algorithm)
    return own if task.has_train(own) else f"Gym{algorithm}"


def check_engine(word: str, names: Collection[str], where: str = "sim=") -> None:
    """Refuses a word that names no engine, with the place of the word."""
    if word not in names:
        known = ", ".join(("auto", *names) if where == "sim=" else names)
        raise UsageError(
            f"{where}{shown(word)} is not an engine; allowed: {known}{nearest(word, names)}",
            key="sim" if where == "sim=" else "per_engine",
            value=word,
            allowed=names,
        )


def _for_engine(
    request: Request, folders: list[Path], name: str, given: str, engine: str
) -> dict[str, Any]:
    """Returns a file's values, with those of its section for an engine in their place."""
    values, path = request.project.read_values(folders, name, given), f"{name}.yaml"
    special = values.pop("per_engine", None) or {}
    parts = special.values() if isinstance(special, Mapping) else [special]
    if not all(part is None or isinstance(part, Mapping) for part in parts):
        said = f"{path}: per_engine must map engines to keys and values"
        raise UsageError(said, key="per_engine", value=special)
    for other in special:
        check_engine(other, request.engines, f"{path}: per_engine: ")
    return {**values, **(special.get(engine) or {})}
