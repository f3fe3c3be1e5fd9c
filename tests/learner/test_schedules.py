"""Learning-rate schedules, against numbers worked by hand."""

from __future__ import annotations

import pytest
import torch

from rlgpu.learner.schedules import adaptive_learning_rate, back_off, linear_learning_rate
from tests.learner.test_ppo import agent, rollout


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


@pytest.mark.parametrize(
    ("share", "steps", "stop", "wanted"),
    [
        (1.0, 1, True, 0.5),  # one of four minibatches, then the KL stopped it
        (1.0, 3, True, 0.5),
        (0.5, 4, True, 0.5),  # every row was seen once
        (0.5, 19, True, 0.5),
        (0.5, 20, False, 1.0),  # nothing stopped it
        (1.0, 20, False, 1.0),
        (0.25, 2, False, 0.5),  # steps whose gradients were not finite do not count as a stop
        (0.015, 1, True, 0.01),  # never below a hundredth
        (0.5, 0, True, 0.5),  # it stopped before any step, which a lower rate does not change
    ],
)
def test_the_share_of_the_linear_rate_follows_early_stops(share, steps, stop, wanted) -> None:
    """Five epochs of four minibatches, factor 2."""
    tensor = torch.tensor(share)
    back_off(tensor, torch.tensor(float(steps)), torch.tensor(stop), 4, 2.0)
    assert tensor.item() == pytest.approx(wanted)


def test_a_factor_of_one_leaves_the_linear_rate_alone() -> None:
    """The schedule as it was configured, whatever stops."""
    share = torch.tensor(1.0)
    for stop in (True, False):
        back_off(share, torch.tensor(1.0), torch.tensor(stop), 4, 1.0)
        assert share.item() == 1.0


def test_a_rate_at_which_updates_stop_at_once_falls_until_they_do_not() -> None:
    """Each update that ends within its first epoch divides the linear rate by 1.5."""
    ppo = agent(learning_rate=5e-2, target_kl=0.01)
    shares, epochs = [], []
    for i in range(8):
        metrics = ppo.update(rollout(ppo, i))
        # The schedule falls from 0.05 to 0 within ten iterations.
        shares.append(metrics.learning_rate.item() / (5e-2 * (1 - i / 9)))
        epochs.append(metrics.epochs.item())
    assert epochs[0] < 1.0 <= max(epochs)
    at_once = [i for i in range(7) if epochs[i] < 1.0]
    for i in at_once:
        assert shares[i + 1] == pytest.approx(shares[i] / 1.5, rel=1e-3)
    resumed = agent(learning_rate=5e-2, target_kl=0.01)
    resumed.load_state_dict(ppo.state_dict())
    assert resumed.linear_share.item() == ppo.linear_share.item() < 1.0
