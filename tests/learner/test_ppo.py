"""Ppo: the first minibatch's ratio and KL, early stopping, both kernels, resuming, advantages."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import pytest
import torch

from rlgpu.config import TrainConfig
from rlgpu.learner import Ppo, RolloutStorage
from rlgpu.ops import METRICS, select_kernels
from rlgpu.spaces import Continuous, numbers

CPU = torch.device("cpu")
T, N, O, A = 8, 64, 10, 3  # noqa: E741
KL, CLIP = METRICS.index("approx_kl"), METRICS.index("clip_fraction")


def config(**changes) -> TrainConfig:
    base = TrainConfig(
        horizon_length=T, hidden_sizes=[32, 16], learning_rate=1e-3, target_kl=0.0, num_epochs=3
    )
    return dataclasses.replace(base, **changes)


def agent(
    kernels: str = "compiled", num_minibatches: int = 4, device=CPU, precision="fp32",
    use_compile=False, skipping=True, **changes,
) -> Ppo:  # fmt: skip
    return Ppo(
        config(**changes), numbers(O), Continuous(A), max_iterations=10,
        num_minibatches=num_minibatches, kernels=select_kernels(kernels, device), device=device,
        seed=3, precision=precision, use_compile=use_compile, skipping=skipping,
    )  # fmt: skip


def rollout(ppo: Ppo, seed: int = 0) -> RolloutStorage:
    """Random observations; the reward is minus the distance of action 0 from observation 0."""
    g = torch.Generator().manual_seed(seed)
    storage = RolloutStorage(T, N, O, A, A, ppo.device)
    fill(ppo, storage, g)
    return storage


def fill(ppo: Ppo, storage: RolloutStorage, g: torch.Generator) -> None:
    for t in range(T):
        observations = (3 * torch.randn(N, O, generator=g) + 1).to(ppo.device)
        storage.observations[t] = observations
        actions = ppo.act(storage, t)
        storage.rewards[t] = -(actions[:, 0] - observations[:, 0]).abs()
        terminated, truncated = torch.rand(2, N, generator=g) < 0.05
        storage.terminated[t] = terminated.to(ppo.device)
        storage.truncated[t] = (truncated & ~terminated).to(ppo.device)
        storage.final_observations[t] = torch.randn(N, O, generator=g).to(ppo.device)
    storage.last_observations.copy_(torch.randn(N, O, generator=g))


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("order", ["shuffled", "contiguous"])
def test_the_first_minibatch_has_ratio_one_and_kl_zero(precision, order, device) -> None:
    """In later iterations too: the normalisers change between iterations but not within one."""
    ppo = agent(device=device, precision=precision, minibatch_order=order)
    for seed in range(3):
        storage = rollout(ppo, seed)
        ppo.compute_advantages(storage)
        ppo.distribution.remember()
        index, ids = ppo._minibatches(storage)[0]
        minibatch = storage.minibatch(index, 4, ids, ppo.kernels.gather_rows)
        batch = minibatch.rows
        policy = ppo.network(batch.normalized_observations)
        assert torch.equal(policy.outputs, batch.parameters)
        assert torch.equal(policy.values, batch.values)  # an untouched critic has not moved
        metrics = ppo._backward(minibatch)
        assert metrics[KL].item() == 0.0
        assert metrics[CLIP].item() == 0.0
        ppo.update(rollout(ppo, seed))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 0.01), ("tf32", 0.1), ("bf16", 0.1)])
def test_both_kernels_learn_the_same(precision, tolerance, device) -> None:
    """Ten iterations of the compiled ops and of plain torch change the weights alike.

    Their distance is small compared with how far either moved; two agents that learn different
    things are as far from each other as from their start. Both round operands alike but sum in
    different orders. (On a GPU, plain torch computes in float32 here; on the CPU tf32 is
    float32.)
    """
    ours = agent("compiled", device=device, precision=precision)
    theirs = agent("torch", device=device, precision=precision)
    assert torch.equal(ours.flat.params, theirs.flat.params)
    start = ours.flat.params.clone()
    for seed in range(10):
        ours.update(rollout(ours, seed))
        theirs.update(rollout(theirs, seed))
    assert ours.optimizer.state.step.item() == theirs.optimizer.state.step.item() == 10 * 3 * 4
    moved = (ours.flat.params - start).norm()
    assert moved > 0.3
    assert (ours.flat.params - theirs.flat.params).norm() < tolerance * moved


def test_compiled_arithmetic_trains_to_the_same_weights() -> None:
    """torch.compile fuses the code between the ops without changing its results."""
    changes = {"schedule": "adaptive", "learning_rate": 3e-2, "target_kl": 0.01}
    plain, compiled = agent(**changes), agent(use_compile=True, **changes)
    for seed in range(3):
        plain.update(rollout(plain, seed))
        compiled.update(rollout(compiled, seed))
    torch.testing.assert_close(plain.flat.params, compiled.flat.params, rtol=0, atol=1e-5)
    assert plain.optimizer.state.step.item() == compiled.optimizer.state.step.item()


def test_training_improves_the_objective() -> None:
    """Action 0 learns to copy observation 0."""
    ppo = agent(learning_rate=1e-2, gamma=0.0)
    first = rollout(ppo, 0).rewards.mean()
    for seed in range(10):
        ppo.update(rollout(ppo, seed))
    assert rollout(ppo, 0).rewards.mean() > first + 0.5


def test_the_update_stops_once_the_kl_is_too_large() -> None:
    """A large learning rate moves the policy beyond 1.5 times the target within the first epoch."""
    ppo = agent(learning_rate=3e-2, target_kl=0.01)
    metrics = ppo.update(rollout(ppo))
    assert 0.0 < metrics.epochs.item() < 1.0
    assert metrics.last_kl.item() > 0.015
    assert metrics.approx_kl.item() < 0.015
    assert ppo.optimizer.state.step.item() == metrics.epochs.item() * ppo.num_minibatches


def test_stopping_early_gives_the_same_weights_as_skipping_steps() -> None:
    """Breaking out of the loop (CPU) and letting the flag skip every later step (GPU) agree."""
    early, flagged = (agent(learning_rate=3e-2, target_kl=0.01) for _ in range(2))
    early._native = None
    metrics = early.update(rollout(early))
    storage = rollout(flagged)
    flagged.compute_advantages(storage)
    flagged.learning_rate.fill_(3e-2)
    flagged.distribution.remember()
    minibatches = flagged._minibatches(storage)
    for index, ids in minibatches:
        flagged._step(storage.minibatch(index, 4, ids, flagged.kernels.gather_rows))
    assert len(minibatches) == 3 * 4 > early.optimizer.state.step.item() > 0
    assert torch.equal(early.flat.params, flagged.flat.params)
    assert early.optimizer.state.step.item() == flagged.optimizer.state.step.item()
    # Later minibatches found the flag set; after breaking out there were none.
    found = flagged.progress._replace(stopped_before=early.progress.stopped_before)
    for name, value in found._asdict().items():
        assert torch.equal(value, getattr(early.progress, name)), name
    assert metrics.last_kl.item() == flagged.progress.last_kl.item()
    assert torch.equal(early.rng_state, flagged.rng_state)


def test_a_resumed_agent_continues_bit_for_bit() -> None:
    """Three iterations, or one, save, restore into a fresh agent, two more."""
    whole, first = agent(), agent()
    for seed in range(3):
        whole.update(rollout(whole, seed))
    first.update(rollout(first, 0))
    second = agent()
    second.load_state_dict(first.state_dict())
    for seed in (1, 2):
        second.update(rollout(second, seed))
    assert torch.equal(whole.flat.params, second.flat.params)
    assert torch.equal(whole.learning_rate, second.learning_rate)


def test_a_truncated_step_bootstraps_from_its_final_observation() -> None:
    """Reward 1, truncated, gamma 0.5: the return is 1 + 0.5 V(final observation)."""
    ppo = agent(gamma=0.5, normalize_values=False)
    storage = rollout(ppo)
    storage.rewards.fill_(1.0)
    storage.terminated.zero_()
    storage.truncated.fill_(True)
    with torch.no_grad():
        value = ppo._value(storage.final_observations[2])
    ppo.compute_advantages(storage)
    torch.testing.assert_close(storage.returns[2], 1.0 + 0.5 * value)


def test_a_critic_of_normalised_values_predicts_unnormalised_returns() -> None:
    """Returns around 50 that follow an observation: denormalised values learn to follow it too."""
    ppo = agent(learning_rate=1e-2, gamma=0.0, num_epochs=8)

    def explained() -> float:
        storage = rollout(ppo, 99)
        with torch.no_grad():
            values = ppo._value(storage.observations.flatten(0, 1))
        wanted = 50.0 + 3.0 * storage.observations.flatten(0, 1)[:, 1]
        return 1.0 - ((wanted - values).square().mean() / wanted.var()).item()

    assert explained() < 0.1
    for seed in range(20):
        storage = rollout(ppo, seed)
        storage.rewards.copy_(50.0 + 3.0 * storage.observations[..., 1])
        ppo.update(storage)
    assert explained() > 0.9


class Recorded(NamedTuple):
    """The rollout of one iteration and the advantages that its minibatches passed to the loss."""

    storage: RolloutStorage
    advantages: list[torch.Tensor]


def recorded(**changes) -> Recorded:
    """Trains for one iteration and records the advantages passed to the loss."""
    ppo, seen = agent(**changes), []
    ppo._native = None  # it has no loss of its own to spy on
    loss = ppo.kernels.gaussian_ppo_loss

    def spy(mean, log_std, values, batch, *rest):
        seen.append(batch.advantages.clone())
        return loss(mean, log_std, values, batch, *rest)

    ppo.distribution._kernels = ppo.kernels._replace(gaussian_ppo_loss=spy)
    storage = rollout(ppo)
    ppo.update(storage)
    return Recorded(storage, seen)


@pytest.mark.parametrize("how", ["global", "minibatch", "none"])
def test_advantages_are_normalised_as_configured(how) -> None:
    """To mean 0 and deviation 1 over the rollout or within each minibatch, or not at all."""
    storage, advantages = recorded(normalize_advantages=how)
    std = storage.advantages.std().item()
    assert (abs(std - 1.0) < 1e-3) == (how == "global")
    centred = [abs(x.mean().item()) < 1e-5 and abs(x.std().item() - 1) < 1e-3 for x in advantages]
    assert all(centred) == (how == "minibatch")
    assert len(advantages) == 3 * 4


def test_rewards_are_scaled_before_anything_else() -> None:
    """Twice the scale doubles the unnormalised advantages and returns of an untrained critic."""
    results = []
    for scale in (1.0, 2.0):
        ppo = agent(reward_scale=scale, normalize_advantages="none", normalize_values=False)
        storage = rollout(ppo)
        storage.values.zero_()
        ppo._value = lambda observations, memory: observations.new_zeros(len(observations))
        ppo.compute_advantages(storage)
        results.append((storage.advantages.clone(), storage.returns.clone()))
    torch.testing.assert_close(2.0 * results[0][0], results[1][0])
    torch.testing.assert_close(2.0 * results[0][1], results[1][1])
    assert results[0][0].abs().max() > 0.5


def test_standard_deviations_stay_within_their_bounds() -> None:
    """A large learning rate would push them out of bounds at once."""
    ppo = agent(learning_rate=0.3, min_log_std=-0.1, max_log_std=0.1)
    ppo.update(rollout(ppo))
    assert ppo.distribution.log_std.abs().max().item() == pytest.approx(0.1)


def test_metrics_are_means_over_the_steps_that_were_taken() -> None:
    """Entropy of three unit Gaussians that hardly move: 3 x 0.5 log(2 pi e) = 4.2568."""
    ppo = agent(learning_rate=1e-7, schedule="constant")
    metrics = ppo.update(rollout(ppo))
    assert metrics.entropy.item() == pytest.approx(4.2568, abs=1e-3)
    assert metrics.epochs.item() == 3.0
    assert metrics.learning_rate.item() == pytest.approx(1e-7)
    assert metrics.log_std.item() == pytest.approx(0.0, abs=1e-4)
    assert metrics.nonfinite_steps.item() == 0
    assert metrics.explained_variance.item() < 0.5
    assert metrics.grad_norm.item() > 0.0


def test_a_perfect_critic_explains_all_variance() -> None:
    """Values equal to the returns of single-step episodes."""
    ppo = agent(normalize_values=False, gamma=0.9)
    storage = rollout(ppo)
    storage.terminated.fill_(True)
    storage.values.copy_(storage.rewards)
    assert ppo.compute_advantages(storage).item() == pytest.approx(1.0)
    storage.values.zero_()
    assert ppo.compute_advantages(storage).item() == pytest.approx(0.0, abs=1e-5)


def test_playing_uses_the_mean_actions() -> None:
    """For normalised observations, without noise."""
    ppo = agent()
    ppo.update(rollout(ppo))
    observations = torch.randn(5, O)
    normalized = ppo.observation_normalizer.normalize(observations)
    with torch.no_grad():
        wanted = ppo.network(normalized).outputs
    assert torch.equal(ppo.act_deterministic(observations)[0], wanted)
    assert not torch.equal(normalized, observations)


def test_switched_off_normalisers_leave_numbers_alone() -> None:
    """Observations reach the network unchanged, and values are in the reward's units."""
    ppo = agent(normalize_observations=False, normalize_values=False)
    storage = rollout(ppo)
    assert torch.equal(storage.normalized_observations, storage.observations)
    ppo.update(storage)
    assert torch.equal(
        ppo._value(storage.observations[0]), ppo.network.value(storage.observations[0])
    )


def test_a_changed_learning_rate_replaces_the_saved_one() -> None:
    """Otherwise the saved rate is kept."""
    first = agent(schedule="constant", learning_rate=1e-3)
    first.learning_rate.fill_(7e-4)
    same, other = (agent(schedule="constant", learning_rate=rate) for rate in (1e-3, 5e-4))
    for each in (same, other):
        each.load_state_dict(first.state_dict())
    assert same.learning_rate.item() == pytest.approx(7e-4)
    assert other.learning_rate.item() == pytest.approx(5e-4)


def test_non_finite_gradients_leave_the_weights_alone_and_are_counted() -> None:
    """A NaN reward makes every advantage NaN."""
    ppo = agent()
    storage = rollout(ppo)
    before = ppo.flat.params.clone()
    storage.rewards[0, 0] = torch.nan
    ppo.update(storage)
    assert torch.equal(ppo.flat.params, before)
    assert ppo.optimizer.state.nonfinite_steps.item() == 3 * 4


def test_the_learning_rate_follows_the_schedule() -> None:
    """Linear over 10 iterations; adaptive rises when the policy hardly moves; constant stays."""
    linear = agent(schedule="linear", min_learning_rate=0.0)
    linear.update(rollout(linear))
    linear.update(rollout(linear))
    assert linear.learning_rate.item() == pytest.approx(1e-3 * 8 / 9)
    adaptive = agent(schedule="adaptive", learning_rate=1e-6)
    adaptive.update(rollout(adaptive))
    assert adaptive.learning_rate.item() > 1e-5
    constant = agent(schedule="constant")
    constant.update(rollout(constant))
    assert constant.learning_rate.item() == pytest.approx(1e-3)


def test_every_epoch_has_a_permutation_of_its_own_unless_rows_stay_in_order() -> None:
    """Three epochs of four minibatches; the random state moves by one call per epoch."""
    shuffled, ordered = agent(), agent(minibatch_order="contiguous")
    calls = [int(each.rng_state[1]) for each in (shuffled, ordered)]
    rows = torch.arange(T * N)
    minibatches = shuffled._minibatches(RolloutStorage(T, N, O, A, A, CPU))
    assert [index for index, _ in minibatches] == [0, 1, 2, 3] * 3
    epochs = [minibatches[first][1] for first in (0, 4, 8)]
    for ids in epochs:
        assert torch.equal(ids.sort().values, rows)
        assert not torch.equal(ids, rows)
    assert not torch.equal(epochs[0], epochs[1])
    in_order = ordered._minibatches(RolloutStorage(T, N, O, A, A, CPU))
    assert in_order == [(index, None) for index in (0, 1, 2, 3)] * 3
    moved = [int(each.rng_state[1]) for each in (shuffled, ordered)]
    assert [after - before for before, after in zip(calls, moved, strict=True)] == [3, 0]


def test_metrics_of_a_single_step_are_those_of_its_minibatch() -> None:
    """One epoch of one minibatch: entropy of three unit Gaussians, ratio 1, KL 0."""
    ppo = agent(num_minibatches=1, num_epochs=1)
    metrics = ppo.update(rollout(ppo))
    assert metrics.epochs.item() == 1.0
    assert metrics.entropy.item() == pytest.approx(4.2568, abs=1e-4)
    assert metrics.approx_kl.item() == metrics.last_kl.item() == 0.0
    # The surrogate of normalised advantages at ratio 1 is minus their mean, 0.
    assert metrics.surrogate_loss.item() == pytest.approx(0.0, abs=1e-5)


def test_the_configuration_reaches_network_and_optimiser() -> None:
    """Separate critic, initialisation, precision, Adam's epsilon and the gradient clip."""
    plain, other = agent(), agent(separate=True, weight_init="orthogonal", initial_log_std=-0.5)
    assert plain.network.critic is None
    assert other.network.critic is not None
    assert plain.network.actor.layers.linear[0].bias.any()
    assert not other.network.actor.layers.linear[0].bias.any()
    assert other.distribution.log_std.tolist() == [-0.5] * A
    x = torch.randn(100, O)
    rounded = agent(precision="bf16").act_deterministic(x)[0]
    assert not torch.equal(rounded, plain.act_deterministic(x)[0])
    torch.testing.assert_close(rounded, plain.act_deterministic(x)[0], atol=0.02, rtol=0)
    # Clipped to a norm of 1e-3, the first moment is a tenth of that at most.
    clipped = agent(max_grad_norm=1e-3, num_epochs=1, num_minibatches=1)
    clipped.update(rollout(clipped))
    assert clipped.optimizer.state.exp_avg.norm().item() == pytest.approx(1e-4, rel=1e-3)
    # An epsilon far above the gradients makes the step as small.
    start = agent(adam_eps=1e6).flat.params.clone()
    slow = agent(adam_eps=1e6)
    slow.update(rollout(slow))
    assert 0 < (slow.flat.params - start).abs().max() < 1e-6
