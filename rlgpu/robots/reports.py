"""Reports of what a reader changes or leaves out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = logging.getLogger("rlgpu.robots")


def report(text: str) -> None:
    """Reports something that the user should know of a robot's file."""
    _LOGGER.warning("%s", text)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collects reports in a list instead of logging them."""
    found: list[str] = []

    def take(record: logging.LogRecord) -> bool:
        found.append(record.getMessage())
        return False

    _LOGGER.addFilter(take)
    try:
        yield found
    finally:
        _LOGGER.removeFilter(take)
