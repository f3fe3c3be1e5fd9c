"""Turns a command line and the files of ``cfg/`` into a checked ``Config``.

Order: ``cfg/config.yaml``, ``cfg/task/<task>.yaml``, ``cfg/train/<train>.yaml``,
``cfg/sim/<sim>.yaml``, command line; the last word wins. A task or train file may have a section
``per_engine`` with values that one engine wants instead.
"""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlgpu.config import Config, minibatch_split
from rlgpu.errors import UsageError, nearest
from rlgpu.isaacgymenvs_keys import our_key
from rlgpu.sim import ENGINES, GPU_ENGINES
from rlgpu.task import Task

PLAY_NUM_ENVS = 16
"""Environments when playing, unless the command line says otherwise."""


@dataclass(frozen=True)
class Composed:
    """A configuration ready to run."""

    config: Config
    task_class: type[Task]
    task_word: str
    """What ``task=`` was given, to be shown in commands."""
    notes: list[str] = field(default_factory=list)
    """What was adapted, in sentences for the user."""


def compose(arguments: Sequence[str], tasks: Mapping[str, type[Task]], cfg: Path) -> Composed:
    """Returns the configuration that a command line asks for.

    Args:
        arguments: ``key=value`` words.
        tasks: Known tasks by name.
        cfg: Folder of the YAML files.

    Raises:
        UsageError: A word, key or value cannot be accepted.
    """
    given = _parse(arguments)
    tree = _load(cfg / "config.yaml")
    chosen = {name: str(given.pop(name, tree.pop(name, ""))) for name in ("task", "train", "sim")}
    task_name, task_class, folders = _find_task(chosen["task"], tasks, cfg)
    engine = _choose_engine(chosen["sim"], str(given.get("sim_device", "auto")))
    train_name = chosen["train"] or f"{task_name}PPO"

    base = OmegaConf.structured(Config)
    base.task = OmegaConf.structured(task_class.Config)
    layers = [
        ("", tree),
        ("task", _for_engine(_load(folders["task"] / f"{task_name}.yaml"), engine)),
        ("train", _for_engine(_load(folders["train"] / f"{train_name}.yaml", "train"), engine)),
        ("sim", _load(cfg / "sim" / f"{engine}.yaml")),
    ]
    for prefix, values in layers:
        for key, value in values.items():
            _set(base, f"{prefix}.{key}" if prefix else key, value)
    for key, value in given.items():
        _set(base, key, value)
    try:
        config = cast(Config, OmegaConf.to_object(base))
    except OmegaConfBaseException as error:
        raise UsageError(f"the configuration is incomplete: {error}") from error
    notes = _resolve(config, given)
    return Composed(config, task_class, chosen["task"], notes)


def _choose_engine(wanted: str, sim_device: str) -> str:
    """Returns the engine asked for, or, for ``auto``, the one that the device is for."""
    if wanted == "auto":
        on_gpu = sim_device.startswith("cuda") or (
            sim_device == "auto" and torch.cuda.is_available()
        )
        return "mujoco_warp" if on_gpu else "mujoco"
    if wanted not in ENGINES:
        known = ", ".join(("auto", *ENGINES))
        raise UsageError(
            f"sim={wanted} is not an engine; allowed: {known}{nearest(wanted, ENGINES)}"
        )
    return wanted


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
    """YAML that reads 1e-4 as a number, as everybody means it."""


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


def _find_task(
    name: str, tasks: Mapping[str, type[Task]], cfg: Path
) -> tuple[str, type[Task], dict[str, Path]]:
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


def _import_task(file: Path, class_name: str) -> type[Task]:
    if not file.is_file() or not class_name:
        raise UsageError(f"task={file}:{class_name}: wanted an existing file.py:ClassName")
    spec = importlib.util.spec_from_file_location(file.stem, file.resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise UsageError(f"{file} has no class {class_name} that derives from rlgpu.task.Task")
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


def _resolve(config: Config, given: Mapping[str, Any]) -> list[str]:
    """Fills in what depends on the rest and refuses what cannot work; returns notes."""
    if "num_envs" not in given:
        config.num_envs = PLAY_NUM_ENVS if config.test else config.task.num_envs
    if "max_iterations" not in given:
        config.max_iterations = config.train.max_iterations
    for key in ("num_envs", "max_iterations", "games", "capture_video_freq", "capture_video_len"):
        _at_least(key, getattr(config, key), 1)
    for key in ("horizon_length", "num_epochs", "minibatch_size", "save_interval"):
        _at_least(f"train.{key}", getattr(config.train, key), 1)
    for key in ("gamma", "gae_lambda"):
        if not 0.0 <= getattr(config.train, key) <= 1.0:
            raise UsageError(f"train.{key}={getattr(config.train, key)}: must be from 0 to 1")
    _at_least("train.learning_rate", config.train.learning_rate, 0)
    for key in ("num_threads", "nconmax", "njmax"):
        _at_least(f"sim.{key}", getattr(config.sim, key), 0)
    _at_least("seed", config.seed, -1)
    _resolve_devices(config)
    if config.seed == -1:
        config.seed = 42 if config.torch_deterministic else random.SystemRandom().randrange(10000)
    return _resolve_minibatches(config, "train.minibatch_size" in given)


def _at_least(key: str, value: float, low: float) -> None:
    if value < low:
        raise UsageError(f"{key}={value}: must be at least {low}")


def _resolve_devices(config: Config) -> None:
    on_gpu = config.sim.engine in GPU_ENGINES
    if config.sim_device == "auto":
        if on_gpu and not torch.cuda.is_available():
            raise UsageError(
                f"sim={config.sim.engine}: it runs on an NVIDIA GPU and torch sees none "
                f"(torch {torch.__version__}); use sim=mujoco, or sim_device=cpu for Warp's slow "
                "CPU device"
            )
        config.sim_device = "cuda:0" if on_gpu else "cpu"
    if config.rl_device == "auto":
        config.rl_device = config.sim_device
    for key in ("sim_device", "rl_device"):
        wanted = getattr(config, key)
        try:
            device = torch.device(wanted)
        except RuntimeError as error:
            raise UsageError(f"{key}={wanted}: wanted auto, cpu or cuda:N") from error
        if device.type not in ("cpu", "cuda"):
            raise UsageError(f"{key}={wanted}: wanted auto, cpu or cuda:N")
        if wanted == "cuda":
            setattr(config, key, "cuda:0")
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            raise UsageError(
                f"{key}={wanted}: this machine offers torch {count} CUDA devices; "
                f"use {key}=cpu, or install an NVIDIA driver and a CUDA build of torch"
            )
    if torch.device(config.sim_device).type != "cpu" and not on_gpu:
        raise UsageError(
            f"sim_device={config.sim_device}: sim={config.sim.engine} runs on the CPU; "
            "use sim_device=cpu (rl_device may still be a GPU), or sim=mujoco_warp"
        )


def _resolve_minibatches(config: Config, explicit: bool) -> list[str]:
    batch_size = config.train.horizon_length * config.num_envs
    wanted = config.train.minibatch_size
    if config.test:
        return []
    if explicit and wanted > batch_size:
        raise UsageError(
            f"train.minibatch_size={wanted} is larger than the batch of {batch_size} rows "
            f"(train.horizon_length={config.train.horizon_length} x num_envs={config.num_envs}); "
            f"use at most {batch_size}"
        )
    size = batch_size // minibatch_split(batch_size, wanted)
    config.train.minibatch_size = size
    if size == wanted:
        return []
    return [f"train.minibatch_size {wanted} became {size}, which divides the {batch_size} rows"]
