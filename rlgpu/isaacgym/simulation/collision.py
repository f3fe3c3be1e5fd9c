"""Expresses Isaac Gym's collision groups and filters in MuJoCo's bit masks.

Shapes that follow the same rules towards all others share a class. Each class has a bit of its own
in ``contype`` and the bits of those it touches in ``conaffinity``, so any symmetric relation of up
to 31 classes is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_MOST_CLASSES = 31
STATIC = -1
"""Actor of ground and terrain."""


class Shape(NamedTuple):
    """What decides with which others a shape collides."""

    actor: int
    """Handle of its actor, or ``STATIC``."""
    group: int
    """Its actor's collision group; -1 collides with every group."""
    filter: int
    """Shapes that share a bit do not collide."""
    own: tuple[int, int] | None = None
    """The file's contype and conaffinity, which decide within the actor; None without them."""


def collide(a: Shape, b: Shape) -> bool:
    """Returns whether two shapes may touch."""
    if a.actor == b.actor == STATIC:
        return False
    if a.filter & b.filter:
        return False
    if a.actor == b.actor:
        if a.own is None or b.own is None:
            return True
        return bool(a.own[0] & b.own[1] or b.own[0] & a.own[1])
    return STATIC in (a.actor, b.actor) or a.group == b.group or -1 in (a.group, b.group)


def masks(shapes: Sequence[Shape]) -> list[tuple[int, int]]:
    """Returns ``contype`` and ``conaffinity`` of each shape.

    Raises:
        NotImplementedError: The rules need more than 31 classes.
    """
    distinct = list(dict.fromkeys(shapes))
    touches = [[collide(a, b) for b in distinct] for a in distinct]
    # Shapes with equal rows, also towards each other, are one class.
    classes: dict[tuple[bool, ...], int] = {}
    class_of = {}
    for shape, row in zip(distinct, touches, strict=True):
        class_of[shape] = classes.setdefault(tuple(row), len(classes))
    if len(classes) > _MOST_CLASSES:
        raise NotImplementedError(
            f"the collision groups and filters of an environment make {len(classes)} kinds of "
            f"shapes; at most {_MOST_CLASSES} can be told apart"
        )
    rows = list(classes)
    first = {index: distinct[i] for i, index in reversed(list(enumerate(class_of.values())))}
    affinity = {
        index: sum(1 << other for other in first if rows[index][distinct.index(first[other])])
        for index in first
    }
    return [(1 << class_of[shape], affinity[class_of[shape]]) for shape in shapes]
