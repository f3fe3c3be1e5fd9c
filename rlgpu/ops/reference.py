"""Every op again in plain torch: the oracle of the tests in float64, and ``kernels=torch``.

Written from the formulas, not from the kernels: nothing here is fused, and gradients come from
autograd where the kernels have them by hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rlgpu.ops.adam_step import AdamHyperparameters, AdamState
from rlgpu.ops.gae import Gae
from rlgpu.ops.ppo_loss import PpoBatch, PpoCoefficients, PpoGradients

SOFT_BOUND = 1.1
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
    """Returns what ``rlgpu.ops.gae`` does, in the dtype of its inputs."""
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


def mlp(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Returns what ``rlgpu.ops.mlp`` does, with torch's own autograd."""
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = torch.nn.functional.elu(torch.nn.functional.linear(x, weight, bias))
    return torch.nn.functional.linear(x, weights[-1], biases[-1])


def philox_normals(rng_state: Tensor, rows: int, num_actions: int) -> Tensor:
    """Returns the standard normals of one call of ``sample_actions``, shape [rows, num_actions].

    Args:
        rng_state: Seed and call number, shape [2], int64.
        rows: Number of rows.
        num_actions: Normals a row.
    """
    device = rng_state.device
    groups = (num_actions + 3) // 4
    row = torch.arange(rows, device=device)[:, None].expand(rows, groups)
    element = (row << 16) | torch.arange(groups, device=device)
    words = [element & MASK32, element >> 32, rng_state[1].expand_as(row) & MASK32]
    words.append((rng_state[1] >> 32).expand_as(row) & MASK32)
    keys = [rng_state[0] & MASK32, (rng_state[0] >> 32) & MASK32]
    for _ in range(10):
        high_x, low_x = _multiply32(0xD2511F53, words[0])
        high_z, low_z = _multiply32(0xCD9E8D57, words[2])
        words = [high_z ^ words[1] ^ keys[0], low_z, high_x ^ words[3] ^ keys[1], low_x]
        keys = [(keys[0] + 0x9E3779B9) & MASK32, (keys[1] + 0xBB67AE85) & MASK32]
    uniform = [(word >> 8).float() * 2.0**-24 + 2.0**-25 for word in words]
    normals = []
    for radius, angle in ((uniform[0], uniform[1]), (uniform[2], uniform[3])):
        length = (-2.0 * radius.log()).sqrt()
        normals += [length * (2 * math.pi * angle).cos(), length * (2 * math.pi * angle).sin()]
    return torch.stack(normals, dim=-1).reshape(rows, 4 * groups)[:, :num_actions]


def _multiply32(constant: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the upper and lower 32 bits of a product that would overflow int64's sign."""
    low = constant * (word & 0xFFFF)
    high = constant * (word >> 16) + (low >> 16)
    return (high >> 16) & MASK32, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


def log_prob(actions: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Returns the log-probabilities of a diagonal Gaussian, [N, A] -> [N]."""
    z = (actions - mean) * torch.exp(-log_std)
    return (-0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def sample_actions(
    mean: Tensor, log_std: Tensor, rng_state: Tensor, *, actions: Tensor, log_probs: Tensor
) -> None:
    """Does what ``rlgpu.ops.sample_actions`` does."""
    noise = philox_normals(rng_state, *mean.shape).to(mean.dtype)
    actions.copy_(mean + log_std.exp() * noise)
    log_probs.copy_(log_prob(actions, mean, log_std))
    rng_state[1] += 1


def ppo_loss(
    mean: Tensor,
    log_std: Tensor,
    values: Tensor,
    batch: PpoBatch,
    old_log_std: Tensor,
    coefficients: PpoCoefficients,
) -> PpoGradients:
    """Returns what ``rlgpu.ops.ppo_loss`` does, its gradients from autograd."""
    c = coefficients
    leaves = [x.detach().requires_grad_() for x in (mean, log_std, values)]
    with torch.enable_grad():
        mean, log_std, values = leaves
        ratio = torch.exp(log_prob(batch.actions, mean, log_std) - batch.log_probs)
        clipped_ratio = ratio.clamp(1 - c.clip_ratio, 1 + c.clip_ratio)
        surrogate = torch.maximum(-batch.advantages * ratio, -batch.advantages * clipped_ratio)
        value_error = 0.5 * (values - batch.returns).square()
        if c.clip_value:
            change = (values - batch.values).clamp(-c.clip_ratio, c.clip_ratio)
            clipped = 0.5 * (batch.values + change - batch.returns).square()
            value_error = torch.where(clipped > value_error, clipped, value_error)
        entropy = (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum().expand_as(values)
        bounds = (mean.abs() - SOFT_BOUND).clamp(min=0.0).square().sum(-1)
        loss = (
            surrogate
            + c.value_loss_coef * value_error
            - c.entropy_coef * entropy
            + c.bounds_loss_coef * bounds
        ).mean()
        grads = torch.autograd.grad(loss, leaves)
    kl = (
        log_std
        - old_log_std
        + 0.5 * ((old_log_std - log_std) * 2).exp()
        + 0.5 * ((batch.mean - mean) * (-log_std).exp()).square()
        - 0.5
    ).sum(-1)
    clip_fraction = (ratio != clipped_ratio).to(mean.dtype)
    terms = (surrogate, value_error, entropy, bounds, kl, clip_fraction)
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
    """Does what ``rlgpu.ops.adam_step`` does, without reading the device."""
    h = hyperparameters
    grad_norm = torch.linalg.vector_norm(grads.double())
    finite = torch.isfinite(grad_norm)
    taken = finite & ~stop
    state.nonfinite_steps.add_(~finite)
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
