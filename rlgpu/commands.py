"""What the command lines share: help, refusals, exit codes, output that never ends a run."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlgpu.errors import UsageError, one_line

_HELP = ("--help", "-h")


def run_command(
    run: Callable[[list[str]], int], arguments: Sequence[str], usage: str | None
) -> int:
    """Runs the command line of a module.

    Args:
        run: Takes the arguments and returns the exit code.
        arguments: The words of the command line.
        usage: Printed for ``--help``; the module's docstring.

    Returns:
        The exit code: that of ``run``, 0 for help, 2 for a usage error, 130 after Ctrl-C.
    """
    keep_output_quiet()
    try:
        if any(word in _HELP for word in arguments):
            print((usage or "").strip())
            return 0
        return run(list(arguments))
    except UsageError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def train_command() -> str:
    """Returns how to call ``train.py`` from the current folder."""
    script = Path(__file__).parents[1] / "train.py"
    try:
        is_here = script.parent.samefile(Path.cwd())
    except OSError:  # the folder has been removed
        is_here = False
    return f"python {'train.py' if is_here else shlex.quote(str(script))}"


def keep_output_quiet() -> None:
    """Makes writing to standard output and error never raise.

    ``train.py | head`` closes the pipe, a lost ssh connection the terminal; training goes on. What
    an encoding lacks is shown as an escape.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, _Quiet(stream))


class _Quiet:
    """A text stream that drops what can no longer be written."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        """Sends all further output nowhere, so that flushing at exit does not fail either."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
