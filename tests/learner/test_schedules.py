"""Learning-rate schedules, against numbers worked by hand."""

from __future__ import annotations

import pytest
import torch

from rlgpu.learner.schedules import adaptive_learning_rate, linear_learning_rate


@pytest.mark.parametrize(("iteration", "wanted"), [(0, 1.0), (5, 0.55), (10, 0.1), (20, 0.1)])
def test_the_linear_rate_falls_to_its_minimum_and_stays(iteration, wanted) -> None:
    """From 1 to 0.1 over 11 iterations: half way is 0.55."""
    rate = linear_learning_rate(1.0, 0.1, torch.tensor(iteration), 11)
    assert rate.item() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("kl", "wanted"), [(0.003, 1.5e-3), (0.005, 1e-3), (0.015, 1e-3), (0.017, 1e-3 / 1.5)]
)
def test_the_adaptive_rate_follows_the_kl_band(kl, wanted) -> None:
    """Target 0.008: below 0.004 it rises by 1.5, above 0.016 it falls by 1.5."""
    rate = adaptive_learning_rate(torch.tensor(1e-3), torch.tensor(kl), 0.008, 1e-6, 1e-2)
    assert rate.item() == pytest.approx(wanted)


def test_the_adaptive_rate_stays_within_its_bounds() -> None:
    """It stops at the minimum and at the maximum."""
    low = adaptive_learning_rate(torch.tensor(1e-6), torch.tensor(1.0), 0.008, 1e-6, 1e-2)
    high = adaptive_learning_rate(torch.tensor(1e-2), torch.tensor(0.0), 0.008, 1e-6, 1e-2)
    assert low.item() == pytest.approx(1e-6)
    assert high.item() == pytest.approx(1e-2)


@pytest.mark.parametrize("kl", [0.125, 0.25, 0.5])
def test_the_ends_of_the_band_belong_to_it(kl) -> None:
    """Exactly half and exactly twice the target change nothing."""
    rate = adaptive_learning_rate(torch.tensor(1e-3), torch.tensor(kl), 0.25, 1e-6, 1e-2)
    assert rate.item() == pytest.approx(1e-3)


def test_a_run_of_one_iteration_has_the_initial_rate() -> None:
    """Nothing to fall over, and no division by zero; two iterations end at the minimum."""
    assert linear_learning_rate(1.0, 0.1, torch.tensor(0), 1).item() == 1.0
    assert linear_learning_rate(1.0, 0.1, torch.tensor(1), 2).item() == pytest.approx(0.1)
