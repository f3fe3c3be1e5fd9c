"""Reads command lines and YAML files, strictly: what looks odd is refused, not reinterpreted.

PyYAML reads YAML 1.1, in which ``1:30`` is 90, ``on`` is true, ``010`` is 8 and ``1e-4`` is a
text. Here numbers are decimal, only ``true`` and ``false`` are truth values, and nothing is a date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from rlgpu.config.limits import LONGEST
from rlgpu.errors import Conflict, Fault, Unreadable, first_line, shown

MOST_BYTES = 1_000_000
"""Largest YAML file that is read."""
ROBOT = "task.robot.file"
"""What ``robot=`` on the command line is short for."""
_DEEPEST = 20
"""Deepest nesting of lists and mappings."""


class _NotTaken(yaml.YAMLError):
    """Something in YAML that is not taken."""

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault: Fault = fault


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without YAML 1.1's surprises, aliases and duplicate keys."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  (PyYAML's name for the table)
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise _NotTaken("aliases (*name) are not supported", "alias")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NotTaken(f"nested more than {_DEEPEST} deep", "depth")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if not isinstance(name, str):
                raise yaml.YAMLError("a key must be a name")
            if names.count(name) > 1:
                raise _NotTaken(f"{shown(name)} is there twice", "twice")
        return super().construct_mapping(node, deep)


for tag, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*", "-+0123456789"),
    (
        "float",
        r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("float", r"[-+]?inf|nan|NaN", "-+inN"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), [*first, ""]
    )


def _construct_int(loader: _Loader, node: Any) -> int:
    return int(str(loader.construct_scalar(node)).replace("_", ""))


def _construct_float(loader: _Loader, node: Any) -> float:
    return float(
        str(loader.construct_scalar(node))
        .replace("_", "")
        .lower()
        .replace(".inf", "inf")
        .replace(".nan", "nan")
    )


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def read_words(arguments: Sequence[str]) -> dict[str, str]:
    """Returns the keys of a command line and their values as written.

    Raises:
        UsageError: An argument is not of the form ``key=value``, or a key is given twice.
    """
    given: dict[str, str] = {}
    for word in arguments:
        key, equals, value = word.partition("=")
        if not equals or not key:
            hint = f"; did you mean {shown(key.lstrip('-'))}=...?" if word.startswith("-") else ""
            raise Unreadable(
                f"{shown(word)!r} is not of the form key=value, e.g. task=Ant{hint}; "
                "--help lists the keys",
                "form",
                value=word,
            )
        if key.startswith("-"):
            bare = shown(word.lstrip("-"))
            said = f"{shown(word)!r}: options have no dashes here; write {bare}"
            raise Unreadable(said, "dashes", key=key, value=value)
        key = key.lstrip("+")
        if len(value) > LONGEST:
            said = f"{shown(key)}: the value has more than {LONGEST} characters"
            raise Unreadable(said, "size", key=key, value=value)
        if key in given:
            said = f"{shown(key)} is given twice; give it once"
            raise Unreadable(said, "twice", key=key, value=value)
        given[key] = value
    return _with_robot(_with_kwargs(given))


def _with_robot(given: dict[str, str]) -> dict[str, str]:
    """Returns a command line with ``robot=`` as the key that it is short for."""
    if "robot" not in given:
        return given
    if ROBOT in given:
        said = f"robot and {ROBOT} say the same; use one of them"
        raise Conflict(said, key="robot", value=given["robot"], other=ROBOT)
    return {ROBOT if key == "robot" else key: value for key, value in given.items()}


def _with_kwargs(given: dict[str, str]) -> dict[str, str]:
    """Returns a command line with ``env.key=value`` in ``task.kwargs``, for Gymnasium's tasks."""
    own = {key: value for key, value in given.items() if key.startswith("env.")}
    if not own or not given.get("task", "").startswith("gym:"):
        return given
    if "task.kwargs" in given:
        key = next(iter(own))
        said = f"{key} and task.kwargs say the same; use one of them"
        raise Conflict(said, key=key, value=own[key], other="task.kwargs")
    words = [f"{key.partition('.')[2]}={value}" for key, value in own.items()]
    rest = {key: value for key, value in given.items() if key not in own}
    text = yaml.dump(words, Dumper=_Dumper, default_flow_style=True, width=10 * LONGEST)
    return {**rest, "task.kwargs": text.strip()}


def read_value(key: str, text: str) -> Any:
    """Returns the value of a command line's word that is not a text.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return yaml.load(text, Loader=_Loader) if text.strip() else ""
    except (yaml.YAMLError, ValueError, RecursionError):
        said = f"{key}={shown(text)}: the value cannot be read as YAML"
        raise Unreadable(said, "syntax", key=key, value=text) from None


def read_file(path: Path) -> dict[str, Any]:
    """Returns the content of a YAML file, a mapping.

    Raises:
        UsageError: It cannot be opened, is too large, is not YAML or is not a mapping.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            said = f"{path} has more than {MOST_BYTES} bytes; that is no configuration"
            raise Unreadable(said, "size", path=path)
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        said = f"{path} cannot be read: {error.strerror}"
        raise Unreadable(said, "missing", path=path) from error
    except UnicodeDecodeError as error:
        said = f"{path} is not a text file in UTF-8"
        raise Unreadable(said, "encoding", path=path) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        fault = error.fault if isinstance(error, _NotTaken) else "syntax"
        said = f"{path} is not valid YAML: {_where(error)}"
        raise Unreadable(said, fault, path=path) from error
    if content is not None and not isinstance(content, dict):
        said = f"{path} must be a mapping of keys to values, such as `name: Ant`"
        raise Unreadable(said, "mapping", path=path)
    return content or {}


def read_each_once() -> Callable[[Path], dict[str, Any]]:
    """Returns a ``read_file`` that opens each file once; every call returns another copy."""
    contents: dict[Path, dict[str, Any]] = {}

    def read(path: Path) -> dict[str, Any]:
        if path not in contents:
            contents[path] = read_file(path)
        return deepcopy(contents[path])

    return read


class _Dumper(yaml.SafeDumper):
    """Quotes every text that ``_Loader`` would read as something else; has no aliases."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def yaml_text(values: dict[str, Any]) -> str:
    """Returns values as YAML from which ``read_file`` returns the same values."""
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def _where(error: Exception) -> str:
    """Returns what a YAML error complains about, with its line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or first_line(error)
    return f"line {mark.line + 1}: {problem}" if mark else problem
