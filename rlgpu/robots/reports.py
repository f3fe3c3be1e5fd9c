"""Reports of what a reader changes or leaves out."""

from __future__ import annotations

import logging

_LOGGER = logging.getLogger("rlgpu.robots")


def report(text: str) -> None:
    """Reports something that the user should know of a robot's file."""
    _LOGGER.warning("%s", text)
