"""Reports episodes that all end as soon as they begin, from which nothing can be learned."""

from __future__ import annotations

from rlgpu.training.metrics import IterationRecord

_ITERATIONS = 10
"""Iterations at the start of training that are looked at."""
_SHORT = 2.0
"""Mean length [steps] up to which episodes are hardly meant."""


class ShortEpisodes:
    """Watches the lengths of the first episodes; says so once."""

    def __init__(self, task: str, episode_length: int) -> None:
        """Starts watching.

        Args:
            task: The task's name.
            episode_length: The time limit [steps]; shorter episodes than ours are meant then.
        """
        self._task = task
        self._left = _ITERATIONS if episode_length > _SHORT else 0

    def report(self, record: IterationRecord) -> str | None:
        """Returns the line to show after an iteration, None for most."""
        if self._left <= 0:
            return None
        self._left -= 1
        length = record.numbers.episodes.mean_length
        if not length <= _SHORT:  # true for NaN, which means no finished episode
            return None
        self._left = 0
        when = "in their first step" if length <= 1.0 else f"after {length:.1f} steps on average"
        return (
            f"warning: {self._task}: all episodes end {when}; check that the states after a reset "
            "do not meet the conditions that terminate an episode"
        )
