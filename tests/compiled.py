"""Keeps compiled files by content, outside the clone, so that unchanged sources compile once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEPT = 20
"""Number of entries of a kind that stay in the cache."""


@contextmanager
def cache(kind: str) -> Iterator[Path]:
    """Yields the folder of compiled files of one kind, which no other process uses meanwhile."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "rlgpu-tests" / kind
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
        entries = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in entries[:-KEPT]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def digest(files: Iterable[Path], *settings: str) -> str:
    """Returns a hash of files in this clone, of settings, and of the compilers' versions."""
    content = hashlib.sha256(repr(settings).encode())
    for compiler in ("c++", "nvcc", "cmake"):
        if path := shutil.which(compiler):
            version = subprocess.run([path, "--version"], capture_output=True, check=True)
            content.update(version.stdout)
    for path in sorted(files):
        content.update(f"\0{path.relative_to(ROOT)}\0".encode())
        content.update(path.read_bytes())
    return content.hexdigest()[:16]
