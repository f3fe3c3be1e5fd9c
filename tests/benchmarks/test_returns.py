"""Returns of episodes, whoever steps the environments."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import torch

from benchmarks.returns import LastReturns, ReturnsByTime

# Rewards 1 and 10 a step. The first environment ends after steps 2 and 5, the second after 3 and 5.
ENDS = ([], [0], [1], [], [0, 1])


def environment():
    """Returns two environments that follow ``ENDS``; the first end is a time limit."""
    env = SimpleNamespace(num_envs=2, device=torch.device("cpu"), taken=[])

    def step(actions):
        ends = torch.zeros(2, dtype=torch.bool)
        ends[ENDS[len(env.taken)]] = True
        limit = ends & (len(env.taken) == 1)
        env.taken.append(actions)
        return SimpleNamespace(
            rewards=torch.tensor([1.0, 10.0]), terminated=ends & ~limit, truncated=limit
        )

    env.step = step
    return env


def test_the_mean_is_that_of_episodes_which_have_ended():
    """NaN, then 2; then 2 and 30; at the end 2, 3, 30 and 20. Actions pass unchanged."""
    env = environment()
    returns, means = LastReturns(env), []
    for action in range(5):
        env.step(action)
        means.append(returns.mean())
    assert math.isnan(means[0])
    assert means[1:] == [2.0, 16.0, 16.0, 13.75]
    assert env.taken == [0, 1, 2, 3, 4]
    assert returns.num_steps == 5


def test_tenths_have_the_episodes_that_ended_in_them():
    """Of 10 steps, steps 2, 3 and 5 are tenths 1, 2 and 4, which has the mean of 3 and 20."""
    env = environment()
    returns = ReturnsByTime(env)
    for action in range(5):
        env.step(action)
    expected = [np.nan, 2.0, 30.0, np.nan, 11.5] + [np.nan] * 5
    np.testing.assert_array_equal(returns.tenths(10), expected)
