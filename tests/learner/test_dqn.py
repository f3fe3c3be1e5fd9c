"""DQN: n-step transitions, targets, exploration, masks, waiting, learning."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rlgpu.config import TrainConfig
from rlgpu.config.schema import (
    CuriosityConfig,
    DistillationConfig,
    DqnConfig,
    SymmetryConfig,
)
from rlgpu.errors import Conflict, NoEffect, UsageError
from rlgpu.learner import Dqn, RolloutStorage
from rlgpu.learner.replay import Replay
from rlgpu.ops import select_kernels
from rlgpu.spaces import Continuous, Discrete, ObservationSpace, Part, numbers
from tests.refusals import names

CPU = torch.device("cpu")
CHANGED = {
    "activation": "tanh",
    "hidden_sizes": [8],
    "schedule": "linear",
    "weight_init": "orthogonal",
    "max_grad_norm": 1e-3,
    "adam_eps": 1.0,
    "minibatch_size": 16,
    "horizon_length": 6,
}
"""Another value of each setting that a number does not do for."""
T, N = 4, 3


def agent(space=None, actions=None, num_envs: int = N, **changes) -> Dqn:
    own = {field.name for field in dataclasses.fields(DqnConfig)}
    dqn = {name: value for name, value in changes.items() if name in own}
    rest = {name: value for name, value in changes.items() if name not in own}
    config = TrainConfig(
        horizon_length=T,
        hidden_sizes=[16],
        minibatch_size=32,
        schedule="constant",
        dqn=DqnConfig(**{"learning_starts": 0, **dqn}),
    )
    return Dqn(
        dataclasses.replace(config, **rest),
        space or numbers(2),
        actions or Discrete((3,)),
        max_iterations=10,
        num_envs=num_envs,
        kernels=select_kernels("compiled", CPU),
        device=CPU,
        seed=1,
    )


def rollout(start: int, ends: dict[tuple[int, int], str]) -> RolloutStorage:
    """Observation 0 of step i is i, final ones i + 0.5, the reward 2^i."""
    storage = RolloutStorage(T, N, 2, 1, 3, CPU)
    for t in range(T):
        storage.observations[t, :, 0] = start + t
        storage.observations[t, :, 1] = torch.arange(N)
        storage.final_observations[t, :, 0] = start + t + 0.5
        storage.rewards[t] = 2.0 ** (start + t)
    for (t, env), how in ends.items():
        getattr(storage, how)[t, env] = True
    return storage


def all_of(replay: Replay, num_steps: int):
    """Returns a transition of every slot and environment that can be drawn, by first step."""
    count = int(replay.filled) - num_steps + 1
    grid = [((a + 0.5) / count, (e + 0.5) / N) for a in range(count) for e in range(N)]
    return replay.sample(torch.tensor(grid), 0.5, num_steps), count


@pytest.mark.parametrize("num_steps", [1, 3])
def test_transitions_add_up_rewards_until_an_episode_ends(num_steps) -> None:
    """By hand: environment 0 goes on, 1 fails at step 2, 2 reaches its limit at step 2."""
    first = rollout(0, {(2, 1): "terminated", (2, 2): "truncated"})
    replay = Replay(first, 8)
    for storage in (first, rollout(4, {})):
        replay.add(storage, storage.rewards)
    found, count = all_of(replay, num_steps)
    assert count == 9 - num_steps
    for row in range(len(found.rewards)):
        step, env = row // N, row % N
        assert found.observations[row].tolist() == [step, env]
        last = step + num_steps - 1
        if env > 0 and step <= 2:
            last = min(last, 2)
        wanted = sum(0.5 ** (i - step) * 2.0**i for i in range(step, last + 1))
        assert found.rewards[row].item() == pytest.approx(wanted)
        assert found.next_observations[row, 0].item() == last + 0.5
        failed = env == 1 and last == 2
        assert found.discounts[row].item() == (0.0 if failed else 0.5 ** (last - step + 1))


def test_the_oldest_steps_are_written_over() -> None:
    """A ring of 8 steps that has seen 12 holds the last 8, in order."""
    replay = Replay(rollout(0, {}), 8)
    for start in (0, 4, 8):
        storage = rollout(start, {})
        replay.add(storage, storage.rewards)
    found, count = all_of(replay, 3)
    assert count == 6
    assert found.observations[::N, 0].tolist() == [4, 5, 6, 7, 8, 9]
    assert found.next_observations[::N, 0].tolist() == [6.5, 7.5, 8.5, 9.5, 10.5, 11.5]


@pytest.mark.parametrize(("double", "wanted"), [(False, 9.0), (True, 5.0)])
def test_targets_follow_the_values_of_what_comes_next(double, wanted) -> None:
    """Reward 4, discount 0.5: the target network's values are 2, 10 and 6, the online one's best 0.

    4 + 0.5 * 10 by the target network's choice, 4 + 0.5 * 2 by the online one's; after a failure
    4 alone.
    """
    ours = agent(double=double, normalize_observations=False, gamma=0.5)
    for flat in (ours.flat.params, ours._target_flat.params):
        flat.zero_()
    with torch.no_grad():  # without weights the values are the last layer's biases
        ours.network.tower.layers.linear[-1].bias.copy_(torch.tensor([3.0, 1.0, 2.0]))
        ours.target.tower.layers.linear[-1].bias.copy_(torch.tensor([2.0, 10.0, 6.0]))
    storage = rollout(0, {(2, 1): "terminated"})
    storage.rewards.fill_(4.0)
    replay = Replay(storage, 8)
    replay.add(storage, storage.rewards)
    batch, _ = all_of(replay, 1)
    batch = batch._replace(discounts=torch.where(batch.discounts > 0, 0.5, 0.0))
    found = ours._targets(batch).view(T, N)
    failed = torch.zeros(T, N, dtype=torch.bool)
    failed[2, 1] = True
    assert found[failed].tolist() == [4.0]
    assert found[~failed].tolist() == [wanted] * (T * N - 1)


def test_exploration_falls_and_its_choices_are_even() -> None:
    """Half of the way down, by frequencies of 3000 rows; the rest is the best choice."""
    ours = agent(num_envs=3000, exploration_fraction=1.0, final_exploration=0.0)
    storage = ours.new_storage(3000)
    ours.iteration.fill_(5)
    ours.act(storage, 0)
    best = int(ours.network(storage.normalized_observations[0])[0].argmax())
    shares = [(storage.actions[0] == choice).float().mean().item() for choice in range(3)]
    for choice, share in enumerate(shares):
        assert share == pytest.approx(0.5 / 3 + 0.5 * (choice == best), abs=0.03)
    ours.iteration.fill_(10)
    ours.act(storage, 1)
    assert (storage.actions[1] == best).all()


def test_forbidden_choices_are_neither_taken_nor_valued() -> None:
    """In exploration, in playing and in targets."""
    space = ObservationSpace((Part("x", (1,)), Part("mask", (3,), kind="mask")))
    ours = agent(space, num_envs=500)
    storage = ours.new_storage(500)
    storage.observations[..., 1:] = torch.tensor([0.0, 1.0, 1.0])
    storage.final_observations.copy_(storage.observations)
    for t in range(T):
        ours.act(storage, t)
    assert set(storage.actions.flatten().tolist()) == {1.0, 2.0}
    metrics = ours.update(storage)
    assert metrics.value_loss.isfinite()
    actions, _ = ours.act_deterministic(storage.observations[0])
    assert (actions > 0).all()


def test_a_failure_may_leave_no_choice() -> None:
    """The mask after the last step forbids everything: its value is not asked for."""
    space = ObservationSpace((Part("x", (1,)), Part("mask", (3,), kind="mask")))
    ours = agent(space, num_envs=N)
    storage = ours.new_storage(N)
    storage.observations[..., 1:] = 1.0
    storage.terminated.fill_(True)
    metrics = ours.update(storage)
    assert metrics.value_loss.isfinite()
    assert metrics.nonfinite_steps == 0
    assert metrics.epochs > 0


def test_nothing_is_learned_before_enough_is_known() -> None:
    """The weights stay until ``learning_starts`` transitions are there."""
    ours = agent(learning_starts=2 * T * N)
    storage = ours.new_storage(N)
    before = ours.flat.params.clone()
    assert ours.update(storage).epochs == 0
    assert torch.equal(ours.flat.params, before)
    ours.update(storage)
    assert not torch.equal(ours.flat.params, before)


def test_a_buffer_too_small_to_start_is_refused() -> None:
    """It holds 24 transitions, two rollouts of 12, and waits for 25."""
    agent(learning_starts=24, buffer_size=20).new_storage(N)
    with pytest.raises(Conflict) as refusal:
        agent(learning_starts=25, buffer_size=20).new_storage(N)
    assert (refusal.value.key, refusal.value.value) == ("train.dqn.learning_starts", 25)
    assert refusal.value.other == "train.dqn.buffer_size"


@pytest.mark.parametrize("dueling", [False, True])
def test_it_learns_which_choice_pays(dueling) -> None:
    """Choice 2 where the observation is positive, else 0; each episode is one step."""
    ours = agent(num_envs=32, learning_rate=5e-3, replay_ratio=8.0, n_step=1, dueling=dueling)
    storage, g = ours.new_storage(32), torch.Generator().manual_seed(0)
    for _ in range(40):
        for t in range(T):
            storage.observations[t] = torch.randn(32, 2, generator=g)
            actions = ours.act(storage, t)
            wanted = 2.0 * (storage.observations[t, :, 0] > 0)
            storage.rewards[t] = (actions[:, 0] == wanted).float()
            storage.terminated[t] = True
        metrics = ours.update(storage)
    x = torch.randn(200, 2, generator=g)
    actions, _ = ours.act_deterministic(x)
    assert (actions[:, 0] == 2.0 * (x[:, 0] > 0)).float().mean() > 0.95
    assert metrics.explained_variance > 0.5


def test_a_saved_agent_plays_and_trains_on() -> None:
    """The same choices, and the same weights after more training from an empty replay."""
    ours, other = agent(learning_rate=1e-2), agent(learning_rate=1e-2)
    other.flat.params.normal_(generator=torch.Generator().manual_seed(7))
    other._target_flat.params.normal_()
    storage = experienced(ours, 0)
    ours.update(storage)
    other.load_state_dict(ours.state_dict())
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(3))
    assert torch.equal(ours.act_deterministic(x)[0], other.act_deterministic(x)[0])
    before = ours.flat.params.clone()
    for each in (ours, other):  # both with an empty replay, as after resuming
        each.update(experienced(each, 1))
    assert not torch.equal(ours.flat.params, before)
    assert torch.equal(other.flat.params, ours.flat.params)
    assert torch.equal(other._target_flat.params, ours._target_flat.params)
    assert other.iteration == 2


def experienced(ours: Dqn, seed: int) -> RolloutStorage:
    """A rollout of the agent's own choices into an empty replay."""
    storage, g = ours.new_storage(N), torch.Generator().manual_seed(seed)
    for t in range(T):
        storage.observations[t] = torch.randn(N, 2, generator=g)
        storage.final_observations[t] = torch.randn(N, 2, generator=g)
        storage.rewards[t] = ours.act(storage, t)[:, 0]
    return storage


def test_weights_alone_include_those_that_targets_come_from() -> None:
    """A fresh target network would pull what has been learned back to nothing."""
    ours, other = agent(target_rate=0.5), agent()
    ours._target_flat.params.normal_()
    other.load_policy(ours.state_dict())
    assert torch.equal(other._target_flat.params, ours._target_flat.params)


@pytest.mark.parametrize(
    "actions", [Continuous(2), Discrete((2, 2))], ids=["continuous", "two choices"]
)
def test_only_one_choice_is_taken(actions) -> None:
    """Neither numbers nor several choices."""
    with pytest.raises(Conflict) as refusal:
        agent(actions=actions)
    assert (refusal.value.key, refusal.value.value) == ("algorithm", "DQN")
    assert refusal.value.other == "task"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"memory": "gru"}, ["train.memory=gru"]),
        ({"num_epochs": 7}, ["train.num_epochs=7"]),
        ({"curiosity": CuriosityConfig(weight=0.5)}, ["train.curiosity.weight=0.5"]),
        ({"symmetry": SymmetryConfig(augment=True)}, ["train.symmetry.augment=True"]),
        ({"distillation": DistillationConfig("a.pth")}, ["train.distillation.teacher=a.pth"]),
        ({"schedule": "adaptive"}, ["train.schedule=adaptive"]),
        ({"separate": True, "gae_lambda": 0.9}, ["train.gae_lambda=0.9", "train.separate=True"]),
    ],
)
def test_what_it_does_not_do_is_refused(changes, words) -> None:
    """With what to do instead."""
    with pytest.raises(NoEffect) as refusal:
        agent(**changes)
    assert f"{refusal.value.key}={refusal.value.value}" == words[0]
    assert refusal.value.needs == "algorithm=PPO"
    assert names(refusal.value, *words)


def test_every_setting_that_is_not_refused_changes_training() -> None:
    """Each key of ``train`` by its default and another value, over five iterations.

    What only the trainer reads, or what images alone need, is left out.
    """
    others = {
        "max_iterations",
        "save_every",
        "keep_checkpoints",
        "init_at_random_ep_len",
        "image_channels",
        "image_kernels",
        "image_strides",
        "image_features",
        "min_learning_rate",
        "linear_end",
    }
    another = {str: "x", bool: None, float: 0.5, int: 2}

    def trained(**changes) -> torch.Tensor:
        ours, g = agent(**changes), torch.Generator().manual_seed(0)
        storage = ours.new_storage(N)
        for _ in range(5):
            for t in range(len(storage.observations)):
                storage.observations[t] = torch.randn(N, 2, generator=g)
                ours.act(storage, t)
                storage.rewards[t] = 3.0 * torch.randn(N, generator=g)
            ours.update(storage)
        return ours.flat.params

    usual = trained()
    for field in dataclasses.fields(TrainConfig):
        value = getattr(agent().config, field.name)
        if field.name in others or dataclasses.is_dataclass(value):
            continue
        choice = CHANGED.get(field.name, another.get(type(value)))
        changed = (not value) if isinstance(value, bool) else choice
        try:
            found = trained(**{field.name: changed})
        except UsageError:
            continue
        assert found.shape != usual.shape or not torch.equal(found, usual), field.name
