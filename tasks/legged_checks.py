"""Checks of a walking robot's own description, with its file's names in the refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlgpu.envs import Columns
from rlgpu.errors import UsageError
from rlgpu.sim import Simulator

_PER_JOINT = ("joint_pos", "joint_vel", "actions")
"""Columns that have a number for each joint."""


def effort_limit_of(limits: Mapping[str, float], joint: str) -> float:
    """Returns a joint's effort limit: that of the first part of a name that its name contains.

    Raises:
        UsageError: No part is in its name.
    """
    for part, limit in limits.items():
        if part in joint:
            return limit
    known = ", ".join(map(repr, limits)) or "empty"
    raise UsageError(
        f"effort_limits has none for the joint {joint!r}; its keys are parts of joints' names, now "
        f"{known}; '' counts for all joints",
        key="effort_limits",
        value=joint,
        allowed=limits,
    )


def check_joints(expected: Sequence[str], sim: Simulator) -> None:
    """Checks that the default pose lists the joints of the file, in the file's order.

    Raises:
        UsageError: It does not; the message has the file's joints.
    """
    found = sim.joint_names
    if tuple(expected) == found:
        return
    unknown = [name for name in expected if name not in found]
    missing = [name for name in found if name not in expected]
    if unknown or missing:
        parts = [f"it has no {', '.join(unknown)}"] if unknown else []
        parts += [f"{', '.join(missing)} is not in default_joint_pos"] if missing else []
        what = "; ".join(parts)
    else:
        what = "default_joint_pos has another order"
    raise UsageError(
        f"the file's joints are {', '.join(found)}: {what}",
        key="default_joint_pos",
        value=tuple(expected),
        allowed=[found],
    )


def check_sizes(num_observations: int, num_actions: int, columns: Any, joints: int) -> None:
    """Checks the numbers of observations and actions against the joints and the columns.

    Raises:
        UsageError: They do not agree.
    """
    if num_actions != joints:
        raise UsageError(
            f"num_actions is {num_actions}, but default_joint_pos has {joints} joints, each with "
            f"an action; write num_actions = {joints}",
            key="num_actions",
            value=num_actions,
            allowed=[joints],
        )
    if not isinstance(columns, Columns):
        said, kind = "columns must be rlgpu.envs.Columns, the names of what is observed", Columns
        raise UsageError(said, key="columns", value=type(columns), allowed=[kind])
    for name, width in columns.parts().items():
        if name in _PER_JOINT and width != joints:
            said = f"columns has {name}={width}, but there are {joints} joints"
            raise UsageError(said, key=f"columns.{name}", value=width, allowed=[joints])
    if num_observations != columns.width:
        raise UsageError(
            f"num_observations is {num_observations}, but its columns have {columns.width}; write "
            f"num_observations = {columns.width}",
            key="num_observations",
            value=num_observations,
            allowed=[columns.width],
        )
