"""Builds the environments that ``task=isaacgym:...`` and its like name.

- ``isaacgymenvs:Ant``: a task of the importable package isaacgymenvs, by its own configuration.
- ``legged_gym:anymal_c_flat``: a task of legged_gym's registry.
- ``isaacgym:path/to/file.py:Class``: a class in a file, with a configuration beside it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import OmegaConf

from rlgpu.config.files import load_module
from rlgpu.device import generator_seed
from rlgpu.envs import Environments, TaskConfig
from rlgpu.errors import NoEffect, Unreadable, UsageError, first_line, line_in, usable_path
from rlgpu.foreign.isaacgym.env import ScriptEnv, seed_scripts
from rlgpu.foreign.task import UNUSED, EnvRequest, ForeignTask, foreign_task
from rlgpu.isaacgym.runner.compatibility import placeholders
from rlgpu.isaacgym.runner.installation import install


@dataclass(frozen=True)
class ScriptTaskConfig(TaskConfig):
    """Settings of a task written for Isaac Gym; it has a configuration of its own."""

    unused: ClassVar[tuple[str, ...]] = UNUSED
    overrides: tuple[str, ...] = ()
    """``key=value`` for the task's own configuration, such as ``env.episodeLength=500``."""
    episode_length: int = 1000
    """Used where the task itself does not say."""


Builder = Callable[[EnvRequest], Any]
"""Builds the object of the script's class."""


def script_task(word: str) -> type[ForeignTask]:
    """Returns the task that a word such as ``isaacgymenvs:Ant`` names.

    Its environments run on MuJoCo C, and a remark says why, if the engine is fused and does not
    cover their scene. On a machine without a GPU, the CPU takes the place of CUDA.

    Raises:
        UsageError: It is no such word.
    """
    kind, _, rest = word.partition(":")
    build = {"isaacgymenvs": _isaacgymenvs, "legged_gym": _legged_gym, "isaacgym": _file}[kind](
        rest
    )

    def make(request: EnvRequest) -> Environments:
        engine = "auto" if request.engine == "fused" else request.engine
        gym = install(engine=engine, without_gpu="cpu")
        request = request._replace(seed=generator_seed(request.seed))
        seed_scripts(request.seed)
        with _explained(word), placeholders(gym.notes):
            return ScriptEnv(build(request), request.config)

    return foreign_task(ScriptTaskConfig, make)


@contextlib.contextmanager
def _explained(word: str) -> Iterator[None]:
    try:
        yield
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        raise UsageError(
            f"task={word}: {error}; install it, or put the folder that holds it on PYTHONPATH",
            key="task",
            value=word,
        ) from error
    except (Exception, SystemExit) as error:
        said = f"task={word}: {first_line(error)}"
        raise UsageError(said, key="task", value=word) from error


def _override(tree: Any, overrides: Iterable[str]) -> None:
    for text in overrides:
        key, equals, value = text.partition("=")
        if _chooses_file(text):
            said = (
                f"task.overrides: {text}: only tasks of isaacgymenvs choose files, and they need "
                "hydra-core; install it, or set the keys of the task's configuration"
            )
            raise UsageError(said, key="task.overrides", value=text)
        if not equals or OmegaConf.select(tree, key) is None:
            said = f"task.overrides: {text}: the task's configuration has no such key"
            raise UsageError(said, key="task.overrides", value=text)
        OmegaConf.update(tree, key, OmegaConf.from_dotlist([f"value={value}"])["value"])


def _chooses_file(override: str) -> bool:
    """Returns whether an override such as ``task/env=throw`` chooses a file, as Hydra reads it."""
    return "/" in override.partition("=")[0]


def _isaacgymenvs(name: str) -> Builder:
    def build(request: EnvRequest) -> Any:
        package = _package("isaacgymenvs")
        tasks = importlib.import_module("isaacgymenvs.tasks").isaacgym_task_map
        folder = Path(str(package.__file__)).parent / "cfg"
        file = _file_of_task(folder / "task", name)
        known = file and OmegaConf.select(OmegaConf.load(file), "name", default=file.stem)
        if file is None or known not in tasks:
            raise _unknown_task(f"isaacgymenvs:{name}", tasks)
        if importlib.util.find_spec("hydra") is None:
            return _from_yaml(tasks[known], file, request)
        return _from_hydra(tasks[known], folder, file, request)

    return build


def _file_of_task(folder: Path, name: str) -> Path | None:
    """Returns the configuration that is called like a task, or says that it is the task's."""
    own = folder / f"{name}.yaml"
    others = (file for file in sorted(folder.glob("*.yaml")) if _has_name(file, name))
    return own if own.is_file() else next(others, None)


def _has_name(file: Path, name: str) -> bool:
    return any(line.split() == ["name:", name] for line in file.read_text().splitlines())


def _from_hydra(task: Any, folder: Path, file: Path, request: EnvRequest) -> Any:
    """Builds a task from its configuration and the files that this one includes.

    Some tasks compose further files while they are built, so Hydra stays initialised.
    """
    hydra = importlib.import_module("hydra")
    chosen = [text for text in request.config.overrides if _chooses_file(text)]
    others = [text for text in request.config.overrides if not _chooses_file(text)]
    words = [f"{key}={value}" for key, value in _settings(request).items() if value != ""]
    with hydra.initialize_config_dir(str(folder.resolve()), version_base="1.1"):
        tree = hydra.compose("config", overrides=[f"task={file.stem}", *words, *chosen])
        OmegaConf.set_struct(tree, False)
        _override(tree.task, others)
        return _built(task, tree, request)


def _unknown_task(word: str, known: Mapping[str, Any]) -> UsageError:
    """Returns the refusal of a task that a library does not have."""
    said = f"task={word}: there is no such task; there are {', '.join(known)}"
    return UsageError(said, key="task", value=word, allowed=known)


def _package(name: str) -> Any:
    """Imports a package that no placeholder may stand in for."""
    if importlib.machinery.PathFinder.find_spec(name) is None:
        raise ModuleNotFoundError(f"there is no package {name}", name=name)
    return importlib.import_module(name)


def _from_yaml(task: Any, file: Path, request: EnvRequest) -> Any:
    """Builds a task of IsaacGymEnvs' kind from its YAML file."""
    if not file.is_file():
        said = f"{task.__name__} needs its configuration in {file}"
        raise Unreadable(said, "missing", key="task", value=task.__name__, path=file)
    resolvers: Mapping[str, Callable[..., Any]] = {
        "eq": lambda x, y: str(x).lower() == str(y).lower(),
        "contains": lambda x, y: str(x).lower() in str(y).lower(),
        "if": lambda condition, a, b: a if condition else b,
        "resolve_default": lambda default, given: default if given == "" else given,
    }
    for name, function in resolvers.items():
        OmegaConf.register_resolver(name, function, replace=True)
    tree = OmegaConf.create(
        {"task_name": task.__name__, **_settings(request), "task": OmegaConf.load(file)}
    )
    _override(tree.task, request.config.overrides)
    return _built(task, tree, request)


def _settings(request: EnvRequest) -> dict[str, Any]:
    """Returns what IsaacGymEnvs' command line sets."""
    device = _indexed(request)
    return {
        "num_envs": request.num_envs,
        "seed": request.seed,
        "physics_engine": "physx",
        "pipeline": "gpu" if device.startswith("cuda") else "cpu",
        "sim_device": device,
        "rl_device": str(request.device),
        "graphics_device_id": -1,
        "num_threads": 0,
        "solver_type": 1,
        "num_subscenes": 0,
        "test": False,
        "checkpoint": "",
        "headless": True,
        "multi_gpu": False,
    }


def _indexed(request: EnvRequest) -> str:
    """Returns the device with its index, which some tasks read from its name."""
    device = request.device
    return f"{device.type}:{device.index or 0}"


def _built(task: Any, tree: Any, request: EnvRequest) -> Any:
    """Builds a task from its composed configuration."""
    OmegaConf.update(tree.task, "env.numEnvs", request.num_envs)  # some files fix it
    settings = OmegaConf.to_container(tree.task, resolve=True)
    # IsaacGymEnvs hands out one simulation for ever, as Isaac Gym allows only one.
    if base := sys.modules.get("isaacgymenvs.tasks.base.vec_task"):
        vars(base)["EXISTING_SIM"] = None
    return task(
        cfg=settings,
        rl_device=str(request.device),
        sim_device=_indexed(request),
        graphics_device_id=-1,
        headless=True,
        virtual_screen_capture=False,
        force_render=False,
    )


def _legged_gym(name: str) -> Builder:
    def build(request: EnvRequest) -> Any:
        overrides, device = request.config.overrides, str(request.device)
        if overrides:
            said = "task.overrides: legged_gym's tasks are configured by their classes"
            raise NoEffect(said, key="task.overrides", value=overrides, needs="task")
        words = ["legged_gym", "--task", name, "--headless", "--num_envs", str(request.num_envs),
                 "--sim_device", device, "--rl_device", device,
                 "--seed", str(request.seed)]  # fmt: skip
        _package("legged_gym")
        importlib.import_module("legged_gym.envs")
        utils = importlib.import_module("legged_gym.utils")
        registered = utils.task_registry.task_classes
        if name not in registered:
            raise _unknown_task(f"legged_gym:{name}", registered)
        given, sys.argv = sys.argv, words
        try:
            return utils.task_registry.make_env(name=name, args=utils.get_args())[0]
        finally:
            sys.argv = given

    return build


def _file(rest: str) -> Builder:
    path, _, class_name = rest.rpartition(":")
    file = usable_path("task", path)
    if not file.is_file() or not class_name.isidentifier():
        said = f"task=isaacgym:{rest}: wanted isaacgym:path/to/file.py:Class"
        raise Unreadable(said, "missing", key="task", value=f"isaacgym:{rest}", path=file)

    def build(request: EnvRequest) -> Any:
        task = getattr(_imported(file), class_name, None)
        if not isinstance(task, type):
            said = f"task=isaacgym:{rest}: the file has no class {class_name}"
            raise UsageError(said, key="task", value=f"isaacgym:{rest}", path=file)
        folder = file.resolve().parent
        beside = [
            folder / f"{class_name}.yaml",
            folder.parent / "cfg" / "task" / f"{class_name}.yaml",
        ]
        found = next((option for option in beside if option.is_file()), beside[0])
        return _from_yaml(task, found, request)

    return build


def _imported(file: Path) -> Any:
    """Returns the module of a file; what lies beside it, and its package, can be imported."""
    try:
        return load_module(file)
    except ModuleNotFoundError:
        raise
    except Exception as error:
        said = f"task=isaacgym:{file}: {line_in(error, file)}"
        raise UsageError(said, key="task", value=f"isaacgym:{file}", path=file) from error
