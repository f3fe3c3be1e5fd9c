"""PPO's update in plain torch: the float64 reference of ``ppo_update`` for the tests.

Written from the formulas, with autograd and ``torch.distributions``; decisions are Python's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rlgpu.ops import reference
from rlgpu.ops.adam_step import AdamHyperparameters, AdamState
from rlgpu.ops.gaussian_ppo_loss import METRICS, PpoBatch
from rlgpu.ops.ppo_update import AdaptWhen, UpdateNetworks, UpdateRules


def ppo_update(
    params: Tensor,
    grads: Tensor,
    state: AdamState,
    progress: Sequence[Tensor],
    learning_rate: Tensor,
    rollout: PpoBatch,
    ids: Tensor,
    old_log_std: Tensor,
    coefficients: Tensor,
    *,
    networks: UpdateNetworks,
    num_minibatches: int,
    adam: AdamHyperparameters,
    rules: UpdateRules,
    adapt_when: AdaptWhen = "never",
    adapt_from_start: bool = False,
) -> None:
    """Does the same as ``rlgpu.ops.ppo_update``, in the dtype of its inputs."""
    stop, stopped_before, steps, sums, last_kl, grad_norm, _ = progress
    parts = [(rows, i + 1) for order in ids for i, rows in enumerate(order.chunk(num_minibatches))]
    for rows, number in parts:
        if stop:
            break
        batch = PpoBatch(*(x[rows] for x in rollout))
        metrics = _gradients(params, grads, batch, old_log_std, coefficients, networks)
        kl = metrics[METRICS.index("approx_kl")].item()
        last_kl.fill_(kl)
        stopped_before.fill_(False)
        stop.fill_(0 < rules.kl_limit < kl)
        ends_epoch = number == num_minibatches or bool(stop)
        if adapt_when == "after_epoch":
            rate = _adapted_by_epoch(learning_rate.item(), kl, rules, progress[-1], ends_epoch)
        else:
            due = adapt_when != "never" and (adapt_from_start or steps.item() > 0)
            rate = _adapted(learning_rate.item(), kl, rules) if due else learning_rate.item()
        if adapt_when == "before_step":
            learning_rate.fill_(rate)
        norm = _step(params, grads, state, learning_rate, stop, networks, adam)
        learning_rate.fill_(rate)
        if not stop and norm.isfinite():
            sums += metrics
            steps += 1
            grad_norm.copy_(norm)
        if not networks.choices:
            _log_std(params, networks, rollout).clamp_(rules.min_log_std, rules.max_log_std)


def _step(
    params: Tensor,
    grads: Tensor,
    state: AdamState,
    learning_rate: Tensor,
    stop: Tensor,
    networks: UpdateNetworks,
    adam: AdamHyperparameters,
) -> Tensor:
    """Takes a step for each group of parameters and returns the norm of all gradients."""
    norms = []
    for i, (group, ratio) in enumerate(zip(networks.groups, networks.rate_ratios, strict=True)):
        part = AdamState(state[0][group], state[1][group], state[2][i], state[3][i])
        rate = learning_rate * (ratio or 1.0)
        norms.append(reference.adam_step(params[group], part, grads[group], rate, stop, adam))
    return torch.stack(norms).norm()


def _adapted_by_epoch(
    rate: float, kl: float, rules: UpdateRules, epoch_kl: Tensor, ends_epoch: bool
) -> float:
    epoch_kl += torch.tensor([kl, 1.0])
    if not ends_epoch:
        return rate
    mean = (epoch_kl[0] / epoch_kl[1]).item()
    epoch_kl.zero_()
    return _adapted(rate, mean, rules)


def _adapted(rate: float, kl: float, rules: UpdateRules) -> float:
    if kl > 2.0 * rules.adaptive_kl:
        rate /= 1.5
    if kl < 0.5 * rules.adaptive_kl:
        rate *= 1.5
    return min(max(rate, rules.min_learning_rate), rules.max_learning_rate)


def _log_std(params: Tensor, networks: UpdateNetworks, rollout: PpoBatch) -> Tensor:
    return params[networks.log_std : networks.log_std + rollout.actions.shape[1]]


def _gradients(
    params: Tensor,
    grads: Tensor,
    batch: PpoBatch,
    old_log_std: Tensor,
    coefficients: Tensor,
    networks: UpdateNetworks,
) -> Tensor:
    """Writes the gradients of all parameters and returns the metrics, shape [6]."""
    leaf = params.detach().clone().requires_grad_()
    with torch.enable_grad():
        found, columns = [], list(networks.columns)
        for number in range(networks.layers[-1].network + 1):
            layers = [x for x in networks.layers if x.network == number]
            weights = [
                leaf[x.weight : x.weight + x.units * x.width].view(x.units, x.width) for x in layers
            ]
            biases = [leaf[x.bias : x.bias + x.units] for x in layers]
            seen = batch.normalized_observations
            if columns:
                seen, columns = seen[:, columns[: layers[0].width]], columns[layers[0].width :]
            found.append(reference.mlp(seen, weights, biases, "fp32", networks.activation))
        outputs, values = found[0][:, : batch.parameters.shape[1]], found[-1][:, -1]
        if networks.choices:
            loss, metrics = _categorical_loss(
                outputs, values, batch, coefficients, networks.choices
            )
            (gradient,) = torch.autograd.grad(loss, [leaf])
        else:
            log_std = _log_std(leaf, networks, batch)
            by = reference.gaussian_ppo_loss(
                outputs, log_std, values, batch, old_log_std, coefficients
            )
            metrics = by.metrics
            (gradient,) = torch.autograd.grad(
                [outputs, log_std, values], [leaf], [by.mean, by.log_std, by.values]
            )
    grads.copy_(gradient)
    return metrics


def _categorical_loss(
    outputs: Tensor,
    values: Tensor,
    batch: PpoBatch,
    coefficients: Tensor,
    choices: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Returns the mean loss, shape [], and the metrics, shape [6]."""
    clip_ratio, value_loss_coef, clip_value, entropy_coef, _ = coefficients
    sizes = list(choices)
    now, before = (
        [torch.distributions.Categorical(logits=part) for part in x.split(sizes, dim=-1)]
        for x in (outputs, batch.parameters)
    )
    pairs = list(zip(now, batch.actions.unbind(-1), strict=True))
    log_probs = torch.stack([each.log_prob(action) for each, action in pairs]).sum(0)
    entropy = torch.stack([each.entropy() for each in now]).sum(0)
    kl = torch.stack(
        [torch.distributions.kl_divergence(old, new) for old, new in zip(before, now, strict=True)]
    ).sum(0)
    losses = reference.clipped_losses(log_probs, values, batch, clip_ratio, clip_value)
    loss = losses.surrogate + value_loss_coef * losses.value_error - entropy_coef * entropy
    terms = (losses.surrogate, losses.value_error, entropy, kl * 0.0, kl, losses.clipped)
    return loss.mean(), torch.stack([term.detach().mean() for term in terms])
