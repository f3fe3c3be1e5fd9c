"""What actions an environment takes."""

from __future__ import annotations

from dataclasses import dataclass


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
