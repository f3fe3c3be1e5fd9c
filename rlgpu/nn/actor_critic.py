"""The actor-critic: the parameters of a distribution of actions, and a value."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgpu.config import TrainConfig
from rlgpu.nn.distributions import Distribution
from rlgpu.nn.memory import Sequences
from rlgpu.nn.tower import Tower
from rlgpu.ops import Kernels, Precision
from rlgpu.spaces import ObservationSpace


class Policy(NamedTuple):
    """Outputs of the network for a batch of observations."""

    outputs: Tensor
    """Parameters of the actions' distributions, such as means, shape [B, P]."""
    values: Tensor
    """Values in the critic's normalised units, shape [B]."""
    memory: Tensor | None = None
    """What a recurrent network remembers after these observations, shape [B, M]."""


class ActorCritic(nn.Module):
    """Maps normalised observations to distributions of actions and values.

    With a shared trunk, a single output layer computes both the parameters and the value; otherwise
    the critic is a separate network, always so if it sees what the actor does not.
    """

    def __init__(
        self,
        space: ObservationSpace,
        distribution: Distribution,
        config: TrainConfig,
        kernels: Kernels,
        precision: Precision = "fp32",
    ) -> None:
        """Builds the layers.

        Args:
            space: The observations.
            distribution: Distribution of the actions; a part of the network, as it may have
                parameters of its own.
            config: Contains the kinds and sizes of the layers and their initial weights.
            kernels: Implementation of the ops.
            precision: Precision of the operands of matrix products.
        """
        super().__init__()
        self.distribution = distribution
        self.num_outputs, self.num_observations = distribution.num_outputs, space.size
        masks = space.columns(space.of("actor", "mask"))
        self._mask = slice(masks[0], masks[-1] + 1) if masks else None
        separate = config.has_separate_critic or space.is_asymmetric
        built = (config, kernels, precision)
        own = self.num_outputs + (0 if separate else 1)
        self.actor = Tower(space, "actor", own, config.hidden_sizes, *built)
        self.critic = (
            Tower(space, "critic", 1, config.critic_hidden_sizes or config.hidden_sizes, *built)
            if separate
            else None
        )
        self._memories = [tower.memory_size for tower in self.towers]
        self.memory_size = sum(self._memories)
        """Numbers M that are remembered of an environment; 0 unless recurrent."""
        if config.weight_init == "orthogonal":
            self._orthogonal()

    @property
    def towers(self) -> list[Tower]:
        """The actor or the shared network, and a separate critic."""
        return [self.actor, *([self.critic] if self.critic else [])]

    @property
    def is_plain(self) -> bool:
        """Whether no choice is masked and all networks are linear layers in one op each."""
        return self._mask is None and all(tower.is_plain for tower in self.towers)

    def forward(self, observations: Tensor, memory: Tensor | None = None) -> Policy:
        """Returns parameters and values of one step.

        Args:
            observations: Normalised observations, shape [B, O].
            memory: What is remembered so far, shape [B, M]; None unless recurrent.
        """
        actors, critics = self._parted(memory)
        outputs, actors = self.actor(observations, actors)
        if self.critic is None:
            return self._policy(observations, outputs, None, actors)
        values, critics = self.critic(observations, critics)
        if actors is not None and critics is not None:
            memory = torch.cat((actors, critics), dim=-1)
        return self._policy(observations, outputs, values, memory)

    def sequences(self, observations: Tensor, sequences: Sequences) -> Policy:
        """Returns parameters and values of whole sequences, by a recurrent network.

        Args:
            observations: Normalised observations, shape [S * B, O], row s * B + b.
            sequences: What was remembered before them, and where episodes ended.
        """
        actors, critics = self._parted(sequences.memory)
        assert actors is not None
        outputs = self.actor.sequences(observations, sequences._replace(memory=actors))
        if self.critic is None:
            return self._policy(observations, outputs, None, None)
        assert critics is not None
        values = self.critic.sequences(observations, sequences._replace(memory=critics))
        return self._policy(observations, outputs, values, None)

    def value(self, observations: Tensor, memory: Tensor | None = None) -> Tensor:
        """Returns only the values, [B, O] -> [B]."""
        actors, critics = self._parted(memory)
        if self.critic is None:
            outputs, _ = self.actor(observations, actors)
        else:
            outputs, _ = self.critic(observations, critics)
        values: Tensor = outputs[:, -1]
        return values

    def _parted(self, memory: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Returns the actor's and the critic's memory."""
        if memory is None or self.critic is None:
            return memory, None
        actors, critics = memory.split(self._memories, dim=-1)
        return actors, critics

    def _policy(
        self, observations: Tensor, outputs: Tensor, values: Tensor | None, memory: Tensor | None
    ) -> Policy:
        if values is None:
            # The backward of split is one operation; each slice would fill a tensor of zeros.
            outputs, values = outputs.split([self.num_outputs, 1], dim=1)  # [B, P + 1]
        if self._mask is not None:
            outputs = outputs.masked_fill(observations[:, self._mask] == 0, -math.inf)
        return Policy(outputs, values.squeeze(-1), memory)

    def groups(self) -> list[list[nn.Parameter]]:
        """Returns all parameters: those of the actor, and those of a separate critic."""
        critics = list(self.critic.parameters()) if self.critic else []
        apart = set(critics)
        others = [parameter for parameter in self.parameters() if parameter not in apart]
        return [others, critics] if critics else [others]

    def _orthogonal(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.orthogonal_(layer.weight, math.sqrt(2))
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        nn.init.orthogonal_(self.actor.layers.output_weight[: self.num_outputs], 0.01)
        nn.init.orthogonal_((self.critic or self.actor).layers.output_weight[-1:], 1.0)
