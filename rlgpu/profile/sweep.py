"""Times of the compiled ops at several sizes: ``rlgpu profile kernels``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.device import Phase, is_gpu
from rlgpu.ops import (
    ActionSlot,
    AdamHyperparameters,
    AdamState,
    Kernels,
    PpoBatch,
    PpoCoefficients,
    RunningStats,
)
from rlgpu.profile import least_bytes as least
from rlgpu.profile.timing import copy_seconds, repeated, seconds_of

OBSERVATIONS, ACTIONS, HIDDEN = 60, 8, (256, 128, 64)
LAUNCHES = {"cpu": 1, "cuda": 20}
"""Calls per graph, so that a launch costs the same as within an iteration."""


class OpTime(NamedTuple):
    """One row of the sweep."""

    name: str
    size: str
    seconds: float
    num_bytes: float
    """Minimum number of bytes that the op must move."""
    copy_seconds: float
    """Time of a copy that moves as many bytes, from the same caches."""


class _Case(NamedTuple):
    name: str
    size: str
    num_bytes: float
    call: Callable[[], object]


def sweep(kernels: Kernels, device: torch.device) -> Iterator[OpTime]:
    """Yields the time of every op at every size."""
    launches = LAUNCHES[device.type]
    for case in _cases(kernels, device):
        phase: Phase[Any] = Phase(
            repeated(case.call, launches), device, name=case.name, enabled=True
        )
        seconds = seconds_of(phase, device) / launches
        copied = copy_seconds(device, case.num_bytes, launches=launches)
        yield OpTime(case.name, case.size, seconds, case.num_bytes, copied)


def _cases(kernels: Kernels, device: torch.device) -> Iterator[_Case]:
    large = is_gpu(device)
    for envs in (512, 4096, *((65536, 1048576) if large else ())):
        yield _gae(kernels, device, 16, envs)
    for rows in (4096, 65536):
        yield from _observations(kernels, device, rows)
    for rows in (512, 4096, *((32768,) if large else ())):
        yield _gaussian_sample(kernels, device, rows)
    for rows in (2048, 32768):
        yield _gaussian_ppo_loss(kernels, device, rows)
        yield from _minibatch(kernels, device, rows)
        for precision in ("fp32", "tf32", "bf16") if large else ("fp32",):
            yield from _mlp(kernels, device, rows, precision)
    for parameters in (57_417, *((1_000_000,) if large else ())):
        yield _adam_step(kernels, device, parameters)


def _random(device: torch.device, *shape: int) -> Tensor:
    return torch.randn(shape, device=device)


def _gae(kernels: Kernels, device: torch.device, t: int, n: int) -> _Case:
    rewards, values, final_values = _random(device, 3, t, n).unbind()
    ends = torch.rand(2, t, n, device=device) < 0.01
    last = _random(device, n)

    def call() -> object:
        return kernels.gae(
            rewards, values, ends[0], ends[1], final_values, last, gamma=0.99, gae_lambda=0.95
        )

    return _Case("gae", f"{t} x {n}", least.gae(t * n), call)


def _observations(kernels: Kernels, device: torch.device, rows: int) -> Iterator[_Case]:
    x = _random(device, rows, OBSERVATIONS)
    zeros = torch.zeros(OBSERVATIONS, device=device)
    stats = RunningStats(
        zeros.double(), zeros.double() + 1, zeros[0].double(), zeros + 1, zeros.clone()
    )
    out, size = torch.empty_like(x), f"{rows} x {OBSERVATIONS}"
    yield _Case(
        "running_stats",
        size,
        least.running_stats(rows, OBSERVATIONS),
        lambda: kernels.running_stats(x, stats),
    )
    ones = zeros + 1
    yield _Case(
        "normalize",
        size,
        least.normalize(rows, OBSERVATIONS),
        lambda: kernels.normalize(x, ones, zeros, 5.0, out=out),
    )


def _gaussian_sample(kernels: Kernels, device: torch.device, rows: int) -> _Case:
    outputs = _random(device, rows, ACTIONS + 1)
    mean, values = outputs[:, :ACTIONS], outputs[:, ACTIONS]
    log_std, state = torch.zeros(ACTIONS, device=device), torch.tensor([1, 0], device=device)
    slot = ActionSlot(*(torch.empty(x.shape, device=device) for x in (mean, values) * 2))
    return _Case(
        "gaussian_sample",
        f"{rows} x {ACTIONS}",
        least.gaussian_sample(rows, ACTIONS),
        lambda: kernels.gaussian_sample(mean, values, log_std, state, slot),
    )


def _batch(device: torch.device, rows: int) -> PpoBatch:
    column = [_random(device, rows) for _ in range(4)]
    matrix = [_random(device, rows, ACTIONS) for _ in range(2)]
    return PpoBatch(
        normalized_observations=_random(device, rows, OBSERVATIONS),
        actions=matrix[0],
        parameters=matrix[1],
        log_probs=column[0],
        values=column[1],
        advantages=column[2],
        returns=column[3],
    )


def _gaussian_ppo_loss(kernels: Kernels, device: torch.device, rows: int) -> _Case:
    batch, log_std = _batch(device, rows), torch.zeros(ACTIONS, device=device)
    coefficients = PpoCoefficients(0.2, 2.0, True, 0.0, 1e-4).tensor(device)
    mean, values = batch.parameters.clone(), batch.values.clone()
    return _Case(
        "gaussian_ppo_loss",
        f"{rows} x {ACTIONS}",
        least.gaussian_ppo_loss(rows, ACTIONS),
        lambda: kernels.gaussian_ppo_loss(mean, log_std, values, batch, log_std, coefficients),
    )


def _minibatch(kernels: Kernels, device: torch.device, rows: int) -> Iterator[_Case]:
    state, batch = torch.tensor([1, 0], device=device), _batch(device, 2 * rows)
    ids = kernels.shuffle(state, 2 * rows)[:rows]
    yield _Case(
        "shuffle",
        f"{2 * rows}",
        least.shuffle(2 * rows),
        lambda: kernels.shuffle(state, 2 * rows),
    )
    width = OBSERVATIONS + 2 * ACTIONS + 4
    yield _Case(
        "gather_rows",
        f"{rows} x {width}",
        least.gather_rows(rows, width),
        lambda: kernels.gather_rows(batch, ids),
    )


def _mlp(kernels: Kernels, device: torch.device, rows: int, precision: str) -> Iterator[_Case]:
    widths = [OBSERVATIONS, *HIDDEN, ACTIONS + 1]
    pairs = list(pairwise(widths))
    weights = [(_random(device, y, x) / x**0.5).requires_grad_() for x, y in pairs]
    biases = [torch.zeros(y, device=device, requires_grad=True) for _, y in pairs]
    x, grad = _random(device, rows, OBSERVATIONS), _random(device, rows, ACTIONS + 1)
    size = f"{rows} x {'-'.join(map(str, widths))} {precision}"
    layers = least.mlp_forward(rows, widths)

    def forward() -> object:
        with torch.no_grad():
            return kernels.mlp(x, weights, biases, precision)

    def both() -> object:
        output = kernels.mlp(x, weights, biases, precision)
        return torch.autograd.grad(output, [*weights, *biases], grad)

    yield _Case("mlp", size, layers, forward)
    yield _Case("mlp and gradients", size, 3 * layers, both)


def _adam_step(kernels: Kernels, device: torch.device, count: int) -> _Case:
    params, grads = _random(device, 2, count).unbind()
    params = params.clone()
    state, rate = AdamState.fresh(params), torch.tensor(1e-4, device=device)
    stop, constants = torch.tensor(False, device=device), AdamHyperparameters(max_grad_norm=1.0)
    return _Case(
        "adam_step",
        f"{count}",
        least.grad_norm(count) + least.adam(count),
        lambda: kernels.adam_step(params, state, grads, rate, stop, constants),
    )
