"""State of one update, on the device: whether the KL stopped it, and sums of its metrics."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.learner.schedules import adaptive_learning_rate
from rlgpu.ops import METRICS

APPROX_KL = METRICS.index("approx_kl")
KL_STOP_FACTOR = 1.5
"""An update stops once a minibatch's KL exceeds this times ``target_kl``.

Source: spinningup, SB3.
"""


class UpdateProgress(NamedTuple):
    """Progress of an update; every minibatch overwrites it."""

    stop: Tensor
    """Whether the KL has ended the update, shape [], bool."""
    stopped_before: Tensor
    """Whether the KL had ended it before the current minibatch, shape [], bool."""
    steps: Tensor
    """Optimiser steps taken, shape []."""
    sums: Tensor
    """Sums of the metrics over those steps, shape [6]."""
    last_kl: Tensor
    """KL(old || new) of the last minibatch evaluated, shape []."""
    grad_norm: Tensor
    """Gradient norm of the last step taken, shape []."""
    epoch_kl: Tensor
    """Sum of the KLs of the running epoch's minibatches, and their number, shape [2]."""

    @classmethod
    def fresh(cls, device: torch.device) -> UpdateProgress:
        """Returns the progress of an update that has not begun."""
        flags = [torch.zeros((), dtype=torch.bool, device=device) for _ in range(2)]
        zeros = [torch.zeros(shape, device=device) for shape in ((), (len(METRICS),), (), (), (2,))]
        return cls(*flags, *zeros)

    def reset(self) -> None:
        """Resets everything to zero for a new update."""
        for value in self:
            value.zero_()


def check_kl(progress: UpdateProgress, metrics: Tensor, config: TrainConfig) -> None:
    """Sets the stop flag if the minibatch's KL is too large.

    Args:
        progress: Its flag is set but never cleared; once it is set, ``last_kl`` is kept.
        metrics: The minibatch's metrics, shape [6].
        config: Contains ``target_kl``; 0 disables stopping.
    """
    progress.stopped_before.copy_(progress.stop)
    progress.last_kl.copy_(torch.where(progress.stop, progress.last_kl, metrics[APPROX_KL]))
    if config.target_kl > 0:
        progress.stop.logical_or_(metrics[APPROX_KL] > KL_STOP_FACTOR * config.target_kl)


def adapt(
    progress: UpdateProgress,
    metrics: Tensor,
    learning_rate: Tensor,
    config: TrainConfig,
    *,
    ends_epoch: bool,
) -> None:
    """Adapts the learning rate to a minibatch's KL, or at the end of an epoch to the mean KL.

    Minibatches after the stop have no effect. The minibatch that set the flag takes no step, but it
    does lower the rate, since it shows that the rate is too high; it also ends its epoch.
    Minibatches before the first step do not adapt it: the policy has not changed, so their KL is 0
    (``adapt_from_start`` has them adapt it nevertheless).

    Args:
        progress: Progress of the update.
        metrics: The minibatch's metrics, shape [6].
        learning_rate: Overwritten, shape [].
        config: Contains the schedule.
        ends_epoch: Whether the minibatch is the last of its epoch.
    """
    due, approx_kl = ~progress.stopped_before, metrics[APPROX_KL]
    if config.adapt_when == "after_epoch":
        counted = torch.stack((approx_kl, torch.ones_like(approx_kl)))
        total = progress.epoch_kl + torch.where(due, counted, 0.0)
        approx_kl = total[0] / total[1].clamp(min=1.0)
        if not ends_epoch:
            due = due & progress.stop
        progress.epoch_kl.copy_(torch.where(due, 0.0, total))
    elif not config.adapt_from_start:
        due = due & (progress.steps > 0)
    adapted = adaptive_learning_rate(
        learning_rate,
        approx_kl,
        config.adaptive_kl,
        config.min_learning_rate,
        config.max_learning_rate,
    )
    learning_rate.copy_(torch.where(due, adapted, learning_rate))


def account(
    progress: UpdateProgress,
    metrics: Tensor,
    grad_norm: Tensor,
    learning_rate: Tensor,
    log_std: Tensor,
    config: TrainConfig,
    *,
    ends_epoch: bool = False,
) -> None:
    """Adds a minibatch's metrics to the sums, adapts the learning rate and clamps the log-std.

    Minibatches after the stop have no effect, and the one that set the flag takes no step.

    Args:
        progress: Progress of the update, overwritten.
        metrics: The minibatch's metrics, shape [6].
        grad_norm: Norm of its gradients, shape []; not finite if the step was skipped.
        learning_rate: Overwritten if the schedule is adaptive, shape [].
        log_std: Clamped to its bounds in place, shape [A].
        config: Contains the schedule and the bounds.
        ends_epoch: Whether the minibatch is the last of its epoch.
    """
    if config.schedule == "adaptive" and config.adapt_when != "before_step":
        adapt(progress, metrics, learning_rate, config, ends_epoch=ends_epoch)
    taken = ~progress.stop & grad_norm.isfinite()
    progress.sums.add_(torch.where(taken, metrics, 0.0))
    progress.steps.add_(taken)
    progress.grad_norm.copy_(torch.where(taken, grad_norm, progress.grad_norm))
    log_std.clamp_(config.min_log_std, config.max_log_std)
