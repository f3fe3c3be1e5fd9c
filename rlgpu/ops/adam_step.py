"""Adam on one flat parameter buffer, with the learning rate and stop flag on the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class AdamState(NamedTuple):
    """State of Adam between steps; all of it is saved in checkpoints."""

    exp_avg: Tensor
    """Running mean of the gradients, shape [P]."""
    exp_avg_sq: Tensor
    """Running mean of the squared gradients, shape [P]."""
    step: Tensor
    """Steps taken, shape [], int64."""
    nonfinite_steps: Tensor
    """Steps skipped because the gradients were not finite, not counting those that ``stop``
    skips anyway, shape [], int64."""

    @classmethod
    def fresh(cls, params: Tensor) -> AdamState:
        """Returns the state before the first step, on the parameters' device."""
        count = torch.zeros((), dtype=torch.int64, device=params.device)
        return cls(torch.zeros_like(params), torch.zeros_like(params), count, count.clone())


class AdamHyperparameters(NamedTuple):
    """Constant hyperparameters of Adam."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    max_grad_norm: float = 0.0
    """Global gradient norm to clip to; 0 disables clipping."""


def adam_step(
    params: Tensor,
    state: AdamState,
    grads: Tensor,
    learning_rate: Tensor,
    stop: Tensor,
    hyperparameters: AdamHyperparameters,
) -> Tensor:
    """Takes one step in place, unless ``stop`` is set or the gradients are not finite.

    Args:
        params: Parameters, overwritten, shape [P].
        state: Adam's state, overwritten.
        grads: Gradients, shape [P].
        learning_rate: Learning rate, shape [].
        stop: Whether to leave everything unchanged, shape [], bool.
        hyperparameters: Constants.

    Returns:
        The global norm of the gradients before clipping, shape [].

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device, or an output is not contiguous.

    Source: Kingma and Ba 2015, "Adam", algorithm 1.
    """
    result: Tensor = torch.ops.rlgpu.adam_step(
        params, *state, grads, learning_rate, stop, *hyperparameters
    )
    return result


def register_fake() -> None:
    """Registers the op's output shape with torch, for tracing without data."""

    @torch.library.register_fake("rlgpu::adam_step")
    def _(params: Tensor, *_rest: object) -> Tensor:
        return params.new_empty(())
