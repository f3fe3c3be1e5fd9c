"""Finds a task's class: by name among those included, or in a user's own file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rlgpu.config.files import load_module
from rlgpu.config.keys import keys_of
from rlgpu.config.limits import Range
from rlgpu.config.project import Project, class_in, classes_in, find_values
from rlgpu.errors import (
    Fault,
    Unreadable,
    UsageError,
    first_line,
    line_in,
    list_some,
    nearest,
    shown,
    usable_path,
)

FOREIGN = {
    "isaacgym": "IsaacGymPPO",
    "isaacgymenvs": "IsaacGymPPO",
    "legged_gym": "IsaacGymPPO",
    "gym": "GymPPO",
}
"""What ``task=`` begins with, before a colon, for environments that are not ours, and the file of
training values for those that have none of their own name."""


class FoundTask(NamedTuple):
    """A task's class and where its YAML files may be."""

    name: str
    task_class: Any
    task_folders: list[Path]
    """Empty for a task that has a configuration of its own."""
    train_folders: list[Path]
    word: str
    """What ``task=`` must be to find it again from any folder."""
    train: str
    """The file of training values that it uses by default, for PPO."""

    def own_train(self, algorithm: str) -> str:
        """Returns the name of the task's own file of training values."""
        name = f"gym/{self.name.removeprefix('gym_')}" if is_gym(self.word) else self.name
        return f"{name}{algorithm}"

    def has_train(self, name: str) -> bool:
        """Returns whether there is a file of training values of a name."""
        return find_values(self.train_folders, name) is not None


def find_task(word: str, tasks: Mapping[str, Any], project: Project) -> FoundTask:
    """Returns the task that ``task=`` names.

    Args:
        word: A name, or ``path/to/file.py:Class``.
        tasks: The tasks that come with rlgpu, and other people's environments.
        project: Where the user's tasks and all YAML files are.

    Raises:
        UsageError: There is no such task, or its file or class cannot be used.
    """
    values = [folder / "task" for folder in project.cfg]
    trains = [folder / "train" for folder in project.cfg]
    if is_foreign(word):
        kind, _, rest = word.partition(":")
        if rest.endswith(".py"):
            raise _without_class(word, usable_path("task", rest))
        if ":" in rest:
            path, _, class_name = rest.rpartition(":")
            word = f"{kind}:{usable_path('task', path).resolve()}:{class_name}"
        found = FoundTask(task_name(word), tasks[word], [], trains, word, FOREIGN[kind])
        own = found.own_train("PPO")
        return found._replace(train=own) if found.has_train(own) else found
    if is_file(word):
        path, _, class_name = word.rpartition(":") if ":" in word else (word, "", "")
        file = usable_path("task", path)
        task_class = _import_class(file, class_name)
        folder = file.resolve().parent
        name = f"{file.resolve()}:{class_name}"
        # Its values are beside it, or in the project that it is in.
        beside = [folder, *values], [folder, *trains]
        return FoundTask(class_name, task_class, *beside, name, f"{class_name}PPO")
    train = f"{word}PPO"
    if own_file := project.own_task(word):
        name = f"{own_file}:{word}"
        return FoundTask(word, _import_class(own_file, word), values, trains, name, train)
    check_name(word, [*tasks, *project.own_tasks()])
    return FoundTask(word, tasks[word], values, trains, word, train)


def is_file(word: str) -> bool:
    """Returns whether ``task=`` names code of the user's, not one of the tasks included."""
    return ":" in word or word.endswith(".py")


def is_script(word: str) -> bool:
    """Returns whether a task is written for Isaac Gym, such as ``isaacgymenvs:Ant``."""
    return is_foreign(word) and not is_gym(word)


def is_foreign(word: str) -> bool:
    """Returns whether ``task=`` names an environment that is not ours."""
    kind, colon, _ = word.partition(":")
    return bool(colon) and kind in FOREIGN


def is_gym(word: str) -> bool:
    """Returns whether ``task=`` names an environment of Gymnasium, which no engine simulates."""
    return word.startswith("gym:")


def task_name(word: str) -> str:
    """Returns the name of the task that ``task=`` names, which also names its runs."""
    name = word.rpartition(":")[2]
    return f"{word.partition(':')[0]}_{name}" if is_foreign(word) else name


def check_name(word: str, names: Collection[str]) -> None:
    """Checks that a name is one of the tasks included.

    Raises:
        UsageError: It is not.
    """
    if word not in names:
        known = ", ".join(sorted(names))
        own = class_in(Path.cwd(), word) if word.isidentifier() else ""
        hint = f"; did you mean task={own}?" if own else nearest(word, names)
        raise UsageError(
            f"task={word} is not a task; allowed: {known}, or path/to/file.py:Class{hint}",
            key="task",
            value=word,
            allowed=[*names, *([own] if own else [])],
        )


def _without_class(word: str, file: Path) -> UsageError:
    """Returns the refusal of a file of which no class is named."""
    if not file.is_file():
        said = f"task={word}: there is no file {file}; wanted an existing file.py:Class"
        return Unreadable(said, "missing", key="task", value=word, path=file)
    classes = classes_in(file)
    example = f", e.g. task={word}:{classes[-1]}" if classes else ""
    has = f"it has {list_some(classes)}" if classes else "it has none that extends another"
    return UsageError(
        f"task={word}: which of the file's classes? {has}; add :Class{example}",
        key="task",
        value=word,
        allowed=[f"{word}:{name}" for name in classes],
        path=file,
    )


def _import_class(file: Path, class_name: str) -> Any:
    given = f"{file}:{class_name}" if class_name else str(file)
    if file.suffix == ".py" and not class_name:
        raise _without_class(str(file), file)
    if not file.is_file() or not class_name.isidentifier():
        fault: Fault = "form" if file.is_file() else "missing"
        said = f"task={given}: wanted an existing file.py:ClassName; task= also finds a moved one"
        raise Unreadable(said, fault, key="task", value=given, path=file)
    if file.suffix != ".py":
        said = f"task={given}: wanted a Python file, with a name that ends in .py"
        raise Unreadable(said, "form", key="task", value=given, path=file)
    try:
        module = load_module(file)
    except (Exception, SystemExit) as error:
        said = f"task={file}: {line_in(error, file)}"
        raise UsageError(said, key="task", value=given, path=file) from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        classes = [name for name, x in vars(module).items() if _is_task(x) and "Config" in dir(x)]
        has = f"it has {', '.join(classes)}" if classes else "it has no task"
        raise UsageError(
            f"task={given}: the file has no class {class_name}; {has}",
            key="task",
            value=given,
            allowed=[f"{file}:{name}" for name in classes],
            path=file,
        )
    _check_class(file, found)
    return found


def _is_task(found: Any) -> bool:
    return isinstance(found, type) and any(base.__name__ == "Task" for base in found.__mro__[1:])


def _check_class(file: Path, found: type) -> None:
    """Checks that a class is a complete task."""
    given, name = f"task={file}:{found.__name__}", found.__name__
    if not _is_task(found):
        said, task = f"{given}: {name} does not derive from rlgpu.envs.Task", "rlgpu.envs.Task"
        raise UsageError(said, key=name, allowed=[task], path=file)
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        said = f"{given}: {name} lacks {', '.join(missing)}"
        raise UsageError(said, key=f"{name}.{missing[0]}", path=file)
    config = getattr(found, "Config", None)
    bases = [base.__name__ for base in getattr(config, "__mro__", ())]
    if not (isinstance(config, type) and is_dataclass(config) and "TaskConfig" in bases):
        said = f"{given}: {name}.Config={shown(config)}: must be rlgpu.envs.TaskConfig or extend it"
        wanted = "rlgpu.envs.TaskConfig"
        raise UsageError(said, key=f"{name}.Config", value=config, allowed=[wanted], path=file)
    try:
        keys_of(config)
    except Exception as error:
        said = f"{given}: {name}.Config: {first_line(error)}"
        raise UsageError(said, key=f"{name}.Config", value=config, path=file) from error
    says_later = any("__init__" in vars(base) for base in found.__mro__ if _is_task(base))
    for number in () if says_later else ("num_observations", "num_actions"):
        value, key = getattr(found, number, None), f"{name}.{number}"
        if not isinstance(value, int) or value < 1:
            said = f"{given}: {key} must be a whole number from 1 on, got {value}"
            raise UsageError(said, key=key, value=value, allowed=[Range(1)], path=file)
