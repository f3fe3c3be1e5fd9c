"""Values for joints, given by names or parts of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from rlgpu.errors import UsageError, list_some, nearest

_T = TypeVar("_T")
ALL = "all"
"""Stands for every joint."""


def by_joint(values: Mapping[str, _T], joints: Sequence[str]) -> dict[str, _T]:
    """Returns what is given for joints: by their names, or by parts of names, the last one counts.

    Args:
        values: Values by name, part of a name or ``all``.
        joints: The joints; those for which nothing is given are left out.
    """
    found: dict[str, _T] = {}
    for part, value in values.items():
        found |= dict.fromkeys(named_joints(part, joints), value)
    return {name: found[name] for name in joints if name in found}


def check_joint_words(key: str, values: Mapping[str, object], joints: Sequence[str]) -> None:
    """Refuses words that name no joint.

    Args:
        key: The key of the values, such as ``task.robot.stiffness``.
        values: Values by name or part of a name.
        joints: The joints.

    Raises:
        UsageError: One names none.
    """
    for part in values:
        if not named_joints(part, joints):
            said = f"{key}.{part}: there is no such joint; the joints are {list_some(joints)}"
            said += nearest(part, joints)
            raise UsageError(said, key=f"{key}.{part}", value=part, allowed=(*joints, ALL))


def named_joints(part: str, joints: Sequence[str]) -> Sequence[str]:
    """Returns the joints that a word names."""
    if part in joints:
        return [part]
    return joints if part == ALL else [name for name in joints if part in name]
