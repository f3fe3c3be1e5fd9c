"""Episode statistics: whole rollouts at once, equal weight for every environment."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rlgpu.training.episodes import EpisodeStatistics

CPU = torch.device("cpu")


def one_step(statistics: EpisodeStatistics, rewards: Tensor, done: Tensor) -> None:
    statistics.update(rewards[None], done[None])


@pytest.mark.parametrize("num_envs", [40, 150])
def test_a_whole_rollout_at_once_gives_the_same_as_step_by_step(num_envs, device) -> None:
    """Three rollouts of 16 steps; some episodes span rollouts, some end within one."""
    g = torch.Generator().manual_seed(0)
    whole, stepwise = (EpisodeStatistics(num_envs, 16, device) for _ in range(2))
    for ends in (0.02, 0.3, 0.0):
        rewards = torch.randn(16, num_envs, generator=g).to(device)
        done = (torch.rand(16, num_envs, generator=g) < ends).to(device)
        whole.update(rewards, done)
        for t in range(16):
            one_step(stepwise, rewards[t], done[t])
        for ours, theirs in zip(whole.means(), stepwise.means(), strict=True):
            torch.testing.assert_close(ours, theirs, equal_nan=True)
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(value, stepwise.state_dict()[name])


def test_returns_and_lengths_are_those_of_finished_episodes() -> None:
    """Two environments: one ends after two steps with return 1 + 2, the other continues."""
    statistics = EpisodeStatistics(2, 1, CPU)
    assert statistics.means().mean_return.isnan()
    one_step(statistics, torch.tensor([1.0, 5.0]), torch.tensor([False, False]))
    one_step(statistics, torch.tensor([2.0, 5.0]), torch.tensor([True, False]))
    assert [x.item() for x in statistics.means()] == [3.0, 2.0, 1]
    one_step(statistics, torch.tensor([7.0, 5.0]), torch.tensor([True, True]))
    # Episodes so far: 3, 7, 15 of 2, 1, 3 steps.
    means = statistics.means()
    assert means.mean_return.item() == pytest.approx(25 / 3)
    assert means.mean_length.item() == pytest.approx(2.0)
    assert means.episodes.item() == 3


def test_short_episodes_weigh_no_more_than_long_ones() -> None:
    """One environment fails every step with return 0, 199 end after ten with 10: 199 * 10 / 200."""
    statistics = EpisodeStatistics(200, 10, CPU)
    rewards, done = torch.ones(10, 200), torch.zeros(10, 200, dtype=torch.bool)
    rewards[:, 0], done[:, 0], done[9] = 0.0, True, True
    for _ in range(3):
        statistics.update(rewards, done)
    means = statistics.means()
    assert means.mean_return.item() == pytest.approx(9.95)
    assert means.mean_length.item() == pytest.approx((199 * 10 + 1) / 200)
    assert means.episodes.item() == 3 * (199 + 10)


def test_few_environments_keep_a_hundred_episodes() -> None:
    """With 40 environments, the last three episodes of each: returns 3, 4, 5 of five."""
    statistics = EpisodeStatistics(40, 6, CPU)
    for number in range(1, 6):
        one_step(statistics, torch.full((40,), float(number)), torch.ones(40, dtype=torch.bool))
    assert statistics.means().mean_return.item() == pytest.approx(4.0)
    # After six more within one rollout, only the last three of those are kept.
    statistics.update(torch.arange(6.0)[:, None].expand(6, 40), torch.ones(6, 40).bool())
    assert statistics.means().mean_return.item() == pytest.approx(4.0)
    assert statistics.means().episodes.item() == 11 * 40


def test_episodes_that_began_at_a_random_age_do_not_count() -> None:
    """The first episode of each environment is left out; the second one is complete."""
    statistics = EpisodeStatistics(2, 1, CPU, random_ages=True)
    one_step(statistics, torch.tensor([1.0, 1.0]), torch.tensor([True, False]))
    assert statistics.means().mean_return.isnan()
    assert statistics.means().episodes.item() == 0
    one_step(statistics, torch.tensor([5.0, 1.0]), torch.tensor([True, True]))
    assert statistics.means().mean_return.item() == 5.0
    assert statistics.means().episodes.item() == 1


def test_long_sums_keep_their_precision() -> None:
    """Ten thousand steps of 0.1 after a million: float32 would be off by hundreds."""
    statistics = EpisodeStatistics(1, 100, CPU)
    done = torch.zeros(100, 1, dtype=torch.bool)
    first = torch.full((100, 1), 0.1)
    first[0] = 1e6
    statistics.update(first, done)
    for _ in range(99):
        statistics.update(torch.full((100, 1), 0.1), done)
    statistics.update(torch.zeros(100, 1), ~done)
    wanted = 1e6 + 9999 * 0.1
    # The long episode ended at the first step of the last rollout; it is one of a hundred.
    assert statistics.means().mean_return.item() == pytest.approx(wanted / 100, rel=1e-6)


def test_statistics_are_restored() -> None:
    """Both running and finished episodes."""
    statistics, restored = (EpisodeStatistics(3, 1, CPU) for _ in range(2))
    one_step(statistics, torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, False]))
    restored.load_state_dict(statistics.state_dict())
    for each in (statistics, restored):
        one_step(each, torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, True, False]))
    for ours, theirs in zip(statistics.means(), restored.means(), strict=True):
        assert torch.equal(ours, theirs)
    assert statistics.means().mean_return.item() == pytest.approx((1 + 1 + 4) / 3)


def test_an_episode_that_is_cut_off_is_not_counted() -> None:
    """Two steps of an episode that never ends, then a whole one of three steps with return 6."""
    statistics = EpisodeStatistics(1, 1, CPU)
    for reward in (5.0, 7.0):
        one_step(statistics, torch.tensor([reward]), torch.tensor([False]))
    statistics.drop_running()
    for reward in (1.0, 2.0, 3.0):
        one_step(statistics, torch.tensor([reward]), torch.tensor([reward == 3.0]))
    assert [x.item() for x in statistics.means()] == [6.0, 3.0, 1]
