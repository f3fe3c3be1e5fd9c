"""The actor-critic: ELU layers, the parameters of a distribution of actions, a value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from torch import Tensor, nn

from rlgpu.nn.distributions import Distribution


class Policy(NamedTuple):
    """Outputs of the network for a batch of observations."""

    outputs: Tensor
    """Parameters of the actions' distributions, such as means, shape [B, P]."""
    values: Tensor
    """Values in the critic's normalised units, shape [B]."""


class ActorCritic(nn.Module):
    """Maps normalised observations to distributions of actions and values.

    With a shared trunk, a single output layer computes both the parameters and the value; otherwise
    the critic is a separate network.
    """

    def __init__(
        self,
        num_observations: int,
        distribution: Distribution,
        *,
        hidden_sizes: Sequence[int],
        separate: bool,
        weight_init: Literal["torch", "orthogonal"],
        mlp: Callable[[Tensor, Sequence[Tensor], Sequence[Tensor]], Tensor],
    ) -> None:
        """Builds the layers.

        Args:
            num_observations: Width of the input, O.
            distribution: Distribution of the actions; a part of the network, as it may have
                parameters of its own.
            hidden_sizes: Units of each hidden layer.
            separate: Whether the critic has separate hidden layers.
            weight_init: ``torch``: torch's default for linear layers, as in rl_games and rsl_rl;
                ``orthogonal``: gain sqrt(2), 0.01 for the distribution, 1 for the value, and zero
                biases.
            mlp: Implementation of the layers, such as ``rlgpu.ops.mlp``.
        """
        super().__init__()
        self.distribution, self._mlp = distribution, mlp
        self.num_outputs = distribution.num_outputs
        sizes = [num_observations, *hidden_sizes]
        self.actor = _layers([*sizes, self.num_outputs + (0 if separate else 1)])
        self.critic = _layers([*sizes, 1]) if separate else None
        if weight_init == "orthogonal":
            self._orthogonal()

    def forward(self, observations: Tensor) -> Policy:
        """Returns parameters and values for normalised observations of shape [B, O]."""
        outputs = self._run(self.actor, observations)
        if self.critic is not None:
            return Policy(outputs, self._run(self.critic, observations).squeeze(-1))
        # The backward of split is one operation; each slice would fill a tensor of zeros instead.
        parameters, values = outputs.split([self.num_outputs, 1], dim=1)  # [B, P + 1]
        return Policy(parameters, values.squeeze(-1))

    def value(self, observations: Tensor) -> Tensor:
        """Returns only the values, [B, O] -> [B]."""
        return self._run(self.critic or self.actor, observations)[:, -1]

    def _run(self, layers: nn.ModuleList, x: Tensor) -> Tensor:
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        return self._mlp(x, [layer.weight for layer in linear], [layer.bias for layer in linear])

    def _orthogonal(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, math.sqrt(2))
                nn.init.zeros_(layer.bias)
        nn.init.orthogonal_(_output(self.actor)[: self.num_outputs], 0.01)
        nn.init.orthogonal_(_output(self.critic or self.actor)[-1:], 1.0)


def _output(layers: nn.ModuleList) -> Tensor:
    """Returns the last layer's weights, one row per output."""
    last = layers[-1]
    assert isinstance(last, nn.Linear)
    return last.weight.detach()


def _layers(sizes: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(sizes))
