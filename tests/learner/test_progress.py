"""The KL stop, the adaptive rate and the sums of an update, minibatch by minibatch."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rlgpu.config import TrainConfig
from rlgpu.learner.progress import APPROX_KL, UpdateProgress, account, check_kl
from rlgpu.ops import METRICS

CPU = torch.device("cpu")
CONFIG = TrainConfig(
    target_kl=0.02, schedule="adaptive", adaptive_kl=0.008, min_log_std=-1.0, max_log_std=1.0
)


class Update:
    """Feeds minibatches to an update, whose optimiser steps if the gradients are finite."""

    def __init__(self, **changes) -> None:
        self.config = dataclasses.replace(CONFIG, **changes)
        self.progress = UpdateProgress.fresh(CPU)
        self.rate = torch.tensor(1e-3)
        self.log_std = torch.tensor([-3.0, 0.0, 3.0])

    def minibatch(self, kl: float, grad_norm: float = 2.0) -> None:
        """One minibatch with this KL, whose gradients have this norm."""
        metrics = torch.arange(float(len(METRICS)))
        metrics[APPROX_KL] = kl
        check_kl(self.progress, metrics, self.config)
        norm = torch.tensor(grad_norm)
        account(self.progress, metrics, norm, self.rate, self.log_std, self.config)


def test_the_minibatch_that_stops_the_update_lowers_the_rate() -> None:
    """KL 0.05 exceeds 1.5 x 0.02: no step, the rate falls by 1.5, later ones change nothing."""
    update = Update()
    update.minibatch(kl=0.0)
    update.minibatch(kl=0.05)
    assert update.rate.item() == pytest.approx(1e-3 / 1.5)
    assert update.progress.stop.item()
    assert update.progress.last_kl.item() == pytest.approx(0.05)
    update.minibatch(kl=0.9)
    update.minibatch(kl=0.0)
    assert update.rate.item() == pytest.approx(1e-3 / 1.5)
    assert update.progress.last_kl.item() == pytest.approx(0.05)
    assert update.progress.steps.item() == 1


def test_the_first_minibatch_does_not_raise_the_rate() -> None:
    """Before any step the KL is 0, or a GPU's rounding of 0, and carries no information."""
    update = Update()
    update.minibatch(kl=1e-9)
    assert update.rate.item() == pytest.approx(1e-3)
    update.minibatch(kl=0.001)
    assert update.rate.item() == pytest.approx(1.5e-3)
    update.minibatch(kl=0.01)
    assert update.rate.item() == pytest.approx(1.5e-3)


def test_a_new_update_starts_over() -> None:
    """Flags, sums and steps are cleared; the rate stays."""
    update = Update()
    for kl in (0.0, 0.05):
        update.minibatch(kl)
    update.progress.reset()
    assert not any(value.any() for value in update.progress)
    update.minibatch(kl=0.0)
    assert update.progress.steps.item() == 1
    assert update.rate.item() == pytest.approx(1e-3 / 1.5)


@pytest.mark.parametrize("bad", [torch.inf, torch.nan])
def test_a_skipped_step_is_not_counted(bad) -> None:
    """Non-finite gradients cause no step: the count, the sums and the norm leave them out."""
    update = Update()
    update.minibatch(kl=0.0, grad_norm=bad)
    assert update.progress.steps.item() == 0
    assert not update.progress.sums.any()
    assert update.progress.grad_norm.item() == 0.0
    update.minibatch(kl=0.0, grad_norm=3.0)
    assert update.progress.steps.item() == 1
    assert update.progress.grad_norm.item() == 3.0
    wanted = torch.arange(float(len(METRICS)))
    wanted[APPROX_KL] = 0.0
    assert torch.equal(update.progress.sums, wanted)


def test_the_update_stops_beyond_one_and_a_half_times_the_target() -> None:
    """0.029 continues, 0.031 stops; a target of 0 never stops."""
    for kl, target, stops in ((0.029, 0.02, False), (0.031, 0.02, True), (9.0, 0.0, False)):
        update = Update(target_kl=target)
        update.minibatch(kl)
        assert update.progress.stop.item() == stops


def test_standard_deviations_stay_within_their_bounds() -> None:
    """-3, 0 and 3 are clamped to [-1, 1]."""
    update = Update()
    update.minibatch(kl=0.0)
    assert update.log_std.tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_only_the_adaptive_schedule_follows_the_kl(schedule) -> None:
    """The others leave the rate unchanged."""
    update = Update(schedule=schedule)
    for kl in (0.0, 0.001, 0.05):
        update.minibatch(kl)
    assert update.rate.item() == pytest.approx(1e-3)


def test_the_adaptive_rate_keeps_the_configured_bounds() -> None:
    """From 1e-3 up to 1.2e-3 at most, and down to 0.9e-3 at least."""
    for kl, wanted in ((0.001, 1.2e-3), (0.025, 0.9e-3)):
        update = Update(min_learning_rate=0.9e-3, max_learning_rate=1.2e-3)
        update.minibatch(kl=0.0)
        update.minibatch(kl)
        assert update.rate.item() == pytest.approx(wanted)
