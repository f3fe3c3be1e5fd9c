"""Loads functions from a user's files that are given by name in YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from rlgpu.config import absolute_function, load_function
from rlgpu.errors import UsageError

KEYS = ("own_rewards", "own_terminations", "own_events")


def has_own_functions(config: Any) -> bool:
    """Returns whether a task's settings name any."""
    return any(getattr(config, key) for key in KEYS)


def with_absolute_paths(config: Any) -> Any:
    """Returns a task's settings in which a user's functions are found from any folder.

    Raises:
        UsageError: There is no such function.
    """
    changed = {}
    for key in KEYS:
        words = getattr(config, key)
        for word in words:
            load_function(f"task.{key}", word)
        changed[key] = {absolute_function(f"task.{key}", w): x for w, x in words.items()}
    return replace(config, **changed)


def functions_by_name(key: str, words: Mapping[str, float]) -> dict[str, Callable[[Any], Any]]:
    """Returns a user's functions by name, in the order of the words.

    Args:
        key: The key that they are given for.
        words: ``path/to/file.py:function``, with a number for each.

    Raises:
        UsageError: There is no such function, or two have the same name.
    """
    found: dict[str, Callable[[Any], Any]] = {}
    for word in words:
        name = word.rpartition(":")[2]
        if name in found:
            said = f"{key}: two functions are called {name}; rename one"
            raise UsageError(said, key=key, value=word)
        found[name] = load_function(key, word)
    return found


def own_functions(key: str, words: Mapping[str, float], n: int) -> dict[str, Callable[[Any], Any]]:
    """Returns ``functions_by_name``, each checked to return a tensor of shape [N]."""
    found = functions_by_name(key, words)
    return {
        name: partial(_checked, key, word, function, n)
        for word, (name, function) in zip(words, found.items(), strict=True)
    }


def _checked(key: str, word: str, function: Callable[[Any], Any], n: int, moment: Any) -> Tensor:
    """Returns what a user's function returns, a tensor of shape [N].

    Raises:
        UsageError: It is something else.
    """
    value = function(moment)
    if isinstance(value, Tensor) and value.shape == (n,) and not value.is_complex():
        return value.float()
    found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    said = f"{key}: {word}: wanted a tensor of shape {(n,)}, got {found}"
    raise UsageError(said, key=key, value=word)
