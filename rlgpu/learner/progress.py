"""What an update knows of itself while it runs: all on the device, read by nobody on the host."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.learner.schedules import adaptive_learning_rate
from rlgpu.ops import METRICS

APPROX_KL = METRICS.index("approx_kl")
KL_STOP_FACTOR = 1.5
"""Updates stop once a minibatch's KL exceeds this times ``target_kl``. Source: spinningup, SB3."""


class UpdateProgress(NamedTuple):
    """Overwritten by every minibatch of an update."""

    stop: Tensor
    """Whether the KL has ended the update, shape [], bool."""
    steps: Tensor
    """Optimiser steps taken, shape []."""
    sums: Tensor
    """Sums of the metrics over those steps, shape [6]."""
    last_kl: Tensor
    """KL(old || new) of the last minibatch looked at, shape []."""
    grad_norm: Tensor
    """Norm of the last gradients that led to a step, shape []."""

    @classmethod
    def fresh(cls, device: torch.device) -> UpdateProgress:
        """Returns the progress of an update that has not begun."""
        zeros = [torch.zeros(shape, device=device) for shape in ((), (len(METRICS),), (), ())]
        return cls(torch.zeros((), dtype=torch.bool, device=device), *zeros)

    def reset(self) -> None:
        """Starts over."""
        for value in self:
            value.zero_()


def judge(progress: UpdateProgress, metrics: Tensor, config: TrainConfig) -> None:
    """Raises the stop flag where the minibatch's KL is too large.

    Args:
        progress: Its flag is raised, never lowered; ``last_kl`` is kept once it is.
        metrics: The minibatch's metrics, shape [6].
        config: ``target_kl``; 0 never stops.
    """
    progress.last_kl.copy_(torch.where(progress.stop, progress.last_kl, metrics[APPROX_KL]))
    if config.target_kl > 0:
        progress.stop.logical_or_(metrics[APPROX_KL] > KL_STOP_FACTOR * config.target_kl)


def account(
    progress: UpdateProgress,
    metrics: Tensor,
    grad_norm: Tensor,
    learning_rate: Tensor,
    log_std: Tensor,
    config: TrainConfig,
) -> None:
    """Adds up a minibatch that led to a step, and applies what follows it.

    A skipped minibatch changes nothing.

    Args:
        progress: Overwritten.
        metrics: The minibatch's metrics, shape [6].
        grad_norm: Norm of its gradients, shape [].
        learning_rate: Adapted where the schedule says so, shape [].
        log_std: Clamped to its bounds, shape [A].
        config: The schedule and the bounds.
    """
    taken = ~progress.stop
    progress.sums.add_(torch.where(taken, metrics, 0.0))
    progress.steps.add_(taken)
    progress.grad_norm.copy_(torch.where(taken, grad_norm, progress.grad_norm))
    log_std.clamp_(config.min_log_std, config.max_log_std)
    if config.schedule == "adaptive":
        adapted = adaptive_learning_rate(
            learning_rate,
            metrics[APPROX_KL],
            config.adaptive_kl,
            config.min_learning_rate,
            config.max_learning_rate,
        )
        learning_rate.copy_(torch.where(taken, adapted, learning_rate))
