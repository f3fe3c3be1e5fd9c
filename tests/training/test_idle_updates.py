"""Updates without an optimiser step are reported, and explained when they repeat."""

from __future__ import annotations

import dataclasses

import pytest

from rlgpu.config import Config, TrainConfig
from rlgpu.envs import WorldCounts
from rlgpu.learner import UpdateMetrics
from rlgpu.training.episodes import EpisodeMeans
from rlgpu.training.idle_updates import IdleUpdates
from rlgpu.training.metrics import IterationRecord
from rlgpu.training.numbers import IterationNumbers


def lines(epochs: list[float], algorithm="PPO", **changes) -> dict[int, str]:
    """Returns the lines of iterations with these epochs, by iteration."""
    train = dataclasses.replace(TrainConfig(), target_kl=0.02, **changes)
    idle, found = IdleUpdates(Config(train=train, algorithm=algorithm)), {}
    update = UpdateMetrics(*[0.0] * len(UpdateMetrics._fields))._replace(last_kl=0.25)
    for iteration, used in enumerate(epochs, 1):
        numbers = IterationNumbers(
            EpisodeMeans(0.0, 0.0, 0.0), WorldCounts(0.0, 0.0), update._replace(epochs=used)
        )
        if line := idle.report(IterationRecord(iteration, 1, 1.0, 1.0, 1.0, numbers)):
            found[iteration] = line
    return found


def test_one_such_update_is_reported_and_a_second_explained() -> None:
    """Neither consecutive ones nor others fill the console: lines at 1, 2, 10 and 100 of them."""
    found = lines([4.0, 0.0, 4.0, 0.0] + [0.0] * 150)
    assert list(found) == [2, 4, 12, 102]
    assert "0.25" in found[4]
    assert "train.target_kl=0.02" in found[4]


@pytest.mark.parametrize("when", ["before", "after"])
def test_statistics_that_change_before_training_are_named(when) -> None:
    """They are the usual cause; otherwise only the limit can be raised."""
    found = lines([0.0, 0.0], statistics_update=when)
    assert ("train.statistics_update=before" in found[2]) == (when == "before")


def test_steps_of_an_update_are_no_news() -> None:
    """Nor is DQN's wait for its first transitions."""
    assert not lines([0.5, 4.0])
    assert not lines([0.0, 0.0, 0.0], algorithm="DQN")
