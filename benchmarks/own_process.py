"""Runs one library's measurement in a separate process.

Settings of one library (threads, memory, matmul precision) would otherwise speed up or slow down
the next.
"""

from __future__ import annotations

import subprocess
import sys


def last_line(script: str, name: str, arguments: list[str]) -> str | None:
    """Returns the last line that ``script only=name`` prints; None if it is not installed.

    Args:
        script: The benchmark's own file.
        name: The library, as ``only=`` takes it.
        arguments: Further command-line arguments.

    Raises:
        RuntimeError: The measurement failed.
    """
    command = [sys.executable, script, f"only={name}", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in result.stderr:
        print(f"{name} is left out: {result.stderr.splitlines()[-1]}")
        return None
    if result.returncode != 0:
        raise RuntimeError(f"{name} failed:\n{result.stderr}")
    return result.stdout.splitlines()[-1]
