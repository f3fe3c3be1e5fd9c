"""Ppo: the first minibatch's identity, early stopping, both kernels, resuming, advantages."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rlgpu.config import TrainConfig
from rlgpu.learner import Ppo
from rlgpu.ops import METRICS, select_kernels
from rlgpu.storage import RolloutStorage

CPU = torch.device("cpu")
T, N, O, A = 8, 64, 10, 3  # noqa: E741
KL, CLIP = METRICS.index("approx_kl"), METRICS.index("clip_fraction")


def config(**changes) -> TrainConfig:
    base = TrainConfig(
        horizon_length=T, hidden_sizes=[32, 16], learning_rate=1e-3, target_kl=0.0, num_epochs=3
    )
    return dataclasses.replace(base, **changes)


def agent(
    kernels: str = "fused", num_minibatches: int = 4, device=CPU, precision="fp32",
    compiled=False, skipping=True, **changes,
) -> Ppo:  # fmt: skip
    return Ppo(
        config(**changes), O, A, max_iterations=10, num_minibatches=num_minibatches,
        kernels=select_kernels(kernels, device), device=device, seed=3, precision=precision,
        compiled=compiled, skipping=skipping,
    )  # fmt: skip


def rollout(ppo: Ppo, seed: int = 0) -> RolloutStorage:
    """Random observations; the reward is the first action's closeness to the first observation."""
    g = torch.Generator().manual_seed(seed)
    storage = RolloutStorage(T, N, O, A, ppo.device)
    fill(ppo, storage, g)
    return storage


def fill(ppo: Ppo, storage: RolloutStorage, g: torch.Generator) -> None:
    for t in range(T):
        observations = (3 * torch.randn(N, O, generator=g) + 1).to(ppo.device)
        actions = ppo.act(observations, storage, t)
        storage.rewards[t] = -(actions[:, 0] - observations[:, 0]).abs()
        terminated, truncated = torch.rand(2, N, generator=g) < 0.05
        storage.terminated[t] = terminated.to(ppo.device)
        storage.truncated[t] = (truncated & ~terminated).to(ppo.device)
        storage.final_observations[t] = torch.randn(N, O, generator=g).to(ppo.device)
    storage.last_observations.copy_(torch.randn(N, O, generator=g))


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("order", ["shuffled", "contiguous"])
def test_the_first_minibatch_has_ratio_one_and_kl_zero(precision, order, device) -> None:
    """In a later iteration too, with moving normalisers: nothing moves within an iteration."""
    ppo = agent(device=device, precision=precision, minibatch_order=order)
    for seed in range(3):
        storage = rollout(ppo, seed)
        ppo.compute_advantages(storage)
        ppo._old_log_std.copy_(ppo.network.log_std.detach())
        index, ids = ppo._minibatches(storage)[0]
        batch = storage.minibatch(index, 4, ids, ppo.kernels.gather_rows)
        assert torch.equal(ppo.network(batch.observations).mean, batch.mean)
        metrics = ppo._backward(batch)
        assert metrics[KL].item() == 0.0
        assert metrics[CLIP].item() == 0.0
        ppo.update(rollout(ppo, seed))


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-3), ("tf32", 2e-2), ("bf16", 5e-2)]
)
def test_both_kernels_learn_the_same(precision, tolerance, device) -> None:
    """Ten iterations of the compiled ops and of plain torch end near each other.

    Adam divides by the gradients' size, so roundings grow where gradients are tiny: a parameter
    moves by up to the rate, 1e-3, a step, 120 times. Both round operands alike and sum in other
    orders. (On a GPU, plain torch computes in float32 here; on the CPU tf32 is float32.)
    """
    ours = agent("fused", device=device, precision=precision)
    theirs = agent("torch", device=device, precision=precision)
    assert torch.equal(ours.flat.params, theirs.flat.params)
    for seed in range(10):
        ours.update(rollout(ours, seed))
        theirs.update(rollout(theirs, seed))
    assert ours.adam.step.item() == theirs.adam.step.item() == 10 * 3 * 4
    torch.testing.assert_close(ours.flat.params, theirs.flat.params, rtol=0, atol=tolerance)


def test_compiled_arithmetic_trains_to_the_same_weights() -> None:
    """torch.compile fuses what lies between the ops and changes nothing in it."""
    changes = {"schedule": "adaptive", "learning_rate": 3e-2, "target_kl": 0.01}
    plain, compiled = agent(**changes), agent(compiled=True, **changes)
    for seed in range(3):
        plain.update(rollout(plain, seed))
        compiled.update(rollout(compiled, seed))
    torch.testing.assert_close(plain.flat.params, compiled.flat.params, rtol=0, atol=1e-5)
    assert plain.adam.step.item() == compiled.adam.step.item()


def test_training_improves_the_objective() -> None:
    """Action 0 learns to copy observation 0."""
    ppo = agent(learning_rate=1e-2, gamma=0.0)
    first = rollout(ppo, 0).rewards.mean()
    for seed in range(10):
        ppo.update(rollout(ppo, seed))
    assert rollout(ppo, 0).rewards.mean() > first + 0.5


def test_the_update_stops_once_the_kl_is_too_large() -> None:
    """A large rate moves the policy beyond 1.5 times the target within the first epoch."""
    ppo = agent(learning_rate=3e-2, target_kl=0.01)
    metrics = ppo.update(rollout(ppo))
    assert 0.0 < metrics.epochs.item() < 1.0
    assert metrics.last_kl.item() > 0.015
    assert metrics.approx_kl.item() < 0.015
    assert ppo.adam.step.item() == metrics.epochs.item() * ppo.num_minibatches


def test_stopping_in_earnest_gives_the_weights_of_skipped_steps() -> None:
    """Breaking out of the loop (CPU) and letting the flag skip every later step (GPU) agree."""
    early, flagged = (agent(learning_rate=3e-2, target_kl=0.01) for _ in range(2))
    metrics = early.update(rollout(early))
    storage = rollout(flagged)
    flagged.compute_advantages(storage)
    flagged.learning_rate.fill_(3e-2)
    flagged._old_log_std.copy_(flagged.network.log_std.detach())
    minibatches = flagged._minibatches(storage)
    for index, ids in minibatches:
        flagged._step(storage.minibatch(index, 4, ids, flagged.kernels.gather_rows))
    assert len(minibatches) == 3 * 4 > early.adam.step.item() > 0
    assert torch.equal(early.flat.params, flagged.flat.params)
    assert early.adam.step.item() == flagged.adam.step.item()
    for name, value in flagged.progress._asdict().items():
        assert torch.equal(value, getattr(early.progress, name)), name
    assert metrics.last_kl.item() == flagged.progress.last_kl.item()
    assert torch.equal(early.rng_state, flagged.rng_state)


def test_the_way_of_a_gpu_gives_the_same_weights() -> None:
    """Values of all final observations instead of those needed, no break: bit for bit the same."""
    usual, pretending = (agent(learning_rate=3e-2, target_kl=0.01) for _ in range(2))
    for seed in range(3):
        usual.update(rollout(usual, seed))
        storage = rollout(pretending, seed)
        pretending.device = torch.device("cuda")
        pretending.update(storage)
        pretending.device = CPU
        assert torch.equal(usual.flat.params, pretending.flat.params)
        assert torch.equal(usual.rng_state, pretending.rng_state)


def test_a_resumed_agent_continues_to_the_same_bits() -> None:
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


def test_a_truncated_step_is_worth_its_final_observation() -> None:
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


def test_normalised_values_keep_the_critics_meaning() -> None:
    """Returns of mean 50: after training, denormalised values are near them."""
    ppo = agent(learning_rate=1e-2, gamma=0.0, num_epochs=8)
    for seed in range(20):
        storage = rollout(ppo, seed)
        storage.rewards.fill_(50.0)
        storage.rewards += torch.randn(T, N)
        ppo.update(storage)
    with torch.no_grad():
        values = ppo._value(rollout(ppo, 99).observations.flatten(0, 1))
    assert abs(values.mean().item() - 50.0) < 1.0


@pytest.mark.parametrize("how", ["global", "minibatch", "none"])
def test_advantages_are_normalised_as_asked(how) -> None:
    """Over the rollout they have mean 0 and deviation 1; otherwise they are left alone."""
    ppo = agent(normalize_advantages=how)
    storage = rollout(ppo)
    ppo.update(storage)
    std = storage.advantages.std().item()
    assert (abs(std - 1.0) < 1e-3) == (how == "global")


def test_non_finite_gradients_leave_the_weights_alone_and_are_counted() -> None:
    """A NaN reward makes every advantage NaN."""
    ppo = agent()
    storage = rollout(ppo)
    before = ppo.flat.params.clone()
    storage.rewards[0, 0] = torch.nan
    ppo.update(storage)
    assert torch.equal(ppo.flat.params, before)
    assert ppo.adam.nonfinite_steps.item() == 3 * 4


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
