"""The actor-critic: ELU layers, a Gaussian mean, a learned log-std that no state changes, a value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn


class Policy(NamedTuple):
    """What the network says of a batch of observations."""

    mean: Tensor
    """Means of the actions, shape [B, A]."""
    values: Tensor
    """Values in the critic's normalised units, shape [B]."""


class ActorCritic(nn.Module):
    """Maps normalised observations to action means and values."""

    def __init__(
        self,
        num_observations: int,
        num_actions: int,
        *,
        hidden_sizes: Sequence[int],
        separate: bool,
        weight_init: Literal["torch", "orthogonal"],
        initial_log_std: float,
        elu_: Callable[[Tensor], Tensor],
    ) -> None:
        """Builds the layers.

        Args:
            num_observations: Width of the input, O.
            num_actions: Width of the mean, A.
            hidden_sizes: Units of each hidden layer.
            separate: Whether the critic has hidden layers of its own.
            weight_init: ``torch``: its default for linear layers, as rl_games and rsl_rl use;
                ``orthogonal``: gain sqrt(2), 0.01 for the mean, 1 for the value, zero biases.
            initial_log_std: Logarithm of the standard deviation at the start.
            elu_: The activation; may overwrite its input.
        """
        super().__init__()
        self._elu_ = elu_
        sizes = [num_observations, *hidden_sizes]
        self.actor_layers = _layers(sizes)
        self.critic_layers = _layers(sizes) if separate else None
        self.mean_head = nn.Linear(sizes[-1], num_actions)
        self.value_head = nn.Linear(sizes[-1], 1)
        self.log_std = nn.Parameter(torch.full((num_actions,), float(initial_log_std)))
        if weight_init == "orthogonal":
            self._orthogonal()

    def forward(self, observations: Tensor) -> Policy:
        """Returns means and values of normalised observations, shape [B, O]."""
        features = self._hidden(self.actor_layers, observations)
        critic_features = features
        if self.critic_layers is not None:
            critic_features = self._hidden(self.critic_layers, observations)
        return Policy(self.mean_head(features), self.value_head(critic_features).squeeze(-1))

    def value(self, observations: Tensor) -> Tensor:
        """Returns values alone, [B, O] -> [B]."""
        layers = self.actor_layers if self.critic_layers is None else self.critic_layers
        values: Tensor = self.value_head(self._hidden(layers, observations))
        return values.squeeze(-1)

    def _hidden(self, layers: nn.ModuleList, x: Tensor) -> Tensor:
        for layer in layers:
            x = self._elu_(layer(x))
        return x

    def _orthogonal(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                gain = {self.mean_head: 0.01, self.value_head: 1.0}.get(module, math.sqrt(2))
                nn.init.orthogonal_(module.weight, gain)
                nn.init.zeros_(module.bias)


def _layers(sizes: Sequence[int]) -> nn.ModuleList:
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    return nn.ModuleList(nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairs)
