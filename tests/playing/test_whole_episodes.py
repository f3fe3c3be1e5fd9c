"""Playing back without a viewer: whole episodes, however long, and those that do not end."""

from __future__ import annotations

import os
import re
import signal

import pytest
import torch

from rlgpu.envs import Environments, Step
from rlgpu.playing import episodes, play_episodes


class Lasting(Environments):
    """Environments whose episodes last as long as is said; 0: for ever. A step's reward is 2."""

    def __init__(self, *lengths: int, interrupted_at: int = 0) -> None:
        self.num_envs, self.device = len(lengths), torch.device("cpu")
        self.observations = torch.zeros(self.num_envs, 1)
        self._lengths, self._age = torch.tensor(lengths), torch.zeros(len(lengths))
        self._interrupted_at = interrupted_at
        self.steps = 0

    @property
    def episode_length(self) -> int:
        """A limit that episodes do not keep."""
        return 10

    def step(self, actions: torch.Tensor) -> Step:
        """Counts."""
        self.steps += 1
        self._age += 1
        ended = self._age == self._lengths
        self._age[ended] = 0
        if self.steps == self._interrupted_at:
            os.kill(os.getpid(), signal.SIGINT)
        rewards = torch.full((self.num_envs,), 2.0)
        return Step(self.observations, rewards, ended, ~ended & False, self.observations)


class Idle:
    """An agent that does nothing."""

    device = torch.device("cpu")

    def no_memory(self, num_envs: int) -> None:
        """Returns None: it has none."""

    def act_deterministic(self, observations, memory) -> tuple[torch.Tensor, None]:
        """Returns zeros."""
        return torch.zeros(len(observations), 1), None


def played(env: Lasting, games: int) -> list[float]:
    """Returns the numbers of the last line."""
    lines: list[str] = []
    play_episodes(env, Idle(), games, lines.append)
    return [float(x) for x in re.findall(r"\d+(?:\.\d+)?", lines[-1])]


def test_long_episodes_are_played_to_their_end() -> None:
    """Two in each of two environments, of 1500 and 3000 steps, where the task says 10."""
    episodes_, per_env, mean_return, mean_length = played(Lasting(1500, 3000), 3)
    assert (episodes_, per_env) == (4, 2)
    assert (mean_return, mean_length) == (4500.0, 2250.0)


def test_short_episodes_do_not_count_more_than_long_ones() -> None:
    """The same number in every environment: (1 + 1 + 9 + 9) / 4 steps."""
    env = Lasting(1, 9)
    assert played(env, 4) == [4, 2, 10.0, 5.0]
    assert env.steps == 18


def test_an_episode_that_does_not_end_is_reported_as_such(monkeypatch) -> None:
    """It is given up, and not counted as an episode of that length."""
    monkeypatch.setattr(episodes, "LONGEST", 50)
    env = Lasting(20, 0)
    assert played(env, 2) == [1, 2, 1, 40.0, 20.0]  # 1 of 2 episodes, 1 per environment
    assert env.steps == 50
    assert played(Lasting(0, 0), 2) == [2, 1, 50]  # none of 2, 1 per environment, 50 steps


@pytest.mark.parametrize(("at", "wanted"), [(25, [1, 2, 1, 40.0, 20.0]), (5, [2, 1, 5])])
def test_ctrl_c_ends_playing_with_what_has_ended(at, wanted) -> None:
    """The signal is given back afterwards."""
    before = signal.getsignal(signal.SIGINT)
    env = Lasting(20, 3000, interrupted_at=at)
    assert played(env, 2) == wanted
    assert env.steps == at
    assert signal.getsignal(signal.SIGINT) == before
