"""Groups an engine's reasons against a model by kind: a robot may give hundreds of one kind."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")
_EXAMPLES = 2
"""Further examples that are named of each kind."""


def group_reasons(reasons: Iterable[str]) -> list[str]:
    """Returns one reason of each kind, with how many more there are and whom they concern.

    Reasons are of one kind if they differ in quoted names and in numbers only.

    Args:
        reasons: Reasons in any order, with names in quotes.
    """
    kinds: dict[str, list[str]] = {}
    for reason in reasons:
        kind = _NUMBER.sub("0", _NAME.sub("''", reason))
        kinds.setdefault(kind, []).append(reason)
    return [_summarize(same) for same in kinds.values()]


def _summarize(same: list[str]) -> str:
    first, others = same[0], same[1:]
    if not others:
        return first
    named = [" and ".join(_NAME.findall(reason)) for reason in others[:_EXAMPLES]]
    examples = ", ".join(name for name in named if name)
    such_as = f", such as {examples}" if examples else ""
    return f"{first} ({len(others)} more of this kind{such_as})"
