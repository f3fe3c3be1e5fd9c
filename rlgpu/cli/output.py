"""Output that never ends a run: a closed pipe or terminal, or letters that it cannot show."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


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
