"""Random updates of PPO: networks in flat parameters, rollouts, and what an update overwrites."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from rlgpu.ops import (
    AdamHyperparameters,
    AdamState,
    Layer,
    PpoBatch,
    PpoCoefficients,
    Precision,
    UpdateNetworks,
    UpdateRules,
    has_ppo_update,
    mlp,
)

CPU = torch.device("cpu")
NEEDS_AMX = pytest.mark.skipif(not has_ppo_update(CPU, "bf16"), reason="needs a CPU with AMX")
RULES = UpdateRules(0.0, 0.008, 1e-6, 1e-2, -5.0, 2.0)


class State(NamedTuple):
    """What an update overwrites."""

    params: Tensor
    grads: Tensor
    adam: AdamState
    progress: list[Tensor]
    learning_rate: Tensor


def networks_of(
    sizes: list[int],
    num_outputs: int,
    separate: bool,
    activation: str,
    choices: list[int],
    seen: tuple[list[int], ...] = (),
    precision: Precision = "fp32",
) -> tuple[UpdateNetworks, int]:
    """Returns the layout of networks with these inputs and hidden layers, and its size.

    seen: The columns that each network sees, if not all.
    """
    at, layers, ends = 0, [], []
    outputs = [[num_outputs], [1]] if separate else [[num_outputs + 1]]
    log_std = 0 if choices else num_outputs
    at = log_std
    for number, last in enumerate(outputs):
        inputs = len(seen[number]) if seen else sizes[0]
        for width, units in pairwise([inputs, *sizes[1:], *last]):
            layers.append(Layer(number, width, units, at, at + width * units))
            at += width * units + units
        ends.append(at)
    groups = [slice(a, b) for a, b in pairwise([0, *ends])]
    ratios = [0.0, *[0.5] * (len(groups) - 1)]
    columns = [column for part in seen for column in part]
    made = UpdateNetworks(layers, activation, 0, choices, groups, ratios, precision, columns)  # type: ignore[arg-type]
    return made, at


def outputs_of(params: Tensor, networks: UpdateNetworks, observations: Tensor) -> Tensor:
    """Returns the outputs of the first network."""
    layers = [layer for layer in networks.layers if layer.network == 0]
    if networks.columns:
        observations = observations[:, networks.columns[: layers[0].width]]
    weights = [params[x.weight : x.bias].view(x.units, x.width) for x in layers]
    biases = [params[x.bias : x.bias + x.units] for x in layers]
    return mlp(observations, weights, biases, activation=networks.activation)


def rollout_of(
    params: torch.Tensor,
    networks: UpdateNetworks,
    rows: int,
    width: int,
    num_outputs: int,
    choices: tuple[int, ...],
    noise: float,
    g: torch.Generator,
) -> list[torch.Tensor]:
    """Returns the columns of a rollout by a policy near that of some parameters."""
    randn = lambda *shape: torch.randn(*shape, generator=g)  # noqa: E731
    observations = randn(rows, width)
    parameters = outputs_of(params, networks, observations)[:, :num_outputs]
    parameters = parameters + noise * randn(rows, num_outputs)
    columns = [torch.randint(n, (rows,), generator=g).float() for n in choices]
    if choices:
        parts = parameters.split(list(choices), -1)
        actions = torch.stack(columns, -1)
        pairs = zip(parts, columns, strict=True)
        log_probs = sum(torch.distributions.Categorical(logits=x).log_prob(y) for x, y in pairs)
    else:
        actions = parameters + 0.6 * randn(rows, num_outputs)
        old = torch.distributions.Normal(parameters, math.exp(-0.5))
        log_probs = old.log_prob(actions).sum(-1)
    return [observations, actions, log_probs, parameters, randn(rows), randn(rows), randn(rows)]


def problem(
    *,
    rows: int = 640,
    sizes: tuple[int, ...] = (10, 32, 16),
    separate: bool = False,
    activation: str = "elu",
    choices: tuple[int, ...] = (),
    num_actions: int = 3,
    epochs: int = 2,
    num_minibatches: int = 4,
    clip_value: bool = True,
    dtype: torch.dtype = torch.float32,
    learning_rate: float = 1e-3,
    noise: float = 0.3,
    seen: tuple[list[int], ...] = (),
    precision: Precision = "fp32",
    **given: Any,
) -> tuple[State, dict[str, Any]]:
    """Returns what an update overwrites, and its other arguments, of random data."""
    g = torch.Generator().manual_seed(0)
    num_outputs = sum(choices) or num_actions
    how = (activation, list(choices), seen, precision)
    networks, size = networks_of(list(sizes), num_outputs, separate, *how)
    params = 0.25 * torch.randn(size, generator=g)
    if not choices:
        params[:num_actions] = -0.5
    batch = rollout_of(params, networks, rows, sizes[0], num_outputs, choices, noise, g)
    coefficients = PpoCoefficients(0.2, 2.0, clip_value, 0.01, 1e-2).tensor(CPU)
    ids = torch.stack([torch.randperm(rows, generator=g) for _ in range(epochs)])
    flags = torch.tensor([False, False])
    progress = [*flags.unbind(), *(torch.zeros(s, dtype=dtype) for s in ((), (6,), (), (), (2,)))]
    mean, other = 0.01 * torch.randn(2, size, generator=g).to(dtype)
    counts = [torch.full((len(networks.groups),), n, dtype=torch.int64) for n in (50, 0)]
    state = State(
        params.to(dtype),
        torch.zeros(size, dtype=dtype),
        AdamState(mean, 100.0 * other.square(), *counts),
        progress,
        torch.tensor(learning_rate, dtype=dtype),
    )
    arguments = {
        "rollout": PpoBatch(*(x.to(dtype) for x in batch)),
        "ids": ids,
        "old_log_std": torch.full((num_actions,), -0.5, dtype=dtype),
        "coefficients": coefficients.to(dtype),
        "networks": networks,
        "num_minibatches": num_minibatches,
        "adam": AdamHyperparameters(max_grad_norm=1.0),
        "rules": RULES,
    }
    return state, arguments | given
