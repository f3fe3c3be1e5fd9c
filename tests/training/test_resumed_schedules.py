"""A resumed run says how its schedules go on when it has become longer."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rlgpu.config import Config, DqnConfig, TrainConfig, plain
from rlgpu.training import describe_changed_schedules


def lines(
    length: int, iteration: int = 100, algorithm="PPO", share: float = 1.0, **changes
) -> list[str]:
    """Lines of a run of 100 iterations that goes on with another length."""
    train = dataclasses.replace(TrainConfig(), learning_rate=1e-3, **changes)
    config = Config(train=train, algorithm=algorithm, max_iterations=length)
    saved = dataclasses.replace(config, max_iterations=100)
    agent = {"linear_share": torch.tensor(share)}
    content = {"config": plain(saved), "trainer": {"iteration": iteration}, "agent": agent}
    return describe_changed_schedules(content, config)


def test_a_longer_run_says_to_what_the_linear_rate_jumps() -> None:
    """After 100 of 100 iterations it is 1e-6; the 101st of 201 has half of 1e-3."""
    (line,) = lines(201)
    assert "5.0e-04 in the next iteration, 1.0e-06 in the last one" in line
    assert "201 iterations instead of 100" in line


def test_the_rates_are_those_that_back_off_lowered() -> None:
    """A share of a fifth: half of 2e-4."""
    (line,) = lines(201, share=0.2)
    assert "1.0e-04 in the next iteration" in line


@pytest.mark.parametrize("schedule", ["adaptive", "constant"])
def test_rates_that_know_no_end_say_nothing(schedule) -> None:
    """Nor does a run that goes on as planned, one that was stopped in its middle."""
    assert not lines(201, schedule=schedule)
    assert not lines(100, iteration=50, schedule="linear")


def test_random_actions_that_come_back_are_said_too() -> None:
    """From 1 to 0 within half of the run: 0 at its end, 2 / 3 after 100 of 600 iterations."""
    dqn = DqnConfig(final_exploration=0.0, exploration_fraction=0.5)
    (line,) = lines(600, algorithm="DQN", schedule="constant", dqn=dqn)
    assert "6.7e-01 in the next iteration, 0.0e+00 in the last one" in line
