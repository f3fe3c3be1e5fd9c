"""Adam on a network's flat parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.nn import FlatParameters
from rlgpu.ops import AdamHyperparameters, AdamState, Kernels


class Optimizer:
    """One step for all parameters, or one for each of their groups with its own learning rate."""

    def __init__(self, flat: FlatParameters, config: TrainConfig, kernels: Kernels) -> None:
        """Starts with zero moments.

        Args:
            flat: The parameters; a second group is a separate critic's.
            config: Contains the learning rates and how gradients are clipped.
            kernels: Implementation of the ops.
        """
        self._kernels = kernels
        self.constants = AdamHyperparameters(
            eps=config.adam_eps, max_grad_norm=config.max_grad_norm
        )
        ratio = config.critic_learning_rate / config.learning_rate if config.learning_rate else 0.0
        apart = ratio > 0 or config.clip_gradients == "per_network"
        self.places = flat.groups if apart else [slice(0, flat.params.numel())]
        """Where each group of parameters lies, G of them."""
        self.ratios = [ratio if i else 0.0 for i in range(len(self.places))]
        """Ratio of each group's learning rate to the first one's; 0 for the same rate."""
        device = flat.params.device
        self.state = AdamState(
            torch.zeros_like(flat.params),
            torch.zeros_like(flat.params),
            torch.zeros(len(self.places), dtype=torch.int64, device=device),
            torch.zeros(len(self.places), dtype=torch.int64, device=device),
        )
        """Moments of all parameters; steps and skipped steps of each group, shape [G]."""
        self._groups = [
            (
                flat.params[place],
                flat.grads[place],
                AdamState(
                    self.state.exp_avg[place],
                    self.state.exp_avg_sq[place],
                    self.state.step[i],
                    self.state.nonfinite_steps[i],
                ),
                self.ratios[i],
            )
            for i, place in enumerate(self.places)
        ]

    @property
    def nonfinite_steps(self) -> Tensor:
        """Steps skipped because gradients were not finite, shape []."""
        return self.state.nonfinite_steps.sum()

    def step(self, learning_rate: Tensor, stop: Tensor) -> Tensor:
        """Takes one step unless ``stop`` is set or the gradients are not finite.

        Args:
            learning_rate: Of the first group; the others keep their ratio to it, shape [].
            stop: Shape [], bool.

        Returns:
            The norm of all gradients before clipping, shape [].
        """
        norms = [
            self._kernels.adam_step(
                params,
                state,
                grads,
                learning_rate * ratio if ratio else learning_rate,
                stop,
                self.constants,
            )
            for params, grads, state, ratio in self._groups
        ]
        return norms[0] if len(norms) == 1 else torch.stack(norms).square().sum().sqrt()

    def state_dict(self) -> dict[str, Tensor]:
        """Returns copies of the moments and counts."""
        return {name: value.clone() for name, value in self.state._asdict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        for name, value in self.state._asdict().items():
            value.copy_(state[name])
