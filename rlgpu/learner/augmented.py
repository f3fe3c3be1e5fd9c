"""PPO's advantages and gradients on minibatches that may hold copies of rows of the rollout."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.nn.distributions import Distribution
from rlgpu.nn.distributions.base import Gradients
from rlgpu.ops import METRICS, PpoBatch, PpoCoefficients

_EPS = 1e-8
_OF_THE_ROLLOUT = [METRICS.index(name) for name in ("entropy", "approx_kl", "clip_fraction")]


def ppo_coefficients(config: TrainConfig) -> PpoCoefficients:
    """Returns the coefficients of the loss."""
    return PpoCoefficients(
        clip_ratio=config.clip_ratio,
        value_loss_coef=config.value_loss_coef,
        clip_value=config.clip_value,
        entropy_coef=config.entropy_coef,
        bounds_loss_coef=config.bounds_loss_coef,
    )


def normalized(advantages: Tensor, num_original: int | None) -> Tensor:
    """Returns the advantages of a minibatch with mean 0 and deviation 1, shape [B].

    The statistics are those of the rows of the rollout. A single row becomes 0, as it does when the
    whole rollout is one row.

    Args:
        advantages: Shape [B].
        num_original: As for ``ppo_gradients``.
    """
    original = advantages[:num_original]
    centred = advantages - original.mean()
    if original.shape[0] == 1:  # it has no deviation
        return centred
    return centred / (original.std() + _EPS)


def ppo_gradients(
    distribution: Distribution,
    outputs: Tensor,
    values: Tensor,
    batch: PpoBatch,
    coefficients: Tensor,
    num_original: int | None,
) -> Gradients:
    """Returns the gradients of the mean loss over all rows, and metrics.

    The losses are means over all rows. The entropy, the KL divergence and the clip fraction
    compare the policy with the one that acted, which never saw the copies, so they are means over
    the rows of the rollout. Source: rsl_rl 5.5.1, algorithms/ppo.py.

    Args:
        distribution: The distribution of the actions.
        outputs: Current network outputs, shape [B, P].
        values: Current values, shape [B].
        batch: The minibatch's rows.
        coefficients: Coefficients from ``PpoCoefficients.tensor``, shape [5].
        num_original: Number of rows from the rollout, which come first; None if all are.
    """
    if num_original is None:
        return distribution.ppo_gradients(outputs, values, batch, coefficients)
    parts = (slice(None, num_original), slice(num_original, None))
    first, second = (
        distribution.ppo_gradients(
            outputs[part], values[part], PpoBatch(*(x[part] for x in batch)), coefficients
        )
        for part in parts
    )
    share = num_original / outputs.shape[0]
    metrics = share * first.metrics + (1.0 - share) * second.metrics
    for index in _OF_THE_ROLLOUT:
        metrics[index] = first.metrics[index]
    return Gradients(
        torch.cat((share * first.outputs, (1.0 - share) * second.outputs)),
        torch.cat((share * first.values, (1.0 - share) * second.values)),
        share * first.log_std + (1.0 - share) * second.log_std,
        metrics,
    )
