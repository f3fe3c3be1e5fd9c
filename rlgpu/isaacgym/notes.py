"""Remarks to the user, each printed once in a process, on one line."""

from __future__ import annotations

import sys

_said: set[str] = set()


def note(text: str) -> None:
    """Prints a remark on stderr, unless it has been printed before."""
    if text not in _said:
        _said.add(text)
        print(f"isaacgym: {text}", file=sys.stderr)
