"""What an environment observes and what actions it takes."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Continuous:
    """Real numbers; the environment clamps them to its own bounds."""

    size: int
    """Number of actions A."""


@dataclass(frozen=True)
class Discrete:
    """One choice of several, for each of one or more actions."""

    choices: tuple[int, ...]
    """Number of choices of each action."""

    @property
    def size(self) -> int:
        """Number of actions A."""
        return len(self.choices)


ActionSpace = Continuous | Discrete
Seen = Literal["both", "actor", "critic", "nobody"]
"""Who sees a part of an observation."""


@dataclass(frozen=True)
class Part:
    """Neighbouring columns of an observation that belong together."""

    name: str
    shape: tuple[int, ...]
    """(n,) numbers, or (height, width, channels) of an image."""
    kind: Literal["numbers", "image", "mask"] = "numbers"
    """An image's values are from 0 to 1, or whole numbers to 255 if the observation is ``uint8``. A
    mask is 1 where a discrete action's choice is allowed, for all choices of all actions."""
    seen_by: Seen = "both"
    repeats: bool = field(default=False, repr=False)
    """Whether it repeats earlier columns without their noise; see ``with_true_values``."""

    @property
    def size(self) -> int:
        """Number of columns."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ObservationSpace:
    """The columns of an observation, in order."""

    parts: tuple[Part, ...]
    dtype: Literal["float32", "uint8", "float64"] = "float32"
    """``uint8`` only for one image, which takes a quarter of the memory; ``float64`` for numbers
    that float32 may not tell apart before they are normalised, such as seconds since 1970."""

    @property
    def size(self) -> int:
        """Number of columns O."""
        return sum(part.size for part in self.parts)

    @property
    def is_plain(self) -> bool:
        """Whether actor and critic see every column, as plain numbers."""
        return all(part.kind == "numbers" and part.seen_by == "both" for part in self.parts)

    @property
    def is_asymmetric(self) -> bool:
        """Whether actor and critic see different columns."""
        kinds = ("numbers", "image")
        return self.of("actor", *kinds) != self.of("critic", *kinds)

    @property
    def originals(self) -> list[int]:
        """For every column, the one that it repeats without noise; itself if it repeats none."""
        own = sum(part.size for part in self.parts if not part.repeats)
        return [column % own for column in range(self.size)]

    def columns(self, parts: Collection[Part]) -> list[int]:
        """Returns the columns of some parts."""
        found: list[int] = []
        start = 0
        for part in self.parts:
            if any(part is wanted for wanted in parts):  # two may be equal
                found += range(start, start + part.size)
            start += part.size
        return found

    def of(self, who: Literal["actor", "critic"], *kinds: str) -> list[Part]:
        """Returns the parts of some kinds that the actor or the critic sees."""
        return [part for part in self.parts if part.kind in kinds and part.seen_by in ("both", who)]


def numbers(size: int, *, privileged: int = 0) -> ObservationSpace:
    """Returns a space of plain numbers.

    Args:
        size: Number of columns O.
        privileged: How many of the last columns only the critic sees.
    """
    seen = Part("observations", (size - privileged,))
    if not privileged:
        return ObservationSpace((seen,))
    return ObservationSpace((seen, Part("privileged", (privileged,), seen_by="critic")))


def with_true_values(space: ObservationSpace) -> ObservationSpace:
    """Returns a space of noisy columns and, after them, the same columns without noise.

    The actor sees the noisy ones and the critic the others.

    Args:
        space: The noisy columns.
    """
    actor: dict[Seen, Seen] = {"both": "actor", "critic": "nobody"}
    critic: dict[Seen, Seen] = {"both": "critic", "actor": "nobody"}
    noisy = [replace(part, seen_by=actor.get(part.seen_by, part.seen_by)) for part in space.parts]
    true = [
        replace(
            part,
            name=f"true_{part.name}",
            seen_by=critic.get(part.seen_by, part.seen_by),
            repeats=True,
        )
        for part in space.parts
    ]
    return replace(space, parts=(*noisy, *true))


def with_history(space: ObservationSpace, steps: int) -> ObservationSpace:
    """Returns a space that has the columns of several steps, newest first.

    Columns that repeat others without noise stay at the end, of the newest step only.

    Args:
        space: The columns of one step.
        steps: Number of steps, from 1 on.
    """
    own = [part for part in space.parts if not part.repeats]
    past = [replace(part, name=f"{part.name}_{i}") for i in range(1, steps) for part in own]
    return replace(space, parts=(*own, *past, *space.parts[len(own) :]))


def stretched(actions: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Returns actions for bounds: clamped to [-1, 1], which becomes the range between them.

    Args:
        actions: Tensor of any shape.
        low: Lowest actions, a number or a tensor of a shape that broadcasts.
        high: Highest actions, likewise.
    """
    return low + (actions.clamp(-1.0, 1.0) + 1.0) * 0.5 * (high - low)
