"""The one exception that means: the user asked for something that cannot be done."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """Says what was given, what is allowed and what to do; ends a command with exit code 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean X?"`` for the closest known name, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]}?" if matches else ""
