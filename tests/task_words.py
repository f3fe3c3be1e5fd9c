"""Command lines of our tasks, with what they have no default for."""

from __future__ import annotations

from pathlib import Path

ROBOT = f"robot={Path(__file__).parents[1] / 'tasks' / 'assets' / 'go2.xml'}"
"""A robot for tasks that take one from a file."""


def task_words(name: str) -> list[str]:
    """Returns the words with which a task of ours runs."""
    return [f"task={name}", *([ROBOT] if name in ("Walk", "StandUp") else [])]
