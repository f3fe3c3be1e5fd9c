"""The user's folder for what takes long to compute; it may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """Returns a folder for one kind of file: ``rlgpu/<name>`` in ``XDG_CACHE_HOME``, or ~/.cache.

    Args:
        name: The kind.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rlgpu" / name
