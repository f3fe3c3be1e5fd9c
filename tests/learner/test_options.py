"""Curiosity, mirror symmetry and a teacher: each changes what it says, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

import train
from rlgpu.config import TrainConfig
from rlgpu.config.schema import CuriosityConfig, DistillationConfig, SymmetryConfig
from rlgpu.errors import Conflict, UsageError
from rlgpu.learner import Ppo, RolloutStorage
from rlgpu.ops import METRICS, select_kernels
from rlgpu.spaces import Continuous, ObservationSpace, Part, numbers
from tests.refusals import names

CPU = torch.device("cpu")
T, N, O, A = 4, 16, 3, 2  # noqa: E741


def agent(mirror=None, teacher=None, fillers=False, **changes) -> Ppo:
    base = TrainConfig(
        horizon_length=T,
        hidden_sizes=[16],
        learning_rate=1e-2,
        target_kl=0.02,
        num_epochs=2,
        schedule="constant",
    )
    return Ppo(
        dataclasses.replace(base, **changes),
        numbers(O),
        Continuous(A),
        max_iterations=10,
        num_minibatches=2,
        kernels=select_kernels("compiled", CPU),
        device=CPU,
        seed=3,
        mirror=mirror,
        teacher=teacher,
        fillers=fillers,
    )


def filled(ppo: Ppo, seed: int = 0, observations=None) -> RolloutStorage:
    storage, g = ppo.new_storage(N), torch.Generator().manual_seed(seed)
    for t in range(T):
        drawn = torch.randn(N, O, generator=g) + 1.0
        storage.observations[t] = drawn if observations is None else observations
        ppo.act(storage, t)
        storage.rewards[t] = torch.randn(N, generator=g)
        # The state that follows, as seen before any reset.
        drawn = torch.randn(N, O, generator=torch.Generator().manual_seed(99 * seed + t)) + 1.0
        storage.final_observations[t] = drawn if observations is None else observations
    return storage


def test_what_is_seen_often_stops_being_rewarded() -> None:
    """The reward for a new kind of observation is larger than for the usual ones."""
    ppo = agent(curiosity=CuriosityConfig(weight=1.0, learning_rate=3e-3))
    (option,) = ppo.options
    usual = torch.randn(N, O, generator=torch.Generator().manual_seed(5))
    storage = filled(ppo, observations=usual)
    first = option._error(storage.normalized_observations.flatten(0, 1)).mean()
    for seed in range(40):
        storage = filled(ppo, seed, usual)
        ppo.update(storage)
    learned = option._error(storage.normalized_observations.flatten(0, 1)).mean()
    assert learned < 0.2 * first
    storage.final_observations[:, 0] = 4.0
    rewards = option.rewards(storage)
    assert rewards[:, 0].min() > 2.0 * rewards[:, 1:].mean()
    assert (rewards >= 0).all()


def test_curiosity_rewards_the_state_reached() -> None:
    """Each reward follows what its step led to, not what was seen before or after a reset."""
    ppo = agent(curiosity=CuriosityConfig(weight=1.0))
    (option,), storage = ppo.options, filled(ppo)
    before = option.rewards(storage)
    storage.observations.fill_(3.0)
    storage.normalized_observations.fill_(3.0)
    storage.last_observations.fill_(3.0)
    assert torch.allclose(before, option.rewards(storage), rtol=0.2)
    order = torch.arange(T * N).flip(0)
    storage.final_observations.copy_(storage.final_observations.view(T * N, O)[order].view(T, N, O))
    again = option.rewards(storage)
    assert torch.allclose(again.flatten()[order], before.flatten(), rtol=0.2)
    assert not torch.allclose(again, before, rtol=0.2)


def test_the_last_state_of_an_episode_stops_being_new() -> None:
    """It is never acted on, so the predictor must also learn what steps lead to."""
    ppo = agent(curiosity=CuriosityConfig(weight=1.0, learning_rate=3e-3))
    (option,) = ppo.options
    last = torch.full((N, O), 2.0)
    for seed in range(40):
        storage = filled(ppo, seed)
        storage.terminated[T - 1] = True
        storage.final_observations[T - 1] = last
        if not seed:
            first = option._error(last).mean()
        ppo.update(storage)
    normalized = ppo.observation_normalizer.normalize(last)
    assert option._error(normalized).mean() < 0.2 * first


def test_steps_that_only_reset_get_no_curiosity() -> None:
    """Options add up: novelty counts in the other rows, and filler rows have no advantage."""
    returns = []
    for nonsense in (0.0, 7.0):
        ppo = agent(
            curiosity=CuriosityConfig(weight=1.0),
            fillers=True,
            normalize_advantages="none",
            normalize_values=False,
        )
        storage = filled(ppo)
        storage.filler = torch.zeros(T, N, dtype=torch.bool)
        storage.filler[2, :5] = True
        storage.terminated[2, :5] = True
        storage.final_observations[2, :5] += nonsense
        ppo.compute_advantages(storage)
        assert not storage.advantages[storage.filler].any()
        returns.append(storage.returns[~storage.filler])
    assert torch.equal(*returns)
    plain = agent(fillers=True, normalize_advantages="none", normalize_values=False)
    plain.compute_advantages(storage)
    assert (returns[0] > storage.returns[~storage.filler]).all()


def test_filler_rows_are_left_out_of_statistics() -> None:
    """Explained variance by numpy over the other rows; both normalisers count only these."""
    ppo = agent(fillers=True, gamma=0.0)
    storage = filled(ppo)
    storage.filler = torch.rand(T, N, generator=torch.Generator().manual_seed(1)) < 0.3
    storage.terminated.copy_(storage.filler)
    storage.values.normal_(generator=torch.Generator().manual_seed(2))
    storage.values[storage.filler] = 100.0
    storage.observations[storage.filler] = 100.0
    valid = ~storage.filler
    rewards, values = storage.rewards[valid].numpy(), storage.values[valid].numpy()
    wanted = 1.0 - np.var(rewards - values, ddof=1) / np.var(rewards, ddof=1)
    metrics = ppo.update(storage)
    assert metrics.explained_variance.item() == pytest.approx(wanted, rel=1e-4)
    assert ppo.value_normalizer.mean.item() == pytest.approx(rewards.mean(), rel=1e-5)
    assert ppo.observation_normalizer.count == ppo.value_normalizer.count == valid.sum()
    seen = storage.observations[valid].mean(0).tolist()
    assert ppo.observation_normalizer.mean.tolist() == pytest.approx(seen, rel=1e-5)


def test_curiosity_is_saved() -> None:
    """Both networks, so that what was new stays new."""
    ours, other = (agent(curiosity=CuriosityConfig(weight=1.0)) for _ in range(2))
    ours.update(filled(ours))
    other.load_state_dict(ours.state_dict())
    storage = filled(ours, 1)
    a, b = (ppo.options[0]._error(storage.observations[0]) for ppo in (ours, other))
    assert torch.equal(a, b)


def mirror(observations, actions):
    """Signs of the first column and of the first action change."""
    signs = torch.tensor([-1.0, 1.0, 1.0])
    return observations * signs, actions * torch.tensor([-1.0, 1.0])


def test_each_row_is_also_trained_on_in_the_mirror() -> None:
    """The second half of a minibatch is the first, seen there, with the same returns."""
    ppo = agent(mirror, symmetry=SymmetryConfig(augment=True))
    storage = filled(ppo)
    ppo.update(storage)  # so that the statistics are not those of the start
    storage = filled(ppo, 1)
    ppo.compute_advantages(storage)
    (option,) = ppo.options
    option.prepare(storage)
    for index, ids in ppo._minibatches(storage)[:2]:
        minibatch = option.minibatch(storage.minibatch(index, 2, ids, ppo.kernels.gather_rows))
        rows, half = minibatch.rows, T * N // 2
        raw = storage.observations.flatten(0, 1)[minibatch.ids]
        wanted = ppo.observation_normalizer.normalize(mirror(raw, raw[:, :A])[0])
        assert torch.equal(rows.normalized_observations[half:], wanted)
        assert torch.equal(rows.actions[half:], mirror(raw, rows.actions[:half])[1])
        assert torch.equal(rows.advantages[half:], rows.advantages[:half])
        assert len(rows.returns) == 2 * half


def test_a_policy_becomes_symmetric() -> None:
    """After training on mirror images its means are closer to being mirrored."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, O, generator=g)
    distances = []
    for augment in (False, True):
        ppo = agent(mirror, symmetry=SymmetryConfig(augment=augment), learning_rate=3e-3)
        for seed in range(30):
            storage = filled(ppo, seed)
            storage.rewards.copy_(-(storage.actions[..., 0] - storage.observations[..., 0]).abs())
            ppo.update(storage)
        there, _ = ppo.act_deterministic(mirror(x, x[:, :A])[0])
        here, _ = ppo.act_deterministic(x)
        distances.append((there - mirror(x, here)[1]).abs().mean().item())
    assert distances[1] < 0.7 * distances[0]


def unlike_its_mirror(**changes) -> tuple[Ppo, RolloutStorage]:
    """An agent whose policy is far from symmetric, with the KL stop on, and its rollout."""
    ppo = agent(mirror, symmetry=SymmetryConfig(augment=True), **changes)
    with torch.no_grad():
        ppo.flat.params[:-A].mul_(3.0)
    storage = filled(ppo)
    raw, means = storage.observations.flatten(0, 1), storage.parameters.flatten(0, 1)
    there, _ = ppo.act_deterministic(mirror(raw, means)[0])
    # KL between unit Gaussians: half the squared distance of their means.
    assert 0.5 * (there - mirror(raw, means)[1]).square().sum(-1).mean() > 10 * 0.02
    return ppo, storage


@pytest.mark.parametrize("estimate", ["forward", "sampled"])
def test_mirrored_rows_do_not_stop_an_update(estimate) -> None:
    """The KL stop and its rate see rows of the rollout, whose KL is 0 before the first step."""
    ppo, storage = unlike_its_mirror(
        target_kl=0.02, learning_rate=1e-5, schedule="linear", kl_estimate=estimate
    )
    metrics = ppo.update(storage)
    assert metrics.epochs == 2
    assert ppo.linear_share == 1.0


def test_metrics_of_a_policy_are_those_of_the_rollout_beside_mirrored_rows() -> None:
    """KL by torch.distributions and the share of clipped ratios, over the first half alone."""
    ppo, storage = unlike_its_mirror(clip_ratio=0.05, learning_rate=1e-2)
    ppo.compute_advantages(storage)
    ppo._prepare(storage)
    minibatch = storage.minibatch(0, 2, None, ppo.kernels.gather_rows)
    ppo._step(minibatch)
    old, means = ppo.distribution._old_log_std.exp(), minibatch.rows.parameters
    doubled = ppo.options[0].minibatch(minibatch)
    metrics = dict(zip(METRICS, ppo._backward(doubled).tolist(), strict=True))
    std = ppo.distribution.log_std.detach().exp()
    outputs = ppo.network(minibatch.rows.normalized_observations).outputs.detach()
    new, before = Normal(outputs, std), Normal(means, old)
    assert metrics["approx_kl"] == pytest.approx(
        kl_divergence(before, new).sum(-1).mean().item(), rel=1e-4
    )
    actions = minibatch.rows.actions
    ratio = (new.log_prob(actions) - before.log_prob(actions)).sum(-1).exp()
    clipped = ((ratio - 1.0).abs() > 0.05).float().mean().item()
    assert 0.0 < clipped < 1.0
    assert metrics["clip_fraction"] == pytest.approx(clipped)
    assert metrics["entropy"] == pytest.approx(new.entropy().sum(-1).mean().item(), rel=1e-5)


def test_mirrored_rows_have_half_of_the_gradient() -> None:
    """The mean loss over both halves, by autograd on the loss's formula."""
    ppo, storage = unlike_its_mirror(value_loss_coef=1.0, clip_value=False, bounds_loss_coef=0.0)
    ppo.compute_advantages(storage)
    ppo._prepare(storage)
    rows = ppo.options[0].minibatch(storage.minibatch(0, 2, None, ppo.kernels.gather_rows))
    ppo._backward(rows)
    found, batch = ppo.flat.grads.clone(), rows.rows
    outputs, values, _ = ppo.network(batch.normalized_observations)
    log_probs = Normal(outputs, ppo.distribution.log_std.exp()).log_prob(batch.actions).sum(-1)
    ratio = (log_probs - batch.log_probs).exp()
    surrogate = torch.min(ratio * batch.advantages, ratio.clamp(0.8, 1.2) * batch.advantages)
    loss = (0.5 * (values - batch.returns).square() - surrogate).mean()
    ppo.flat.backward([loss], [torch.ones(())])
    torch.testing.assert_close(found, ppo.flat.grads, rtol=1e-4, atol=1e-6)


def test_a_single_row_is_normalised_to_nothing() -> None:
    """A minibatch of one row has no deviation; its critic learns, and no gradient is NaN."""
    ppo = agent(normalize_advantages="minibatch")
    storage = filled(ppo)
    ppo.num_minibatches = T * N
    before = ppo.flat.params.clone()
    metrics = ppo.update(storage)
    assert metrics.nonfinite_steps == 0
    assert metrics.epochs == 2
    assert metrics.surrogate_loss == 0
    assert not torch.equal(before, ppo.flat.params)


def test_mirrored_rows_share_the_normalised_advantage_of_theirs() -> None:
    """By the mean and the standard deviation of the rows of the rollout alone."""
    ppo = agent(mirror, symmetry=SymmetryConfig(augment=True), normalize_advantages="minibatch")
    seen, loss = [], ppo.kernels.gaussian_ppo_loss

    def spy(mean, log_std, values, batch, *rest):
        seen.append(batch.advantages.numpy().copy())
        return loss(mean, log_std, values, batch, *rest)

    ppo.distribution._kernels = ppo.kernels._replace(gaussian_ppo_loss=spy)
    ppo.update(filled(ppo))
    assert seen[0] == pytest.approx(seen[1])
    assert np.std(seen[0], ddof=1) == pytest.approx(1.0, rel=1e-5)


def test_symmetry_needs_a_task_that_says_it() -> None:
    """And a policy whose parameters are mirrored as actions are."""
    chosen = SymmetryConfig(augment=True)
    with pytest.raises(UsageError) as refusal:
        agent(symmetry=chosen)
    assert refusal.value.key == "train.symmetry"
    assert not isinstance(refusal.value, Conflict)
    with pytest.raises(Conflict) as conflict:
        agent(mirror, symmetry=chosen, memory="gru")
    assert (conflict.value.key, conflict.value.other) == ("train.symmetry", "train.memory")
    assert names(conflict.value, "train.memory=none")


def test_options_that_do_not_suit_are_refused() -> None:
    """Curiosity about images; a mirror and a teacher at once."""
    chosen = {"symmetry": SymmetryConfig(augment=True)}
    with pytest.raises(Conflict) as conflict:
        agent(mirror, lambda x: x[:, :A], **chosen)
    assert (conflict.value.key, conflict.value.other) == ("train.symmetry", "train.distillation")
    image = ObservationSpace((Part("image", (40, 40, 1), kind="image"),), "uint8")
    config = TrainConfig(curiosity=CuriosityConfig(weight=1.0))
    with pytest.raises(UsageError) as refusal:
        Ppo(
            config,
            image,
            Continuous(A),
            max_iterations=1,
            num_minibatches=1,
            device=CPU,
            seed=0,
            kernels=select_kernels("compiled", CPU),
        )
    assert (refusal.value.key, refusal.value.value) == ("train.curiosity.weight", 1.0)


def test_only_the_teacher_is_learned_from_if_asked() -> None:
    """Whatever the rewards: the means come to be the teacher's."""
    weights = torch.tensor([[1.0, -0.5, 0.0], [0.0, 0.3, 0.7]])
    ppo = agent(
        teacher=lambda x: x @ weights.t(),
        distillation=DistillationConfig("a", weight=5.0, only=True),
    )
    x = torch.randn(100, O) + 1.0
    before = (ppo.act_deterministic(x)[0] - x @ weights.t()).abs().mean()
    for seed in range(60):
        ppo.update(filled(ppo, seed))
    after = (ppo.act_deterministic(x)[0] - x @ weights.t()).abs().mean()
    assert after < 0.25 * before


def test_a_teacher_that_sees_more_teaches_on_the_command_line(
    tmp_path, monkeypatch, capsys
) -> None:
    """A checkpoint of the full task, a student without velocities; a wrong one is refused."""
    monkeypatch.chdir(tmp_path)
    base = ["task=Cartpole", "num_envs=32", "headless=True", "sim=mujoco", "max_iterations=2"]
    assert train.main([*base, "experiment=teacher"]) == 0
    teacher = Path("runs/teacher/latest").resolve()
    student = [
        *base,
        "task.hidden=[cart_vel,pole_vel]",
        "train.hidden_sizes=[8]",
        f"train.distillation.teacher={teacher}",
    ]
    assert train.main(student) == 0
    assert train.main(["task=Ant", *base[1:], f"train.distillation.teacher={teacher}"]) == 2
    said = capsys.readouterr().err
    assert names(said, "train.distillation.teacher", "last.pth", "ActorCritic")
