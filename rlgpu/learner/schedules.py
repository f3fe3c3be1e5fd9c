"""Learning rates as pure functions of tensors, so that no value is baked into a CUDA graph."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.config import DqnConfig, TrainConfig

LEAST_SHARE = 0.01
"""Least share of the linear rate that ``back_off`` goes down to."""


def anneal(
    learning_rate: Tensor,
    config: TrainConfig,
    iteration: Tensor,
    max_iterations: int,
    share: Tensor | float = 1.0,
) -> None:
    """Sets the rate of an iteration if the schedule is linear, and otherwise leaves it alone.

    Args:
        learning_rate: Overwritten, shape [].
        config: Contains the schedule and its ends.
        iteration: Iterations completed, shape [].
        max_iterations: Total iterations of the run.
        share: Share of the schedule's rate to take, shape [], from ``back_off``.
    """
    if config.schedule == "linear":
        rate = linear_learning_rate(
            config.learning_rate,
            config.min_learning_rate,
            iteration,
            max_iterations,
            end=config.linear_end,
        )
        learning_rate.copy_(rate * share)


def linear_learning_rate(
    initial: float, minimum: float, iteration: Tensor, max_iterations: int, *, end: str = "last"
) -> Tensor:
    """Returns a rate that decreases linearly from ``initial`` to ``minimum`` over the run.

    Args:
        initial: Rate of iteration 0.
        minimum: Rate at the end.
        iteration: Iterations completed, shape [].
        max_iterations: Total iterations of the run.
        end: Whether the end is the ``last`` iteration or the one ``after_last``.

    Returns:
        The rate, shape [].
    """
    span = max_iterations if end == "after_last" else max(max_iterations - 1, 1)
    remaining = (1.0 - iteration / span).clamp(min=0.0)
    return minimum + (initial - minimum) * remaining


def exploration_rate(dqn: DqnConfig, iteration: Tensor, max_iterations: int) -> Tensor:
    """Returns the probability of a random choice, which falls linearly, shape [].

    Args:
        dqn: Contains both ends and the part of the run in between.
        iteration: Iterations completed, shape [].
        max_iterations: Total iterations of the run.
    """
    part = iteration / max(max_iterations * dqn.exploration_fraction, 1e-9)
    change = dqn.final_exploration - dqn.initial_exploration
    return dqn.initial_exploration + change * part.clamp(max=1.0)


def back_off(
    share: Tensor, steps: Tensor, stop: Tensor, num_minibatches: int, factor: float
) -> None:
    """Sets the share of the linear rate that the next update takes.

    Where a single step passes the KL limit, each update ends after that step, for hundreds of
    iterations if nothing but the schedule lowers the rate. So an update that stopped within its
    first epoch lowers the share, and one that did not stop raises it again, up to 1. An update that
    stopped before its first step leaves it: no rate changes the KL there.

    Args:
        share: Share that the update took, overwritten, shape [].
        steps: Optimiser steps of the update, shape [].
        stop: Whether the KL stopped the update, shape [], bool.
        num_minibatches: Minibatches per epoch.
        factor: By which the share falls and rises; 1 leaves it alone.
    """
    too_fast = (steps > 0) & (steps < num_minibatches)
    lowered = torch.where(too_fast, share / factor, share).clamp(min=LEAST_SHARE)
    share.copy_(torch.where(stop, lowered, (share * factor).clamp(max=1.0)))


def adaptive_learning_rate(
    learning_rate: Tensor, approx_kl: Tensor, target_kl: float, low: float, high: float
) -> Tensor:
    """Returns the rate, divided by 1.5 if the KL is too large, multiplied by 1.5 if too small.

    Args:
        learning_rate: Current rate, shape [].
        approx_kl: KL(old || new) of the last minibatch, shape [].
        target_kl: Target KL; from half to twice this value the rate stays unchanged.
        low: Lower limit of the rate.
        high: Upper limit of the rate.

    Source: rl_games, common/schedulers.py, AdaptiveScheduler.
    """
    factor = torch.where(approx_kl > 2.0 * target_kl, 1 / 1.5, 1.0)
    factor = torch.where(approx_kl < 0.5 * target_kl, 1.5, factor)
    return (learning_rate * factor).clamp(low, high)
