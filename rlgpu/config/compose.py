"""Composes a checked ``Config`` from a command line and a project's files, or from a run's own.

Order: ``cfg/config.yaml``, ``cfg/task/<task>.yaml``, ``cfg/train/<train>.yaml``,
``cfg/sim/<sim>.yaml``, command line; later values override earlier ones. A task or train file may
have a section ``per_engine`` with values that apply to one engine only. Where a run is resumed,
played or repeated, its saved values take the place of the files.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_origin

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlgpu.config.idle import check_idle
from rlgpu.config.keys import Key, closest_key, keys_of, leaves, misplaced
from rlgpu.config.layers import EngineSettings, Request, check_engine, layers_below, left_out
from rlgpu.config.limits import check_fields, convert, parts_of
from rlgpu.config.old_names import RENAMED_VALUES, our_name
from rlgpu.config.project import INCLUDED, Project
from rlgpu.config.reading import ROBOT, read_value, read_words
from rlgpu.config.resolve import resolve
from rlgpu.config.saved import SavedRun, differences
from rlgpu.config.schema import Config
from rlgpu.config.task_file import check_name, find_task, is_file, is_script
from rlgpu.errors import NoEffect, UnknownKey, UsageError, first_line, line_in, shown

_CHOICES = ("task", "train", "sim")
"""Keys that choose a file."""


@dataclass(frozen=True)
class Composed:
    """A configuration ready to run."""

    config: Config
    task_class: Any
    task_word: str
    """The value of ``task=`` that finds the task again, from any folder."""
    notes: list[str] = field(default_factory=list)
    """Messages for the user about values that were adjusted."""
    given: frozenset[str] = frozenset()
    """Keys of the command line."""


def compose(
    arguments: Sequence[str],
    tasks: Mapping[str, Any],
    engines: Mapping[str, EngineSettings],
    project: Project = INCLUDED,
    saved: SavedRun | None = None,
    *,
    complete: bool = True,
) -> Composed:
    """Returns the configuration specified by a command line.

    Args:
        arguments: ``key=value`` arguments.
        tasks: Known tasks by name; classes with a dataclass ``Config``.
        engines: Known engines by name.
        project: Where the user's tasks and all YAML files are.
        saved: The run that is resumed, played or repeated, if any.
        complete: Whether a task completes its values. Without, only keys and defaults are right.

    Raises:
        UsageError: An argument, key or value is invalid.
    """
    given = read_words(arguments)
    check_words(given, project)
    tree = project.defaults()
    defaults = {name: str(tree.pop(name, "")) for name in _CHOICES}
    defaults["task"] = project.default_task(given)
    if saved:
        defaults = {"task": saved.task_word, "train": "", "sim": saved.engine()}
    words = {name: given.get(name, default) for name, default in defaults.items()}
    request = Request(
        {key: value for key, value in given.items() if key not in _CHOICES},
        tree,
        words["train"],
        find_task(words["task"], tasks, project),
        engines,
        project,
        saved,
        frozenset(given) & frozenset(_CHOICES),
    )
    candidates = _candidates(words["sim"], given.get("sim_device", "auto"), engines)
    if not complete:
        return _compose(request, candidates[0], complete=False)
    if not request.task.task_folders:  # its scene is not ours to look at
        # Scripts of Isaac Gym change the engine when their scene is built, if they have to.
        candidates = candidates[:1] if is_script(words["task"]) else candidates[-1:]
    notes: list[str] = []
    for engine in candidates:
        composed = _compose(request, engine)
        if engine == candidates[-1]:
            break
        reasons = _refusals(composed, engines[engine])
        if not reasons:
            break
        notes.append(f"sim=auto: not {engine}, because {'; '.join(reasons)}")
    return replace(composed, notes=notes + composed.notes)


def check_words(given: Mapping[str, str], project: Project) -> None:
    """Checks what can be checked without importing torch, which tasks and engines do.

    Args:
        given: Keys and values of the command line.
        project: Where YAML files are; each task and each engine has one of its name.

    Raises:
        UsageError: A key is unknown, or a value is not one that its key takes.
    """
    task, sim = given.get("task"), given.get("sim", "auto")
    if task is not None and not is_file(task):
        check_name(task, project.names("task"))
    if not re.fullmatch(r"(\w+/)?[\w.+-]{0,100}", given.get("train", "")):
        said = f"train={shown(given['train'])}: must be the name of a file in cfg/train"
        raise UsageError(said, key="train", value=given["train"])
    if sim != "auto":
        check_engine(sim, project.names("sim"))
    known = keys_of(Config)
    for key, text in given.items():
        if key in known:
            _read(known[key], text)
        elif key not in _CHOICES and not key.startswith(("task.", "sim.")):
            raise _unknown(key, known)


def _refusals(composed: Composed, engine: EngineSettings) -> list[str]:
    """Returns why an engine cannot simulate the task."""
    config = composed.config
    try:
        scene = composed.task_class(config.task).scene()
        return engine.accept(scene, config.task.timing())
    except UsageError as error:
        error.add_place(f"{composed.task_class.__name__}: its scene cannot be built")
        raise
    except (Exception, SystemExit) as error:  # whatever a user's code raises
        asset = isinstance(error, ValueError | OSError)
        file = Path(inspect.getfile(composed.task_class))
        reason = error if asset else line_in(error, file)
        raise UsageError(
            f"{composed.task_class.__name__}: its scene cannot be built: {reason}",
            key="task",
            value=composed.task_word,
        ) from error


def _compose(request: Request, engine: str, *, complete: bool = True) -> Composed:
    """Returns the configuration for one engine."""
    task, entry, given = request.task, request.engines[engine], request.given
    schemas = {"task": task.task_class.Config, "sim": entry.settings}
    base = _writable(Config)
    keys = keys_of(Config)
    for group, schema in schemas.items():
        setattr(base, group, _writable(schema))
        keys |= keys_of(schema, f"{group}.")
    for prefix, values in layers_below(request, engine):
        for key, value in leaves(values, f"{prefix}." if prefix else "", keys).items():
            _set(base, keys, key, value)
    if ROBOT in given and OmegaConf.select(base, ROBOT, default=""):
        base.task.robot = OmegaConf.structured(type(schemas["task"]().robot))  # another one
        _make_writable(base.task.robot)
    for key, text in given.items():
        _check_engine_key(key, engine, request.engines)
        if entry_of := _mapping_of(key, keys):
            name = key.removeprefix(f"{entry_of}.")
            entries = dict(OmegaConf.select(base, entry_of)) | {name: read_value(key, text)}
            _set(base, keys, entry_of, entries)
        else:
            _set(base, keys, key, _read(keys[key], text) if key in keys else text)
    try:
        config = cast(Config, OmegaConf.to_object(base))
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", None) or "")
        raise UsageError(f"the configuration is incomplete: {error}", key=key) from error
    except Exception as error:  # a task's own checks of its values
        name, file = task.task_class.__name__, Path(inspect.getfile(task.task_class))
        said = f"{name}.Config: {line_in(error, file)}"
        raise UsageError(said, key="task", value=task.word, path=file) from error
    if config.task.name != task.name:
        raise UsageError(
            f"task.name={config.task.name}: must be the class's name, {task.name}",
            key="task.name",
            value=config.task.name,
            allowed=[task.name],
        )
    explicit = set(given) | request.saved.explicit(given) if request.saved else set(given)
    config, notes = resolve(config, explicit, devices=entry.devices)
    notes = [*left_out(request), *notes]
    check_fields(config)
    if complete and hasattr(task.task_class, "completed"):
        config = replace(config, task=task.task_class.completed(config.task))
    notes += check_idle(config, given)
    if request.saved:
        notes += differences(request.saved, config)
    return Composed(config, task.task_class, task.word, notes, frozenset(given))


def _mapping_of(key: str, keys: Mapping[str, Key]) -> str:
    """Returns the key, of a mapping, one of whose entries a key names; empty if it names none."""
    group = key.rpartition(".")[0]
    while group and group not in keys:
        group = group.rpartition(".")[0]
    is_mapping = group in keys and get_origin(parts_of(keys[group].hint)[0]) is dict
    return group if is_mapping and key not in keys else ""


def _check_engine_key(key: str, engine: str, engines: Mapping[str, EngineSettings]) -> None:
    """Rejects a setting that only other engines have."""
    having = [name for name, entry in engines.items() if key in keys_of(entry.settings, "sim.")]
    if having and engine not in having:
        said = f"{key} is a setting of sim={' and '.join(having)}; this is sim={engine}"
        raise NoEffect(said, key=key, needs=f"sim={having[0]}")


def _writable(schema: type) -> DictConfig:
    """Returns a dataclass as a writable typed tree; a frozen dataclass would be read-only."""
    try:
        tree: DictConfig = OmegaConf.structured(schema)
    except OmegaConfBaseException as error:
        said = f"{schema.__name__} is not a configuration: {first_line(error)}"
        raise UsageError(said, key=schema.__name__) from error
    _make_writable(tree)
    return tree


def _make_writable(tree: DictConfig) -> None:
    OmegaConf.set_readonly(tree, False)
    for key in tree:
        node = tree._get_node(key)
        if isinstance(node, DictConfig):
            _make_writable(node)


def _candidates(
    wanted: str, sim_device: str, engines: Mapping[str, EngineSettings]
) -> tuple[str, ...]:
    """Returns the requested engine, or, for ``auto``, those to try; the last takes every model."""
    if wanted == "auto":
        import torch  # noqa: PLC0415  (slow; a refusal does not need it)

        on_gpu = sim_device.startswith("cuda") or (
            sim_device == "auto" and torch.cuda.is_available()
        )
        return ("mujoco_warp",) if on_gpu else ("fused", "mujoco")
    check_engine(wanted, engines)
    return (wanted,)


def _check_value(key: str, value: Any) -> None:
    """Refuses a value that has another name now, with that name."""
    if isinstance(value, str) and (now := RENAMED_VALUES.get((key, value))):
        raise UsageError(f"{key}={value} is called {key}={now} now", key=key, value=value)


def _read(key: Key, text: str) -> Any:
    """Returns the value that a word of the command line has for a key."""
    _check_value(key.name, text)
    kind, _ = parts_of(key.hint)
    is_text = kind is str or get_origin(kind) is Literal
    value = text if is_text else read_value(key.name, text)
    return convert(key.name, value, key.hint)


def _unknown(key: str, known: Mapping[str, Key]) -> UsageError:
    """Returns the refusal of a key that does not exist."""
    if key in _CHOICES:
        return UsageError(f"{key} chooses a file and cannot be set here", key=key)
    if old := our_name(key, known):
        said, ours = f"{shown(key)} is {old}", old.instead
        return UnknownKey(said, key=key, instead=ours, library=old.library)
    if key == ROBOT:
        said = (
            "robot=: this task has its own robot; task=Walk and task=StandUp take one from a file"
        )
        return UnknownKey(said, key=key)
    if refusal := misplaced(key, known):
        return refusal
    near = closest_key(key, [*known, *_CHOICES, "robot"])
    hint = f"; did you mean {near}?" if near else ""
    said = f"{shown(key)} is not a key of the configuration{hint}"
    return UnknownKey(said, key=key, instead=near)


def _set(base: DictConfig, keys: Mapping[str, Key], key: str, value: Any) -> None:
    if key not in keys:
        raise _unknown(key, keys)
    _check_value(key, value)
    converted = convert(key, value, keys[key].hint)
    try:
        OmegaConf.update(base, key, converted, merge=False)
    except (OmegaConfBaseException, ValueError, OverflowError) as error:
        reason = first_line(error)
        said = f"{key}={shown(value)}: {reason}"
        raise UsageError(said, key=key, value=value) from error
