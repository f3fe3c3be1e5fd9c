"""Episodes that end as soon as they begin are reported once."""

from __future__ import annotations

import math

import pytest

from rlgpu.envs import WorldCounts
from rlgpu.learner import UpdateMetrics
from rlgpu.training.episodes import EpisodeMeans
from rlgpu.training.metrics import IterationRecord
from rlgpu.training.numbers import IterationNumbers
from rlgpu.training.short_episodes import ShortEpisodes


def reported(lengths: list[float], *, episode_length: int = 500) -> list[int]:
    """Returns the iterations with a line, given the mean length after each."""
    watching, found = ShortEpisodes("Hopper", episode_length), []
    update = UpdateMetrics(*[0.0] * len(UpdateMetrics._fields))
    for iteration, length in enumerate(lengths, 1):
        numbers = IterationNumbers(EpisodeMeans(0.0, length, 1.0), WorldCounts(0.0, 0.0), update)
        record = IterationRecord(iteration, 1, 1.0, 1.0, 1.0, numbers)
        if line := watching.report(record):
            assert "Hopper" in line
            found.append(iteration)
    return found


@pytest.mark.parametrize("length", [1.0, 1.5])
def test_episodes_of_one_step_are_reported_once(length) -> None:
    """In the first iteration in which episodes end."""
    assert reported([math.nan, length, length, length]) == [2]


def test_longer_episodes_are_not_reported() -> None:
    """Nor those that are meant to be short, nor short ones late in training."""
    assert not reported([math.nan, 11.0, 20.0])
    assert not reported([1.0, 1.0], episode_length=1)
    assert not reported([20.0] * 10 + [1.0])
