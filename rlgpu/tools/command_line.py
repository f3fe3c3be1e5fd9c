"""What the command lines share: help, refusals, exit codes, output that never ends a run."""

from __future__ import annotations

import io
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rlgpu import __version__
from rlgpu.errors import EngineFailed, TrainingFailed, UsageError, one_line

HELP = ("--help", "-h")
VERSION = "--version"


def versions() -> str:
    """Returns the versions of rlgpu, torch and Python in a line, without importing torch."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = "not installed"
    return f"rlgpu {__version__}, torch {torch}, Python {platform.python_version()}"


def run_command(
    run: Callable[[list[str]], int], arguments: Sequence[str], usage: str | None = None
) -> int:
    """Runs a command.

    Args:
        run: Takes the arguments and returns the exit code.
        arguments: The words of the command line after the command.
        usage: Printed for ``--help``; None leaves that to ``run``. ``--version`` prints the
            versions.

    Returns:
        The exit code: that of ``run``, 0 for help and versions, 1 if training or the simulation
        stopped, 2 for a usage error, 130 after Ctrl-C.
    """
    keep_output_quiet()
    try:
        if usage is not None and any(word in HELP for word in arguments):
            print(usage.strip())
        elif VERSION in arguments:
            print(versions())
        else:
            return run(list(arguments))
        return 0
    except UsageError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except TrainingFailed as error:
        print(f"training stopped: {one_line(error)}", file=sys.stderr)
        return 1
    except EngineFailed as error:
        print(f"simulation stopped: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def call_of(command: str) -> str:
    """Returns how to call a command from the current folder, as this process was called.

    Args:
        command: ``train`` or ``play``.
    """
    script = Path(sys.argv[0])
    if script.name == "train.py":
        name = "train.py" if _is_here(script) else shlex.quote(str(script.resolve()))
        return f"python {name}{' test=True' if command == 'play' else ''}"
    if script.name == "rlgpu":
        known = shutil.which("rlgpu")
        return f"{'rlgpu' if known else shlex.quote(str(script.resolve()))} {command}"
    return f"python -m rlgpu {command}"


def _is_here(script: Path) -> bool:
    try:
        return script.resolve().parent.samefile(Path.cwd())
    except OSError:  # a folder has been removed
        return False


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
