"""PPO's loss on one minibatch: metrics, and gradients of the mean, log-std and value."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

METRICS = (
    "surrogate_loss",
    "value_loss",
    "entropy",
    "bounds_loss",
    "approx_kl",
    "clip_fraction",
)


class PpoBatch(NamedTuple):
    """Data of a minibatch of B rows from the rollout."""

    normalized_observations: Tensor
    """Normalised observations, the networks' input, shape [B, O]."""
    actions: Tensor
    """Unclipped actions, shape [B, A]."""
    log_probs: Tensor
    """Log-probabilities of the actions under the acting policy, shape [B]."""
    parameters: Tensor
    """Parameters of the acting policy's distributions, such as means, shape [B, P]."""
    values: Tensor
    """Values of the critic when acting, in its normalised units, shape [B]."""
    advantages: Tensor
    """Normalised advantages, shape [B]."""
    returns: Tensor
    """Targets of the critic, in its normalised units, shape [B]."""


class PpoCoefficients(NamedTuple):
    """Coefficients of the loss."""

    clip_ratio: float
    value_loss_coef: float
    clip_value: bool
    entropy_coef: float
    bounds_loss_coef: float

    def tensor(self, device: torch.device) -> Tensor:
        """Returns the coefficients as a tensor on the device, shape [5].

        A captured graph then sees later changes to the tensor.
        """
        return torch.tensor([float(value) for value in self], device=device)


class PpoGradients(NamedTuple):
    """Gradients of the mean loss of a minibatch, and its metrics."""

    mean: Tensor
    """Gradient with respect to the means, shape [B, A]."""
    log_std: Tensor
    """Gradient with respect to the log standard deviations, shape [A]."""
    values: Tensor
    """Gradient with respect to the values, shape [B]."""
    metrics: Tensor
    """Means over the rows, in the order of ``METRICS``, shape [6]."""


def gaussian_ppo_loss(
    mean: Tensor,
    log_std: Tensor,
    values: Tensor,
    batch: PpoBatch,
    old_log_std: Tensor,
    coefficients: Tensor,
) -> PpoGradients:
    """Returns the gradients of PPO's mean loss over B rows, and the means of its metrics.

    The loss is ``surrogate + value_loss_coef * value - entropy_coef * entropy + bounds_loss_coef *
    bounds``. The value loss is half the squared error (with ``clip_value``, the larger of it and
    the clipped one); the bounds loss is the squared excess of the means beyond +-1.1, summed over
    actions. ``approx_kl`` is the analytic KL(old || new).

    Args:
        mean: Current means, shape [B, A], A at most 64.
        log_std: Current log standard deviations, shape [A].
        values: Current values, shape [B].
        batch: The minibatch's data from the rollout.
        old_log_std: Log standard deviations of the acting policy, shape [A].
        coefficients: Coefficients from ``PpoCoefficients.tensor``, shape [5].

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device, or A exceeds 64.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", eqs. 7 and 9.
    """
    return PpoGradients(
        *torch.ops.rlgpu.gaussian_ppo_loss(
            mean,
            log_std,
            values,
            batch.actions,
            batch.log_probs,
            batch.parameters,
            old_log_std,
            batch.values,
            batch.advantages,
            batch.returns,
            coefficients,
        )
    )


def register_fake() -> None:
    """Registers the op's output shapes with torch, for tracing without data."""

    @torch.library.register_fake("rlgpu::gaussian_ppo_loss")
    def _(mean: Tensor, log_std: Tensor, values: Tensor, *_rest: object) -> tuple[Tensor, ...]:
        return (
            mean.new_empty(mean.shape),
            mean.new_empty(log_std.shape),
            mean.new_empty(values.shape),
            mean.new_empty(len(METRICS)),
        )
