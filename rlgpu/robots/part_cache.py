"""Keeps the convex parts of meshes in the user's cache folder, as splitting takes seconds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import mujoco
import numpy as np

from rlgpu.device import user_cache
from rlgpu.robots import convex_parts

_SOURCES = ("convex_parts.py", "meshes.py", "dae.py")
"""What decides the parts of a file."""


def keep_parts(
    file: Path, settings: Sequence[float], compute: Callable[[], Sequence[np.ndarray]]
) -> tuple[np.ndarray, ...]:
    """Returns the convex parts of a mesh, from the cache folder if they have been computed before.

    If the folder cannot be written, nothing is kept.

    Args:
        file: The mesh's file; parts are found again by its content.
        settings: Everything else that decides about the parts.
        compute: Returns them [m], each of shape [P, 3].
    """
    kept = user_cache("convex_parts") / f"{_key(file, settings)}.npz"
    try:
        with np.load(kept, allow_pickle=False) as stored:
            return tuple(stored[f"arr_{i}"] for i in range(len(stored.files)))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        parts = tuple(compute())  # missing, or not written by us
    with contextlib.suppress(OSError):
        _write(kept, parts)
    return parts


def _key(file: Path, settings: Sequence[float]) -> str:
    """Returns a name for the parts that a file, the settings and the algorithm give."""
    folder = Path(convex_parts.__file__).parent
    sources = [(folder / name).read_bytes() for name in _SOURCES]
    sources.append(mujoco.__version__.encode())
    texts = [file.suffix.lower().encode(), *(float(value).hex().encode() for value in settings)]
    found = hashlib.sha256()
    for text in (*sources, *texts, file.read_bytes()):
        found.update(hashlib.sha256(text).digest())
    return found.hexdigest()


def _write(path: Path, parts: Sequence[np.ndarray]) -> None:
    """Writes all parts or nothing, as other processes may read meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(number, "wb") as stream:
            np.savez(stream, *parts)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
