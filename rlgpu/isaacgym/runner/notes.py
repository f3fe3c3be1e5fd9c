"""Remarks to the user, each printed once on one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Notes:
    """Prints remarks on stderr and remembers them: each is printed once."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def add(self, text: str) -> None:
        """Prints a remark, unless it has been printed before."""
        if text not in self._printed:
            self._printed.add(text)
            print(f"isaacgym: {text}", file=sys.stderr)

    @contextmanager
    def of_robots(self) -> Iterator[None]:
        """Prints reports of the robot file readers as remarks, for the length of a block."""
        logger, handler = logging.getLogger("rlgpu.robots"), _Handler(self.add)
        propagate, logger.propagate = logger.propagate, False
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.propagate = propagate


class _Handler(logging.Handler):
    """Passes logged messages on."""

    def __init__(self, add: Callable[[str], None]) -> None:
        super().__init__()
        self._add = add

    def emit(self, record: logging.LogRecord) -> None:
        self._add(record.getMessage())
