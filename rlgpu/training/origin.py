"""Where a run comes from: its command, the versions of what it used, the revision of the code."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path

import rlgpu

_LIBRARIES = ("torch", "numpy", "mujoco", "mujoco-warp", "warp-lang")


def origin_of(arguments: Sequence[str], task_word: str) -> dict[str, str]:
    """Returns what to save with a run so that it can be repeated.

    Args:
        arguments: The command line, without the program's name.
        task_word: What ``task=`` must be to find the task again from any folder.
    """
    versions = [f"rlgpu {rlgpu.__version__}", f"python {platform.python_version()}"]
    versions += [f"{name} {_version(name)}" for name in _LIBRARIES]
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *arguments]),
        "task": task_word,
        "versions": ", ".join(versions),
        "git_revision": _revision(),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def _revision() -> str:
    """Returns the commit of the code, with a word if files differ from it."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=5
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + (" and changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
