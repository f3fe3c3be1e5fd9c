"""The switches by which learners differ from library to library, each by itself."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from rlgpu.config import TrainConfig
from rlgpu.config.presets import read_preset
from rlgpu.config.schema import Preset
from rlgpu.learner import Ppo, RolloutStorage
from rlgpu.learner.progress import UpdateProgress, account
from rlgpu.ops import METRICS, reference, select_kernels
from rlgpu.spaces import Continuous, Discrete, numbers

CPU = torch.device("cpu")
T, N, O, A = 6, 8, 4, 2  # noqa: E741
KL = METRICS.index("approx_kl")


def agent(num_minibatches: int = 2, actions=None, **changes) -> Ppo:
    base = TrainConfig(
        horizon_length=T,
        hidden_sizes=[16],
        learning_rate=1e-2,
        target_kl=0.0,
        num_epochs=2,
        normalize_values=False,
        schedule="constant",
    )
    return Ppo(
        dataclasses.replace(base, **changes),
        numbers(O),
        actions or Continuous(A),
        max_iterations=10,
        num_minibatches=num_minibatches,
        kernels=select_kernels("compiled", CPU),
        device=CPU,
        seed=3,
    )


def filled(ppo: Ppo, seed: int = 0) -> RolloutStorage:
    storage, g = ppo.new_storage(N), torch.Generator().manual_seed(seed)
    for t in range(T):
        storage.observations[t] = torch.randn(N, O, generator=g) + 1.0
        ppo.act(storage, t)
        storage.rewards[t] = 3.0 * torch.randn(N, generator=g)
        storage.terminated[t], storage.truncated[t] = False, torch.rand(N, generator=g) < 0.2
        storage.final_observations[t] = torch.randn(N, O, generator=g)
    storage.last_observations.copy_(torch.randn(N, O, generator=g))
    assert storage.truncated.any()
    return storage


@pytest.mark.parametrize("way", ["current", "none"])
def test_an_episode_goes_on_beyond_its_time_limit_as_asked(way) -> None:
    """With the value before the step, or as if it had failed; by the reference of the op."""
    ppo = agent(time_limit_bootstrap=way, normalize_advantages="none", clip_rewards=1.0)
    storage = filled(ppo)
    ppo.compute_advantages(storage)
    never = torch.zeros_like(storage.truncated)
    wanted = reference.gae(
        storage.rewards.clamp(-1.0, 1.0),
        storage.values,
        storage.truncated if way == "none" else never,
        never if way == "none" else storage.truncated,
        storage.values,
        ppo._value(storage.last_observations),
        gamma=0.99,
        gae_lambda=0.95,
        normalize=False,
    )
    torch.testing.assert_close(storage.advantages, wanted.advantages)


def test_minibatches_of_environments_hold_all_their_steps() -> None:
    """The first of two has environments 0 to 3, one after the other, in each epoch."""
    ppo = agent(minibatch_order="by_env")
    storage = ppo.new_storage(N)
    storage.values.copy_(torch.arange(T)[:, None] + 100.0 * torch.arange(N))
    for epoch in (0, 2):
        index, ids = ppo._minibatches(storage)[epoch]
        rows = storage.minibatch(index, 2, ids, ppo.kernels.gather_rows).rows
        assert rows.values.tolist() == [100.0 * env + t for env in range(4) for t in range(T)]


def test_one_permutation_may_serve_all_epochs() -> None:
    """And the next iteration has another."""
    ppo = agent(minibatch_order="shuffled_once")
    storage = ppo.new_storage(N)
    first, _, second, _ = (ids for _, ids in ppo._minibatches(storage))
    assert torch.equal(first, second)
    assert not torch.equal(first, ppo._minibatches(storage)[0][1])


@pytest.mark.parametrize("kind", ["gaussian", "state", "tanh", "discrete"])
@pytest.mark.parametrize("estimate", ["reverse", "sampled"])
def test_the_divergence_is_the_one_asked_for(kind, estimate) -> None:
    """KL(new || old) by torch.distributions, or r - 1 - log r over the actions taken."""
    ppo = agent(
        num_minibatches=1,
        kl_estimate=estimate,
        actions=Discrete((3,)) if kind == "discrete" else None,
        state_dependent_std=kind == "state",
        action_distribution="tanh_gaussian" if kind == "tanh" else "gaussian",
    )
    storage = filled(ppo)
    ppo.update(storage)
    storage = filled(ppo, 1)
    ppo.compute_advantages(storage)
    ppo.distribution.remember()
    ppo._divergence.begin()
    minibatch = storage.minibatch(0, 1, None, ppo.kernels.gather_rows)
    assert ppo._backward(minibatch)[KL].abs() < 1e-6
    old_std = ppo.distribution.log_std.detach().exp().clone()
    ppo._step(minibatch)
    found = ppo._backward(minibatch)[KL]
    rows = minibatch.rows
    outputs = ppo.network(rows.normalized_observations).outputs
    if estimate == "sampled":
        change = ppo.distribution.log_prob(outputs, rows.actions) - rows.log_probs
        wanted = (change.exp() - 1 - change).mean()
    elif kind == "discrete":
        new, old = (torch.distributions.Categorical(logits=x) for x in (outputs, rows.parameters))
        wanted = kl_divergence(new, old).mean()
    elif kind == "state":
        new, old = (Normal(x[:, :A], x[:, A:].exp()) for x in (outputs, rows.parameters))
        wanted = kl_divergence(new, old).sum(-1).mean()
    else:
        std = ppo.distribution.log_std.detach().exp()
        new, old = Normal(outputs, std), Normal(rows.parameters, old_std)
        wanted = kl_divergence(new, old).sum(-1).mean()
    assert wanted > 1e-6
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-3, atol=1e-7)


def test_the_divergence_may_be_from_the_last_visit() -> None:
    """Nothing moves between two visits without a step; from the rollout it has moved."""
    ppo = agent(num_minibatches=1, kl_reference="last_visit", minibatch_order="contiguous")
    storage = filled(ppo)
    ppo.compute_advantages(storage)
    ppo.distribution.remember()
    ppo._divergence.begin()
    minibatch = storage.minibatch(0, 1, None, ppo.kernels.gather_rows)
    ppo._step(minibatch)
    moved = ppo._backward(minibatch)[KL]
    assert moved > 1e-6
    assert ppo._backward(minibatch)[KL].abs() < 1e-9
    ppo._divergence.begin()
    torch.testing.assert_close(ppo._backward(minibatch)[KL], moved)


@pytest.mark.parametrize("at_once", [False, True])
def test_the_first_minibatch_may_adapt_the_learning_rate(at_once) -> None:
    """Its KL of 0 raises the rate, as in rl_games, or says nothing."""
    config = TrainConfig(schedule="adaptive", adapt_from_start=at_once)
    progress, rate = UpdateProgress.fresh(CPU), torch.tensor(1e-3)
    account(progress, torch.zeros(len(METRICS)), torch.tensor(1.0), rate, torch.zeros(1), config)
    assert rate.item() == pytest.approx(1.5e-3 if at_once else 1e-3)


@pytest.mark.parametrize(
    ("when", "wanted"), [("after_step", [1.0, 1.5, 2.25]), ("before_step", [1.5, 2.25, 2.25])]
)
def test_the_rate_may_adapt_before_the_step_it_is_for(when, wanted, monkeypatch) -> None:
    """Minibatches 2 and 3 with a small KL raise it by 1.5, for them or for those that follow."""
    ppo = agent(
        num_minibatches=4,
        num_epochs=1,
        schedule="adaptive",
        learning_rate=1e-3,
        adaptive_kl=0.01,
        adapt_when=when,
        normalize_observations=False,
    )
    ppo._native = None  # it takes no KL from elsewhere
    kls, rates = iter([0.0, 0.001, 0.001, 0.01]), []
    backward, step = ppo._backward, ppo.optimizer.step

    def with_kl(*given):
        metrics = backward(*given)
        metrics[KL] = next(kls)
        return metrics

    def recorded(rate, stop):
        rates.append(rate.item() / 1e-3)
        return step(rate, stop)

    monkeypatch.setattr(ppo, "_backward", with_kl)
    monkeypatch.setattr(ppo.optimizer, "step", recorded)
    ppo.update(filled(ppo))
    assert rates[1:] == pytest.approx(wanted)


def test_the_rate_may_adapt_to_the_mean_kl_of_an_epoch() -> None:
    """Means of 0.003, 0.03 and 0.01 with a target of 0.01: up, down, unchanged."""
    config = TrainConfig(
        schedule="adaptive", adapt_when="after_epoch", adaptive_kl=0.01, target_kl=0.0
    )
    progress, rate = UpdateProgress.fresh(CPU), torch.tensor(1e-3)
    rates = []
    for kl in (0.0, 0.006, 0.001, 0.059, 0.02, 0.0):
        metrics = torch.zeros(len(METRICS))
        metrics[KL] = kl
        ends = len(rates) % 2 == 1
        account(progress, metrics, torch.tensor(1.0), rate, torch.zeros(1), config, ends_epoch=ends)
        rates.append(rate.item() / 1e-3)
    assert rates == pytest.approx([1.0, 1.5, 1.5, 1.0, 1.0, 1.0])


def test_the_linear_rate_may_end_after_the_last_iteration() -> None:
    """CleanRL's ``1 - (iteration - 1) / num_iterations``: of four iterations the last has 1/4."""
    rates = []
    for end in ("after_last", "last"):
        ppo = agent(schedule="linear", linear_end=end, min_learning_rate=0.0, learning_rate=1e-3)
        ppo.max_iterations = 4
        rates.append([ppo.update(filled(ppo)).learning_rate.item() / 1e-3 for _ in range(4)])
    assert rates[0] == pytest.approx([1.0, 0.75, 0.5, 0.25])
    assert rates[1] == pytest.approx([1.0, 2 / 3, 1 / 3, 0.0])


def test_statistics_may_grow_in_the_first_epoch() -> None:
    """The first minibatch is normalised by its own mean, the last epoch by that of all rows."""
    ppo = agent(statistics_update="first_epoch", minibatch_order="contiguous", num_epochs=2)
    storage, seen = filled(ppo), []
    backward = ppo._backward

    def recorded(minibatch, index):
        seen.append(minibatch.rows.normalized_observations.clone())
        return backward(minibatch, index)

    ppo._backward = recorded
    ppo.update(storage)
    rows = storage.observations.flatten(0, 1)
    half = T * N // 2
    parts = [
        (rows[:half], rows[:half]),
        (rows[half:], rows),
        (rows[:half], rows),
        (rows[half:], rows),
    ]
    for found, (raw, known) in zip(seen, parts, strict=True):
        wanted = (raw - known.mean(0)) / known.std(0, correction=0)
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    assert ppo.observation_normalizer.count == T * N


def test_statistics_may_take_in_a_rollout_before_its_training() -> None:
    """Training then sees other numbers than acting did; each rollout counts once all the same."""
    ppo = agent(statistics_update="before")
    storage = filled(ppo)
    acted_on = storage.normalized_observations.clone()
    ppo.update(storage)
    assert ppo.observation_normalizer.count.item() == T * N
    mean = storage.normalized_observations.mean((0, 1))
    assert mean.abs().max() < 0.01
    assert acted_on.mean() > 0.5


@pytest.mark.parametrize("name", get_args(Preset))
def test_a_preset_holds_keys_of_the_configuration(name) -> None:
    """And a value of its own type for each."""
    dataclasses.replace(TrainConfig(), **read_preset(name))
