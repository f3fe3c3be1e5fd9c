"""Remarks to the user, each printed once in a process, on one line."""

from __future__ import annotations

import logging
import sys

_said: set[str] = set()


def note(text: str) -> None:
    """Prints a remark on stderr, unless it has been printed before."""
    if text not in _said:
        _said.add(text)
        print(f"isaacgym: {text}", file=sys.stderr)


class _Noted(logging.Handler):
    """Makes remarks of what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


def note_reports() -> None:
    """Makes remarks of what the readers of robots' files report, in this process."""
    logger = logging.getLogger("rlgpu.robots")
    if not any(isinstance(handler, _Noted) for handler in logger.handlers):
        logger.addHandler(_Noted())
        logger.propagate = False
