"""The exception for requests that cannot be carried out, and help with misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """States what was given, what is allowed and what to do; a command then exits with code 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean X?"`` for the closest known name, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]}?" if matches else ""
