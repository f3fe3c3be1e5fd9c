"""Episode statistics over the last 100 episodes, and the files they end up in."""

from __future__ import annotations

import csv
import math
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from rlgpu.metrics import EpisodeStatistics, IterationRecord, MetricsWriter

CPU = torch.device("cpu")


def one_step(statistics: EpisodeStatistics, rewards: torch.Tensor, done: torch.Tensor) -> None:
    statistics.update(rewards[None], done[None])


def test_a_rollout_at_once_is_as_good_as_step_by_step(device) -> None:
    """Three rollouts of 16 steps, episodes across their borders and several within one."""
    g = torch.Generator().manual_seed(0)
    whole, stepwise = EpisodeStatistics(40, device), EpisodeStatistics(40, device)
    for ends in (0.02, 0.3, 0.0):
        rewards = torch.randn(16, 40, generator=g).to(device)
        done = (torch.rand(16, 40, generator=g) < ends).to(device)
        whole.update(rewards, done)
        for t in range(16):
            one_step(stepwise, rewards[t], done[t])
        torch.testing.assert_close(whole.means(), stepwise.means(), equal_nan=True)
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(value, stepwise.state_dict()[name])


def test_returns_and_lengths_are_those_of_finished_episodes() -> None:
    """Two environments: one ends after two steps with 1 + 2, the other goes on."""
    statistics = EpisodeStatistics(2, CPU)
    assert statistics.means()[0].isnan()
    one_step(statistics, torch.tensor([1.0, 5.0]), torch.tensor([False, False]))
    one_step(statistics, torch.tensor([2.0, 5.0]), torch.tensor([True, False]))
    assert statistics.means().tolist() == [3.0, 2.0, 1.0]
    one_step(statistics, torch.tensor([7.0, 5.0]), torch.tensor([True, True]))
    # Episodes so far: 3, 7, 15.
    assert statistics.means()[0].item() == pytest.approx(25 / 3)


def test_only_the_last_hundred_count_even_when_more_end_at_once() -> None:
    """150 environments end together with rewards 0..149: the last hundred average 99.5."""
    statistics = EpisodeStatistics(150, CPU)
    done = torch.ones(150, dtype=torch.bool)
    one_step(statistics, torch.arange(150.0), done)
    assert statistics.means().tolist() == [99.5, 1.0, 150.0]
    # One more episode of 1000 replaces the oldest, which is number 50.
    only_first = torch.zeros(150, dtype=torch.bool)
    only_first[0] = True
    one_step(statistics, torch.full((150,), 1000.0), only_first)
    assert statistics.means()[0].item() == pytest.approx((9950 - 50 + 1000) / 100)


def test_statistics_are_restored() -> None:
    """Running and finished episodes."""
    statistics, restored = EpisodeStatistics(3, CPU), EpisodeStatistics(3, CPU)
    one_step(statistics, torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, False]))
    restored.load_state_dict(statistics.state_dict())
    for each in (statistics, restored):
        one_step(each, torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, True, False]))
    assert torch.equal(statistics.means(), restored.means())


def make_record(iteration: int, mean_return: float) -> IterationRecord:
    values = {f.name: 0 if f.type == "int" else 0.5 for f in fields(IterationRecord)}
    values |= {"iteration": iteration, "env_steps": 100 * iteration, "mean_return": mean_return}
    return IterationRecord(**{**values, "episodes": 0 if math.isnan(mean_return) else 1})


def test_a_row_an_iteration_a_curve_and_events_are_written(tmp_path: Path) -> None:
    """The columns that others may rely on come first."""
    writer = MetricsWriter(tmp_path)
    writer.write(make_record(1, math.nan))
    writer.draw("nothing to draw yet")
    assert not (tmp_path / "learning_curve.png").exists()
    writer.write(make_record(2, 3.25))
    writer.draw("a curve")
    writer.close()
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [row["iteration"] for row in rows] == ["1", "2"]
    assert rows[1]["mean_return"] == "3.25"
    wanted = "iteration env_steps wall_time mean_return mean_length steps_per_second approx_kl"
    assert set(wanted.split()) | {"learning_rate"} <= set(rows[0])
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.glob("events.out.tfevents*"))
