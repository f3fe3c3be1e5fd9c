"""Recurrent rollouts: memory along episodes, first minibatch unchanged, values at time limits."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rlgpu.config import TrainConfig
from rlgpu.learner import Ppo, RolloutStorage
from rlgpu.ops import METRICS, select_kernels
from rlgpu.spaces import Continuous, numbers

CPU = torch.device("cpu")
T, N, O, A = 8, 12, 5, 2  # noqa: E741
KL, CLIP = METRICS.index("approx_kl"), METRICS.index("clip_fraction")


def agent(num_minibatches: int = 2, space=None, **changes) -> Ppo:
    base = TrainConfig(
        horizon_length=T,
        hidden_sizes=[16],
        memory="lstm",
        memory_size=6,
        learning_rate=1e-3,
        target_kl=0.0,
        num_epochs=2,
    )
    return Ppo(
        dataclasses.replace(base, **changes),
        space or numbers(O),
        Continuous(A),
        max_iterations=10,
        num_minibatches=num_minibatches,
        kernels=select_kernels("compiled", CPU),
        device=CPU,
        seed=3,
    )


def fill(ppo: Ppo, storage: RolloutStorage, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    for t in range(T):
        storage.observations[t] = torch.randn(N, O, generator=g)
        ppo.act(storage, t)
        storage.rewards[t] = torch.randn(N, generator=g)
        terminated, truncated = torch.rand(2, N, generator=g) < 0.15
        storage.terminated[t], storage.truncated[t] = terminated, truncated & ~terminated
        storage.final_observations[t] = torch.randn(N, O, generator=g)
    storage.last_observations.copy_(torch.randn(N, O, generator=g))


@pytest.mark.parametrize("sequence_length", [0, 2, 4])
@pytest.mark.parametrize("order", ["shuffled", "contiguous"])
@pytest.mark.parametrize("separate", [False, True])
def test_the_first_minibatch_has_ratio_one_and_kl_zero(sequence_length, order, separate) -> None:
    """In the second rollout too, whose memory comes from the first; every row is visited once."""
    ppo = agent(sequence_length=sequence_length, minibatch_order=order, separate=separate)
    storage = ppo.new_storage(N)
    fill(ppo, storage, 0)
    ppo.update(storage)
    fill(ppo, storage, 1)
    ppo.compute_advantages(storage)
    ppo.distribution.remember()
    seen = []
    for index, ids in ppo._minibatches(storage)[:2]:
        minibatch = storage.minibatch(index, 2, ids, ppo.kernels.gather_rows)
        metrics = ppo._backward(minibatch)
        assert metrics[KL].abs() < 1e-9
        assert metrics[CLIP] == 0
        seen.append(minibatch.rows.log_probs)
    assert torch.equal(torch.cat(seen).sort().values, storage.log_probs.flatten().sort().values)


def test_memory_is_carried_within_an_episode_and_not_beyond() -> None:
    """Across steps and across rollouts."""
    ppo = agent()
    storage = ppo.new_storage(N)
    fill(ppo, storage, 0)
    done = storage.terminated | storage.truncated
    assert done.any()
    for t in range(1, T):
        wanted = torch.where(done[t - 1, :, None], 0.0, storage.memory_after[t - 1])
        assert torch.equal(storage.memory[t], wanted)
    last = torch.where(done[-1, :, None], 0.0, storage.memory_after[-1])
    ppo.update(storage)
    assert torch.equal(storage.carried, last)
    fill(ppo, storage, 1)
    assert torch.equal(storage.memory[0], last)


def test_values_at_a_time_limit_and_at_the_end_know_the_memory() -> None:
    """The final observation is one more step of its episode."""
    ppo = agent(normalize_values=False)
    storage = ppo.new_storage(N)
    fill(ppo, storage, 0)
    found = ppo._final_values(storage)
    t, env_id = storage.truncated.nonzero()[0].tolist()
    memory = storage.memory_after[t, env_id][None]
    normalized = ppo.observation_normalizer.normalize(storage.final_observations[t, env_id][None])
    torch.testing.assert_close(found[t, env_id][None], ppo.network.value(normalized, memory))
    ppo.host_may_read = False  # all rows at once, as on a GPU
    torch.testing.assert_close(
        ppo._final_values(storage)[storage.truncated], found[storage.truncated]
    )


def test_playing_remembers_as_acting_does() -> None:
    """Step by step, the most likely actions are those of the whole sequence."""
    ppo = agent()
    x = torch.randn(4, N, O)
    memory = ppo.no_memory(N)
    for row in x:
        actions, memory = ppo.act_deterministic(row, memory)
    fresh, _ = ppo.act_deterministic(x[-1], ppo.no_memory(N))
    assert not torch.allclose(actions, fresh)


def test_it_learns_what_only_memory_can_know() -> None:
    """The reward is for repeating the first number shown, after it is gone."""
    ppo = agent(
        num_minibatches=1,
        memory="gru",
        memory_size=16,
        learning_rate=5e-3,
        schedule="constant",
        initial_log_std=-0.5,
    )
    storage = ppo.new_storage(64)
    g = torch.Generator().manual_seed(0)
    rewards = []
    for _ in range(60):
        shown = torch.randint(0, 2, (64,), generator=g) * 2.0 - 1.0
        for t in range(T):
            storage.observations[t].zero_()
            if t == 0:
                storage.observations[t, :, 0] = shown
            storage.observations[t, :, 1] = float(t == 0)
            actions = ppo.act(storage, t)
            storage.rewards[t] = -(actions[:, 0] - shown).square()
            storage.terminated[t] = t == T - 1
        ppo.update(storage)
        rewards.append(storage.rewards.mean().item())
    assert rewards[0] < -1.0  # without memory, -1 - std^2 is the best
    assert rewards[-1] > -0.6


@pytest.mark.parametrize("clip", ["global", "per_network"])
def test_a_separate_critic_has_its_own_learning_rate(clip) -> None:
    """Adam's first step has the length of the rate, whatever the gradient."""
    ppo = agent(
        num_minibatches=1,
        memory="none",
        separate=True,
        learning_rate=1e-4,
        num_epochs=1,
        critic_learning_rate=1e-3,
        schedule="constant",
        clip_gradients=clip,
    )
    storage = ppo.new_storage(N)
    fill(ppo, storage, 0)
    before = ppo.flat.params.clone()
    ppo.update(storage)
    moved = (ppo.flat.params - before).abs()
    actor, critic = ppo.flat.groups
    assert moved[actor].max().item() == pytest.approx(1e-4, rel=0.01)
    assert moved[critic].max().item() == pytest.approx(1e-3, rel=0.01)
    state = ppo.state_dict()
    ppo.load_state_dict(state)
    assert state["adam"]["step"].tolist() == [1, 1]


def test_an_asymmetric_critic_trains() -> None:
    """Privileged columns change the values and the critic's weights, never the actions'.

    The return is what the privileged columns say, which no other column knows.
    """
    ppo = agent(
        memory="none",
        space=numbers(O, privileged=2),
        num_minibatches=1,
        num_epochs=20,
        learning_rate=1e-2,
        schedule="constant",
        gamma=0.0,
        hidden_sizes=[32],
    )
    storage = ppo.new_storage(N)
    width, actor_inputs = storage.observations.shape[-1], []
    for seed in range(10):
        g = torch.Generator().manual_seed(seed)
        for t in range(T):
            storage.observations[t] = torch.randn(N, width, generator=g)
            ppo.act(storage, t)
            storage.rewards[t] = 5.0 * storage.observations[t, :, -1]
        actor_inputs.append(storage.observations[0].clone())
        metrics = ppo.update(storage)
    assert metrics.nonfinite_steps.item() == 0
    assert metrics.explained_variance > 0.8
    shown = actor_inputs[0].clone()
    shown[:, -2:] += 3.0
    with torch.no_grad():
        assert torch.equal(ppo.outputs(shown), ppo.outputs(actor_inputs[0]))
        assert (ppo._value(shown) - ppo._value(actor_inputs[0])).abs().mean() > 1.0
