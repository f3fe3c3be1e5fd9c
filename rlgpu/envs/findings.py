"""What a check finds in a task, with its data: a refusal if it is certain, else a remark."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rlgpu.errors import UsageError


class Remark(str):
    """A sentence about a task that is no refusal, and what it is about."""

    key: str
    value: object
    allowed: tuple[object, ...]

    def __new__(
        cls, said: str, *, key: str, value: object = None, allowed: Iterable[object] = ()
    ) -> Remark:
        """Returns the sentence, with the data that a ``UsageError`` would have."""
        remark = super().__new__(cls, said)
        remark.key, remark.value, remark.allowed = key, value, tuple(allowed)
        return remark


class Finding(NamedTuple):
    """What was found in a task, its scene or its start."""

    is_certain: bool
    """Whether it is a mistake in any task."""
    text: str
    """What was found, what is right and what to do, in a sentence."""
    key: str
    """A field of the start or of the scene, such as ``drives.knee.damping``, or part of a file."""
    value: object = None
    """What was found there."""
    allowed: tuple[object, ...] = ()
    """What would have been right, if that can be listed."""
    path: Path | None = None
    """The file that it is about."""

    def refusal(self, task: str) -> UsageError:
        """Returns the refusal of a task for a mistake."""
        said = f"{task}: {self.text}"
        return UsageError(
            said, key=self.key, value=self.value, allowed=self.allowed, path=self.path
        )

    def warning(self, task: str) -> Remark:
        """Returns the warning of what may be meant."""
        said = f"{task}: {self.text}"
        return Remark(said, key=self.key, value=self.value, allowed=self.allowed)
