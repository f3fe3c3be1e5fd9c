"""Composes a checked ``Config`` from a command line and the files in ``cfg/``.

Order: ``cfg/config.yaml``, ``cfg/task/<task>.yaml``, ``cfg/train/<train>.yaml``,
``cfg/sim/<sim>.yaml``, command line; later values override earlier ones. A task or train file may
have a section ``per_engine`` with values that apply to one engine only.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import torch
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlgpu.config.isaacgymenvs_keys import our_key
from rlgpu.config.resolve import resolve
from rlgpu.config.schema import Config
from rlgpu.errors import UsageError, nearest


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


@dataclass(frozen=True)
class Composed:
    """A configuration ready to run."""

    config: Config
    task_class: Any
    task_word: str
    """The value of ``task=`` as given, for showing commands to the user."""
    notes: list[str] = field(default_factory=list)
    """Messages for the user about values that were adjusted."""


class _Request(NamedTuple):
    """What the user asked for, and where to find it."""

    given: Mapping[str, Any]
    """Keys and values of the command line."""
    tree: Mapping[str, Any]
    """Contents of ``cfg/config.yaml``."""
    chosen: Mapping[str, str]
    """The words given for ``task`` and ``train``."""
    tasks: Mapping[str, Any]
    engines: Mapping[str, EngineSettings]
    cfg: Path


def compose(
    arguments: Sequence[str],
    tasks: Mapping[str, Any],
    engines: Mapping[str, EngineSettings],
    cfg: Path,
) -> Composed:
    """Returns the configuration specified by a command line.

    Args:
        arguments: ``key=value`` arguments.
        tasks: Known tasks by name; classes with a dataclass ``Config``.
        engines: Known engines by name.
        cfg: Folder of the YAML files.

    Raises:
        UsageError: An argument, key or value is invalid.
    """
    given = _parse(arguments)
    tree = _load(cfg / "config.yaml")
    chosen = {name: str(given.pop(name, tree.pop(name, ""))) for name in ("task", "train", "sim")}
    candidates = _candidates(chosen["sim"], str(given.get("sim_device", "auto")), engines)
    request = _Request(given, tree, chosen, tasks, engines, cfg)
    notes: list[str] = []
    for engine in candidates:
        composed = _compose(request, engine)
        if engine == candidates[-1]:
            break
        config = composed.config
        scene = composed.task_class(config.task).scene()
        try:
            reasons = engines[engine].accept(scene, config.task.timing())
        except (OSError, ValueError) as error:
            raise UsageError(
                f"task={composed.task_word}: its scene cannot be built: {error}"
            ) from error
        if not reasons:
            break
        notes.append(f"sim=auto: not {engine}, because {'; '.join(reasons)}")
    return replace(composed, notes=notes + composed.notes)


def _compose(request: _Request, engine: str) -> Composed:
    """Returns the configuration for one engine."""
    given, engines, cfg = request.given, request.engines, request.cfg
    task_name, task_class, folders = _find_task(request.chosen["task"], request.tasks, cfg)
    train_name = request.chosen["train"] or f"{task_name}PPO"
    base = _writable(Config)
    base.task = _writable(task_class.Config)
    base.sim = _writable(engines[engine].settings)
    layers = [
        ("", request.tree),
        ("task", _for_engine(_load(folders["task"] / f"{task_name}.yaml"), engine)),
        ("train", _for_engine(_load(folders["train"] / f"{train_name}.yaml", "train"), engine)),
        ("sim", _load(cfg / "sim" / f"{engine}.yaml")),
    ]
    for prefix, values in layers:
        for key, value in values.items():
            _set(base, f"{prefix}.{key}" if prefix else key, value)
    for key, value in given.items():
        _check_engine_key(key, engine, engines)
        _set(base, key, value)
    try:
        config = cast(Config, OmegaConf.to_object(base))
    except OmegaConfBaseException as error:
        raise UsageError(f"the configuration is incomplete: {error}") from error
    config, notes = resolve(config, given, devices=engines[engine].devices)
    return Composed(config, task_class, request.chosen["task"], notes)


def _check_engine_key(key: str, engine: str, engines: Mapping[str, EngineSettings]) -> None:
    """Rejects a setting that only other engines have."""
    having = [
        name
        for name, entry in engines.items()
        if key in {f"sim.{field.name}" for field in fields(entry.settings)}
    ]
    if having and engine not in having:
        raise UsageError(f"{key} is a setting of sim={' and '.join(having)}; this is sim={engine}")


def _writable(schema: type) -> DictConfig:
    """Returns a dataclass as a writable typed tree; a frozen dataclass would be read-only."""
    tree: DictConfig = OmegaConf.structured(schema)
    for node in (tree, *(tree._get_node(key) for key in tree)):
        if isinstance(node, DictConfig):
            OmegaConf.set_readonly(node, False)
    return tree


def _candidates(
    wanted: str, sim_device: str, engines: Mapping[str, EngineSettings]
) -> tuple[str, ...]:
    """Returns the requested engine, or, for ``auto``, those to try; the last takes every model."""
    if wanted == "auto":
        on_gpu = sim_device.startswith("cuda") or (
            sim_device == "auto" and torch.cuda.is_available()
        )
        return ("mujoco_warp",) if on_gpu else ("fused", "mujoco")
    if wanted not in engines:
        known = ", ".join(("auto", *engines))
        raise UsageError(
            f"sim={wanted} is not an engine; allowed: {known}{nearest(wanted, engines)}"
        )
    return (wanted,)


def _parse(arguments: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for word in arguments:
        key, equals, value = word.partition("=")
        if not equals or not key:
            hint = f"; did you mean {key.lstrip('-')}=...?" if word.startswith("-") else ""
            raise UsageError(f"{word!r} is not of the form key=value, e.g. task=Ant{hint}")
        if key.startswith("-"):
            raise UsageError(f"{word!r}: options have no dashes here; write {word.lstrip('-')}")
        try:
            given[key.lstrip("+")] = yaml.load(value, Loader=_Loader) if value else ""
        except yaml.YAMLError as error:
            raise UsageError(f"{word!r}: the value cannot be read as YAML") from error
    return given


class _Loader(yaml.SafeLoader):
    """A YAML loader that reads 1e-4 as a number; PyYAML's default is to read a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*\.?[0-9_]*[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _load(path: Path, group: str = "") -> dict[str, Any]:
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        given = f"{group}={path.stem}: " if group else ""
        raise UsageError(
            f"{given}there is no file {path}; {path.parent} has {', '.join(known) or 'none'}"
            f"{nearest(path.stem, known)}"
        )
    content = yaml.load(path.read_text(), Loader=_Loader)
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"{path} must be a mapping of keys to values")
    return content or {}


def _find_task(name: str, tasks: Mapping[str, Any], cfg: Path) -> tuple[str, Any, dict[str, Path]]:
    """Returns a task's name, its class and the folders of its YAML files."""
    if ":" in name or name.endswith(".py"):
        file, _, class_name = name.partition(":")
        task_class = _import_task(Path(file), class_name)
        folder = Path(file).resolve().parent
        return task_class.__name__, task_class, {"task": folder, "train": folder}
    if name not in tasks:
        known = ", ".join(sorted(tasks))
        raise UsageError(
            f"task={name} is not a task; allowed: {known}, or path/to/file.py:Class"
            f"{nearest(name, tasks)}"
        )
    return name, tasks[name], {"task": cfg / "task", "train": cfg / "train"}


def _import_task(file: Path, class_name: str) -> Any:
    if not file.is_file() or not class_name:
        raise UsageError(f"task={file}:{class_name}: wanted an existing file.py:ClassName")
    spec = importlib.util.spec_from_file_location(file.stem, file.resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their module by name.
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and is_dataclass(getattr(found, "Config", None))):
        raise UsageError(
            f"{file} has no class {class_name} that derives from rlgpu.envs.Task and has a Config"
        )
    return found


def _for_engine(values: dict[str, Any], engine: str) -> dict[str, Any]:
    special = values.pop("per_engine", None) or {}
    return {**values, **(special.get(engine) or {})}


def _set(base: DictConfig, key: str, value: Any) -> None:
    known = _leaves(base)
    if key not in known:
        if renamed := our_key(key):
            raise UsageError(f"{key} is IsaacGymEnvs' name: {renamed}")
        groups = [group for group in ("task", "train", "sim") if key == group]
        hint = nearest(key, known) or nearest(key.rpartition(".")[2], known)
        if groups:
            hint = f"; {key} chooses a file and cannot be set here"
        raise UsageError(f"{key} is not a key of the configuration{hint}")
    try:
        OmegaConf.update(base, key, value)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{key}={value}: {reason}") from error


def _leaves(node: DictConfig, prefix: str = "") -> list[str]:
    keys: list[str] = []
    for key in map(str, node):
        child = node._get_node(key)
        if isinstance(child, DictConfig):
            keys += _leaves(child, f"{prefix}{key}.")
        else:
            keys.append(f"{prefix}{key}")
    return keys
