"""What a test asks of a refusal: its type, its data and identifiers, which are no wording."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from typing import Any

import pytest

import train
from rlgpu.errors import one_line
from rlgpu.tools import command_line

LONGEST_LINE = 320


def names(error: BaseException | str, *identifiers: object) -> bool:
    """Returns whether a message has each of some identifiers or values, as a whole word.

    Args:
        error: What was raised, what a warning carries, or what was printed.
        identifiers: Names of operators, arguments, keys, files; or numbers and the like.
    """
    said = str(error)
    return all(re.search(rf"(?<!\w){re.escape(str(x))}(?!\w)", said) for x in identifiers)


def error_of(
    words: Sequence[str], code: int = 2, *, main: Callable[[list[str]], int] = train.main
) -> Any:
    """Returns the error that ends a command, and checks that its message is all that is printed.

    Args:
        words: The command line.
        code: The exit code that it must have.
        main: The command; ``train.py`` by default.
    """
    caught: list[Exception] = []

    def keep(error: Exception) -> str:
        caught.append(error)
        return one_line(error)

    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(printed):
        patch.setattr(command_line, "one_line", keep)
        assert main(list(words)) == code, printed.getvalue()
    (error,) = caught
    assert is_one_message(printed.getvalue())
    assert one_line(error) in printed.getvalue()
    return error


def is_one_message(printed: str) -> bool:
    """Returns whether what a command printed as errors is a single line of a modest length."""
    is_line = printed.endswith("\n") and printed.count("\n") == 1
    return is_line and 20 < len(printed) <= LONGEST_LINE and printed[:-1].isprintable()
