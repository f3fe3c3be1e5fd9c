"""Reads the command lines of benchmarks: ``key=value``, or ``--key value``, and other words."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, NoReturn

__all__ = ["CommandLine", "read_command_line", "refuse"]

_KEY_VALUE = re.compile(r"(?:--)?([\w.-]+)=(.*)", re.DOTALL)


class CommandLine(NamedTuple):
    """Words of a command line, by kind."""

    options: dict[str, Any]
    """Values by name, of the types of their defaults."""
    others: list[str]
    """The other words, in order."""


def read_command_line(
    arguments: Sequence[str],
    defaults: Mapping[str, Any],
    usage: str | None,
    *,
    others: Literal["none", "words", "all"] = "none",
) -> CommandLine:
    """Returns the options and the other words; prints the usage and exits for ``--help``.

    A list is written with commas, ``seeds=1,2``, or after its name, ``--seeds 1 2``.

    Args:
        arguments: The words, without the program.
        defaults: Value of each option that is not given; of a list, elements have one type.
        usage: The text for ``--help``.
        others: Which other words are taken: none, words without ``=``, or also unknown keys.

    Raises:
        SystemExit: The text was printed, code 0; or a word was refused, code 2.
    """
    if {"--help", "-h"} & set(arguments):
        print((usage or "").strip())
        raise SystemExit(0)
    options, rest, words = dict(defaults), list[str](), list(arguments)
    while words:
        word = words.pop(0)
        pair = _KEY_VALUE.fullmatch(word)
        key = (pair[1] if pair else word.removeprefix("--")).replace("-", "_")
        if key in defaults and pair:
            options[key] = _convert(key, pair[2], defaults[key])
        elif key in defaults and word.startswith("--"):
            count = _count_values(words) if isinstance(defaults[key], list) else 1
            options[key] = _convert(key, ",".join(words[:count]), defaults[key])
            del words[:count]
        elif word.startswith("--") or others == "none" or (pair and others == "words"):
            refuse(f"{word} is not one of {', '.join(f'{name}=' for name in defaults) or 'none'}")
        else:
            rest.append(word)
    return CommandLine(options, rest)


def refuse(text: str) -> NoReturn:
    """Prints an error and exits with code 2."""
    print(f"error: {text}", file=sys.stderr)
    raise SystemExit(2)


def _count_values(words: Sequence[str]) -> int:
    """Returns the number of words before the next option."""
    ends = (i for i, w in enumerate(words) if w.startswith("--") or _KEY_VALUE.fullmatch(w))
    return next(ends, len(words))


def _convert(key: str, text: str, default: Any) -> Any:
    kind = type(default[0] if isinstance(default, list) else default)
    try:
        values = [kind(part) for part in text.split(",")] if isinstance(default, list) else None
        return kind(text) if values is None else values
    except ValueError:
        refuse(f"{key}={text}: wanted {kind.__name__}")
