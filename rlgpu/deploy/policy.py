"""A trained policy as layers of torch alone: what is exported, and nothing of training."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgpu.learner import Agent, Dqn, Ppo
from rlgpu.nn.distributions import Categorical
from rlgpu.nn.normalizer import CLIP, RunningNormalizer
from rlgpu.nn.tower import Layers, Tower
from rlgpu.spaces import ObservationSpace

_ACTIVATIONS = {"elu": nn.ELU, "relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


class Signature(NamedTuple):
    """Names of the tensors that a policy takes and returns, and what is remembered."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    memory: tuple[int, int] = (0, 0)
    """Layers and units of a recurrent network; 0 without."""


class DeployedPolicy(nn.Module):
    """From observations as a robot has them to actions as it takes them.

    Observations are normalised within, actions are the most likely ones, clamped to the task's
    limit. Only the columns that the actor sees are taken, in their order.
    """

    def __init__(self, agent: Agent, space: ObservationSpace, clip_actions: float) -> None:
        """Copies a policy's weights to the CPU.

        Args:
            agent: The trained agent.
            space: What it observes.
            clip_actions: Limit of continuous actions; infinite for none.
        """
        super().__init__()
        assert isinstance(agent, Ppo | Dqn)
        tower: Tower = agent.network.actor if isinstance(agent, Ppo) else agent.network.tower
        seen = space.of("actor", "numbers", "image", "mask")
        self.columns = space.columns(seen)
        """Columns of the task's observation that it takes, in their order."""
        self.num_observations, self.dtype = len(self.columns), getattr(torch, space.dtype)
        if self.dtype == torch.float64:
            self.dtype = torch.float32
        place = {column: index for index, column in enumerate(self.columns)}
        self._normalize(agent.observation_normalizer)
        self._numbers = [place[c] for c in tower.columns]
        self._pixels = [
            [place[c] for c in space.columns([part])] for part in space.of("actor", "image")
        ]
        self._mask = [place[c] for c in space.columns(space.of("actor", "mask"))]
        self.images, self.memory = deepcopy(tower.images), deepcopy(tower.memory)
        self.layers = _plain(tower.layers)
        distribution = agent.distribution
        self._choices: tuple[int, ...] = ()
        if isinstance(distribution, Categorical):
            self._choices = tuple(distribution.choices)
        self._dueling = isinstance(agent, Dqn) and agent.config.dqn.dueling
        self._squashed = not self._choices and agent.config.action_distribution == "tanh_gaussian"
        self.num_actions = distribution.num_actions
        self._limit = clip_actions
        self.cpu().eval().requires_grad_(False)

    def _normalize(self, normalizer: RunningNormalizer) -> None:
        """Takes over a normaliser's statistics."""
        self._is_normalized = normalizer.enabled
        columns = torch.tensor(self.columns)
        self.register_buffer("scale", normalizer.scale.cpu()[columns].clone())
        self.register_buffer("offset", normalizer.offset.cpu()[columns].clone())
        self.scale: Tensor
        self.offset: Tensor

    @property
    def signature(self) -> Signature:
        """Names of its tensors, as rsl_rl's exports have them."""
        if self.memory is None:
            return Signature(("obs",), ("actions",))
        parts = ("h", "c")[: self.memory.num_parts]
        return Signature(
            ("obs", *(f"{part}_in" for part in parts)),
            ("actions", *(f"{part}_out" for part in parts)),
            (len(self.memory.cells), self.memory.size),
        )

    def examples(self, rows: int = 1) -> tuple[Tensor, ...]:
        """Returns inputs of zeros: observations [N, O], and the memory, each [L, N, H]."""
        signature, (layers, size) = self.signature, self.signature.memory
        states = [torch.zeros(layers, rows, size) for _ in signature.inputs[1:]]
        return (torch.zeros(rows, self.num_observations, dtype=self.dtype), *states)

    def forward(self, obs: Tensor, *states: Tensor) -> tuple[Tensor, ...] | Tensor:
        """Returns actions [N, A] and, of a recurrent policy, the memory after them."""
        x = obs
        if self._is_normalized:
            x = (obs * self.scale + self.offset).clamp(-CLIP, CLIP)
        x = self._features(x)
        after: list[Tensor] = []
        if self.memory is not None:
            x, after = self._remember(x, states)
        actions = self._actions(self.layers(x), obs)
        return (actions, *after) if after else actions

    def _features(self, x: Tensor) -> Tensor:
        if not self._pixels and len(self._numbers) == self.num_observations:
            return x
        parts = [x[:, self._numbers]] if self._numbers else []
        for encode, pixels in zip(self.images, self._pixels, strict=True):
            parts.append(encode(x[:, pixels[0] : pixels[-1] + 1]))
        return torch.cat([part.float() for part in parts], dim=-1)

    def _remember(self, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Takes a step of the recurrent layers; returns their output and memories [L, N, H]."""
        assert self.memory is not None
        after: list[list[Tensor]] = [[] for _ in states]
        for layer, cell in enumerate(self.memory.cells):
            own = [state[layer] for state in states]
            found = cell(x, (own[0], own[1])) if len(own) == 2 else (cell(x, own[0]),)
            for part, value in zip(after, found, strict=True):
                part.append(value)
            x = found[0]
        return x, [torch.stack(part) for part in after]

    def _actions(self, outputs: Tensor, obs: Tensor) -> Tensor:
        if self._dueling:  # the best choice does not depend on the state's value
            outputs = outputs[:, :-1]
        if not self._choices:
            means = outputs[:, : self.num_actions]
            means = means.tanh() if self._squashed else means
            return means.clamp(-self._limit, self._limit)
        outputs = outputs[:, : sum(self._choices)]
        if self._mask:
            forbidden = obs[:, self._mask[0] : self._mask[-1] + 1] == 0
            outputs = outputs.masked_fill(forbidden, -torch.inf)
        best = [part.argmax(-1) for part in outputs.split(list(self._choices), dim=-1)]
        return torch.stack(best, dim=-1)


class Reordered(nn.Module):
    """A policy without memory that takes its observation in another order of columns."""

    def __init__(self, policy: DeployedPolicy, columns: Sequence[int]) -> None:
        """Wraps a policy.

        Args:
            policy: The policy.
            columns: For each of its columns, the one of what it is given here.
        """
        super().__init__()
        self._policy, self._columns = policy, list(columns)
        self.signature = policy.signature
        self.eval()

    def examples(self, rows: int = 1) -> tuple[Tensor, ...]:
        """Returns inputs of zeros."""
        return self._policy.examples(rows)

    def forward(self, obs: Tensor) -> Tensor:
        """Returns actions, [N, O] -> [N, A]."""
        actions: Tensor = self._policy(obs[:, self._columns])
        return actions


def _plain(layers: Layers) -> nn.Sequential:
    """Returns layers one by one, without the fused op."""
    modules: list[nn.Module] = []
    for index, (weight, bias) in enumerate(layers.weights_and_biases):
        if index:
            modules += [deepcopy(layers.norms[index - 1])] if layers.norms else []
            modules.append(_ACTIVATIONS[layers.activation]())
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data.copy_(weight.detach())
        linear.bias.data.copy_(bias.detach())
        modules.append(linear)
    return nn.Sequential(*modules)
