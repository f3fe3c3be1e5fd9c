"""The metrics of an update."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

Number = TypeVar("Number")


class UpdateMetrics(NamedTuple, Generic[Number]):
    """Metrics of an update; on the device, every field has shape [].

    To add a metric, add a field here and its value where ``Ppo.update`` returns; log files and
    plots then include it automatically.
    """

    surrogate_loss: Number
    value_loss: Number
    """Half the squared error, in the critic's normalised units."""
    entropy: Number
    bounds_loss: Number
    approx_kl: Number
    """Mean analytic KL(old || new) over the minibatches with an optimiser step."""
    clip_fraction: Number
    last_kl: Number
    """KL(old || new) of the last minibatch evaluated, possibly the one that stopped the update."""
    grad_norm: Number
    learning_rate: Number
    epochs: Number
    """Optimiser steps divided by the minibatches per epoch; less than ``num_epochs`` if the KL
    stopped the update."""
    explained_variance: Number
    log_std: Number
    """Mean log standard deviation of the actions; 0 for discrete ones."""
    nonfinite_steps: Number
    """Optimiser steps skipped since the start because the gradients were not finite."""
