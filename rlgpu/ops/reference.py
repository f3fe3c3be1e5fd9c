"""Every op in plain torch: the float64 reference for the tests, and ``kernels=torch``.

Written from the formulas, independently of the kernels: nothing here is fused, and gradients come
from autograd where the kernels compute them explicitly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rlgpu.ops.adam_step import AdamHyperparameters, AdamState
from rlgpu.ops.gae import Gae
from rlgpu.ops.gaussian_ppo_loss import PpoBatch, PpoGradients
from rlgpu.ops.gaussian_sample import ActionSlot
from rlgpu.ops.mlp import Activation, Precision
from rlgpu.ops.running_stats import RunningStats

SOFT_BOUND = 1.1
STATS_REACH = 100.0
MASK32 = 0xFFFFFFFF


def gae(
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_values: Tensor,
    last_values: Tensor,
    *,
    gamma: float,
    gae_lambda: float,
    normalize: bool = True,
) -> Gae:
    """Returns the same as ``rlgpu.ops.gae``, in the dtype of its inputs."""
    advantages = torch.empty_like(values)
    next_values = torch.cat([values[1:], last_values[None]])
    following = torch.where(truncated, final_values, next_values).masked_fill(terminated, 0.0)
    deltas = rewards + gamma * following - values
    going_on = ~(terminated | truncated)
    advantage = torch.zeros_like(last_values)
    for t in reversed(range(values.shape[0])):
        advantage = deltas[t] + torch.where(going_on[t], gamma * gae_lambda * advantage, 0.0)
        advantages[t] = advantage
    returns = advantages + values
    if normalize and advantages.numel() > 0:
        centred = advantages - advantages.mean()
        count = advantages.numel()
        std = (centred.square().sum() / (count - 1)).sqrt() if count > 1 else torch.inf
        advantages = centred / (std + 1e-8)
    return Gae(advantages, returns)


def linear(x: Tensor, weight: Tensor, bias: Tensor, precision: Precision = "fp32") -> Tensor:
    """Returns the output of one layer, [B, I] -> [B, O]; see ``mlp`` for the precision."""
    if precision == "bf16":
        x, weight = x.bfloat16().to(x.dtype), weight.bfloat16().to(weight.dtype)
    return torch.nn.functional.linear(x, weight, bias)


def mlp(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    precision: Precision = "fp32",
    activation: Activation = "elu",
) -> Tensor:
    """Returns the same as ``rlgpu.ops.mlp``, with torch's autograd and matrix products.

    TF32 follows torch's setting (``torch.backends.cuda.matmul.allow_tf32``); bf16 rounds the
    operands. On a GPU a row's result may depend in its last bits on the number of rows, since
    libraries choose algorithms by size.
    """
    last = len(weights) - 1
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = linear(x, weight, bias, precision)
        if layer < last:
            x = getattr(torch.nn.functional, activation)(x)
    return x


def philox(rng_state: Tensor, element: Tensor) -> list[Tensor]:
    """Returns the four 32-bit words of one call of a random op, each in ``element``'s shape.

    Args:
        rng_state: Seed and call number, shape [2], int64.
        element: Indices of the elements to draw for, int64.
    """
    call = rng_state[1].expand_as(element)
    words = [element & MASK32, (element >> 32) & MASK32, call & MASK32, (call >> 32) & MASK32]
    keys = [rng_state[0] & MASK32, (rng_state[0] >> 32) & MASK32]
    for _ in range(10):
        high_x, low_x = _multiply32(0xD2511F53, words[0])
        high_z, low_z = _multiply32(0xCD9E8D57, words[2])
        words = [high_z ^ words[1] ^ keys[0], low_z, high_x ^ words[3] ^ keys[1], low_x]
        keys = [(keys[0] + 0x9E3779B9) & MASK32, (keys[1] + 0xBB67AE85) & MASK32]
    return words


def philox_normals(rng_state: Tensor, rows: int, num_actions: int) -> Tensor:
    """Returns the standard normals of one call of ``gaussian_sample``, shape [rows, num_actions].

    Args:
        rng_state: Seed and call number, shape [2], int64.
        rows: Number of rows.
        num_actions: Normals per row.
    """
    device = rng_state.device
    groups = (num_actions + 3) // 4
    row = torch.arange(rows, device=device)[:, None].expand(rows, groups)
    words = philox(rng_state, (row << 16) | torch.arange(groups, device=device))
    uniform = [(word >> 8).float() * 2.0**-24 + 2.0**-25 for word in words]
    normals = []
    for radius, angle in ((uniform[0], uniform[1]), (uniform[2], uniform[3])):
        length = (-2.0 * radius.log()).sqrt()
        normals += [length * (2 * math.pi * angle).cos(), length * (2 * math.pi * angle).sin()]
    return torch.stack(normals, dim=-1).reshape(rows, 4 * groups)[:, :num_actions]


def _multiply32(constant: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the upper and lower 32 bits of a product too large for a signed int64."""
    low = constant * (word & 0xFFFF)
    high = constant * (word >> 16) + (low >> 16)
    return (high >> 16) & MASK32, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


def log_prob(actions: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Returns log-probabilities under a diagonal Gaussian, [N, A] -> [N]."""
    z = (actions - mean) * torch.exp(-log_std)
    return (-0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def gaussian_sample(
    mean: Tensor, values: Tensor, log_std: Tensor, rng_state: Tensor, slot: ActionSlot
) -> None:
    """Does the same as ``rlgpu.ops.gaussian_sample``."""
    noise = philox_normals(rng_state, *mean.shape).to(mean.dtype)
    slot.actions.copy_(mean + log_std.exp() * noise)
    slot.log_probs.copy_(log_prob(slot.actions, mean, log_std))
    slot.parameters.copy_(mean)
    slot.values.copy_(values)
    rng_state[1] += 1


def shuffle(rng_state: Tensor, count: int) -> Tensor:
    """Returns the same as ``rlgpu.ops.shuffle``."""
    device = rng_state.device
    words = [philox(rng_state, rng_state.new_full((), element)) for element in (-1, -2)]
    keys = [word for four in words for word in four]
    bits = next(bits for bits in range(1, 32) if 4**bits >= count)
    mask = 2**bits - 1
    x = torch.arange(count, device=device)
    # At worst 3 of 4 elements fall outside; after 160 walks none is left, for any count that fits
    # in memory.
    for walk in range(1 if 4**bits == count else 160):
        left, right = x >> bits, x & mask
        for key in keys:
            left, right = right, left ^ (_mix(right ^ key) & mask)
        walked = (left << bits) | right
        x = walked if walk == 0 else torch.where(x >= count, walked, x)
    rng_state[1] += 1
    return x


def _mix(x: Tensor) -> Tensor:
    x = _multiply32(0x85EBCA6B, x ^ (x >> 16))[1]
    x = _multiply32(0xC2B2AE35, x ^ (x >> 13))[1]
    return x ^ (x >> 16)


def gather_rows(sources: Sequence[Tensor], ids: Tensor) -> list[Tensor]:
    """Returns the same as ``rlgpu.ops.gather_rows``."""
    return [source.index_select(0, ids) for source in sources]


def running_stats(x: Tensor, stats: RunningStats) -> None:
    """Does the same as ``rlgpu.ops.running_stats``, entirely in float64."""
    finite = torch.isfinite(x).all(dim=1, keepdim=True)
    # Before anything has been merged, the batch's first row stands in for the mean.
    first = x[:1].nan_to_num(0.0, 0.0, 0.0).double().sum(0)
    size = torch.where(stats.num_rows > 0, stats.mean, first).abs()
    bound = STATS_REACH * (size + (stats.var + 1e-5).sqrt())
    rows = torch.where(finite, x, 0.0).double().clamp(-bound, bound)
    count = finite.sum()
    mean = rows.sum(0) / count.clamp(min=1)
    squares = torch.where(finite, rows - mean, 0.0).square().sum(0)
    total = stats.num_rows + count
    delta = mean - stats.mean
    between = delta.square() * stats.num_rows * count / total.clamp(min=1)
    var = (stats.var * stats.num_rows + squares + between) / total.clamp(min=1)
    stats.var.copy_(torch.where(count > 0, var, stats.var))
    stats.mean.add_(delta * count / total.clamp(min=1))
    stats.num_rows.copy_(total)
    inverse_std = (stats.var + 1e-5).rsqrt()
    stats.scale.copy_(inverse_std)
    stats.offset.copy_(-stats.mean * inverse_std)


def normalize(x: Tensor, scale: Tensor, offset: Tensor, clip: float, *, out: Tensor) -> None:
    """Does the same as ``rlgpu.ops.normalize``."""
    out.copy_((offset + x * scale).clamp(-clip, clip))


class ClippedLosses(NamedTuple):
    """PPO's two losses of each row, each of shape [B]."""

    surrogate: Tensor
    value_error: Tensor
    clipped: Tensor
    """1 where the ratio of probabilities was clipped, otherwise 0."""


def clipped_losses(
    log_probs: Tensor, values: Tensor, batch: PpoBatch, clip_ratio: Tensor, clip_value: Tensor
) -> ClippedLosses:
    """Returns the clipped surrogate and the value loss of each row, differentiable by autograd.

    Args:
        log_probs: Of the batch's actions by the current policy, shape [B].
        values: Current values, shape [B].
        batch: The minibatch's data from the rollout.
        clip_ratio: Largest change of the ratio, and of the value, that earns anything.
        clip_value: Not 0 where the change of the value is clipped.
    """
    ratio = (log_probs - batch.log_probs).exp()
    clipped_ratio = ratio.clamp(1 - clip_ratio, 1 + clip_ratio)
    surrogate = torch.maximum(-batch.advantages * ratio, -batch.advantages * clipped_ratio)
    value_error = 0.5 * (values - batch.returns).square()
    change = (values - batch.values).clamp(-clip_ratio, clip_ratio)
    clipped_error = 0.5 * (batch.values + change - batch.returns).square()
    larger = (clipped_error > value_error) & (clip_value != 0)
    value_error = torch.where(larger, clipped_error, value_error)
    return ClippedLosses(surrogate, value_error, (ratio != clipped_ratio).to(values.dtype))


def gaussian_ppo_loss(
    mean: Tensor,
    log_std: Tensor,
    values: Tensor,
    batch: PpoBatch,
    old_log_std: Tensor,
    coefficients: Tensor,
) -> PpoGradients:
    """Returns the same as ``rlgpu.ops.gaussian_ppo_loss``, with gradients from autograd."""
    clip_ratio, value_loss_coef, clip_value, entropy_coef, bounds_loss_coef = coefficients
    leaves = [x.detach().requires_grad_() for x in (mean, log_std, values)]
    with torch.enable_grad():
        mean, log_std, values = leaves
        losses = clipped_losses(
            log_prob(batch.actions, mean, log_std), values, batch, clip_ratio, clip_value
        )
        entropy = (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum().expand_as(values)
        bounds = (mean.abs() - SOFT_BOUND).clamp(min=0.0).square().sum(-1)
        loss = (
            losses.surrogate
            + value_loss_coef * losses.value_error
            - entropy_coef * entropy
            + bounds_loss_coef * bounds
        ).mean()
        grads = torch.autograd.grad(loss, leaves)
    kl = (
        log_std
        - old_log_std
        + 0.5 * ((old_log_std - log_std) * 2).exp()
        + 0.5 * ((batch.parameters - mean) * (-log_std).exp()).square()
        - 0.5
    ).sum(-1)
    terms = (losses.surrogate, losses.value_error, entropy, bounds, kl, losses.clipped)
    metrics = torch.stack([term.detach().mean() for term in terms])
    return PpoGradients(grads[0], grads[1], grads[2], metrics)


def adam_step(
    params: Tensor,
    state: AdamState,
    grads: Tensor,
    learning_rate: Tensor,
    stop: Tensor,
    hyperparameters: AdamHyperparameters,
) -> Tensor:
    """Does the same as ``rlgpu.ops.adam_step``, without reading device tensors on the host."""
    h = hyperparameters
    grad_norm = torch.linalg.vector_norm(grads.double())
    finite = torch.isfinite(grad_norm)
    taken = finite & ~stop
    state.nonfinite_steps.add_(~finite & ~stop)
    state.step.add_(taken)
    scale = 1.0
    if h.max_grad_norm > 0:
        scale = (h.max_grad_norm / (grad_norm + 1e-6)).clamp(max=1.0).to(params.dtype)
    g = grads * scale
    exp_avg = h.beta1 * state.exp_avg + (1 - h.beta1) * g
    exp_avg_sq = h.beta2 * state.exp_avg_sq + (1 - h.beta2) * g.square()
    steps = state.step.double()
    unbiased = exp_avg / (1 - h.beta1**steps).to(params.dtype)
    deviation = (exp_avg_sq / (1 - h.beta2**steps).to(params.dtype)).sqrt() + h.eps
    for old, new in (
        (params, params - learning_rate * unbiased / deviation),
        (state.exp_avg, exp_avg),
        (state.exp_avg_sq, exp_avg_sq),
    ):
        old.copy_(torch.where(taken, new, old))
    return grad_norm.to(params.dtype)
