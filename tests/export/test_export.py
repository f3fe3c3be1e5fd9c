"""Our environments in other libraries: values, spaces and seeds; exports to Gymnasium."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from rlgpu.errors import UsageError
from rlgpu.export.common import action_space, seen_by
from rlgpu.export.gymnasium import GymnasiumEnv
from rlgpu.spaces import Discrete, numbers
from tests.export.conftest import COUNTER


def test_a_vector_environment_returns_every_value_of_gymnasiums(make) -> None:
    """Two Counters, six steps, worked by hand: observations, rewards, ends and final ones."""
    env = GymnasiumEnv(make(COUNTER, 2))
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert env.single_action_space.n == 2
    assert env.reset()[0].tolist() == [[0, 3], [0, 3]]
    for t, rows, final in (
        (1, [[1, 3], [1, 4]], None),
        (2, [[2, 3], [2, 4]], None),
        (3, [[0, 3], [3, 4]], (0, [3, 3])),
        (1, [[1, 3], [4, 4]], None),
        (2, [[2, 3], [0, 3]], (1, [5, 4])),
        (3, [[0, 3], [1, 4]], (0, [3, 3])),
    ):
        observations, rewards, terminated, truncated, info = env.step(np.array([0, 1]))
        assert env.observation_space.contains(observations)
        assert observations.tolist() == rows
        assert rewards[0] == t
        assert truncated.tolist() == [t == 3, False]
        assert terminated.tolist() == [False, final is not None and final[0] == 1]
        assert ("final_obs" in info) == (final is not None)
        if final:
            index, row = final
            assert info["_final_obs"].tolist() == [index == 0, index == 1]
            assert info["final_obs"][index].tolist() == row
            assert info["final_obs"][1 - index] is None


def test_final_observations_are_those_of_episodes_that_go_on(make) -> None:
    """The time limit of step 4 changes nothing before it: the same poles with a longer limit."""
    short = GymnasiumEnv(make(task_={"episode_length": 4}))
    long = GymnasiumEnv(make(task_={"episode_length": 400}))
    short.reset(seed=3), long.reset(seed=3)
    actions = np.linspace(-0.2, 0.2, 16, dtype=np.float32)[:, None]
    for _ in range(4):
        ours, theirs = short.step(actions), long.step(actions)
    assert ours[3].all()
    assert not theirs[3].any()
    assert np.array_equal(np.stack(ours[4]["final_obs"]), theirs[0])
    assert (np.abs(ours[0] - theirs[0]) > 0).any(-1).all()


@pytest.mark.parametrize("hidden_from", ["everyone", "policy"])
def test_only_the_policys_columns_are_shown(make, hidden_from) -> None:
    """In the space, at resets, in steps and in final observations."""
    hidden = {"hidden": ["cart_vel", "pole_vel"], "hidden_from": hidden_from, "episode_length": 2}
    whole, part = GymnasiumEnv(make(task_={"episode_length": 2})), GymnasiumEnv(make(task_=hidden))
    assert part.single_observation_space.shape == (2,)
    for a, b in (
        (whole.reset(seed=1)[0], part.reset(seed=1)[0]),
        *((whole.step(x)[0], part.step(x)[0]) for x in [np.full((16, 1), 0.5, np.float32)]),
    ):
        assert part.observation_space.contains(b)
        assert np.array_equal(a[:, [0, 2]], b)
    x = np.full((16, 1), 0.5, np.float32)
    a, b = (np.stack(env.step(x)[4]["final_obs"]) for env in (whole, part))
    assert np.array_equal(a[:, [0, 2]], b)


@pytest.mark.parametrize("limit", [1.0, 100.0, float("inf")])
def test_actions_have_the_bounds_at_which_the_task_clamps_them(make, limit) -> None:
    """An action beyond 1 is part of the space, and acts, only if the task takes it."""
    env = GymnasiumEnv(make(task_={"clip_actions": limit}))
    assert env.single_action_space.low.tolist() == [-limit]
    assert env.single_action_space.high.tolist() == [limit]
    env.reset(seed=1)
    far = env.step(np.full((16, 1), 5.0, np.float32))[0]
    env.reset(seed=1)
    near = env.step(np.full((16, 1), 1.0, np.float32))[0]
    assert np.array_equal(far, near) == (limit == 1.0)


@pytest.mark.parametrize("task", ["Cartpole", "gym:CartPole-v1"])
def test_a_seed_repeats_the_episodes(make, task) -> None:
    """From the reset on, of any size; several seeds are all obeyed."""
    env = GymnasiumEnv(make(task, 4))
    actions = np.zeros((4, 1), np.float32) if task == "Cartpole" else np.zeros(4, np.int64)

    def play(seed: int | list[int | None]) -> np.ndarray:
        return np.stack([env.reset(seed=seed)[0], env.step(actions)[0]])

    seeds: list[int | list[int | None]] = [
        7,
        8,
        2**32 + 7,
        2**64 + 7,
        [7, 7, 7, 7],
        [7, 7, 7, 8],
        [7, None, 7, 7],
    ]
    played = [play(seed) for seed in seeds]
    assert not any(np.array_equal(a, b) for i, a in enumerate(played) for b in played[:i])
    # In another order, so that what goes on with a generator is not what it was.
    for seed, before in reversed(list(zip(seeds, played, strict=True))):
        assert np.array_equal(play(seed), before)
    for wrong in (-1, [3, -1, 3, 3]):
        with pytest.raises(UsageError) as refusal:
            env.reset(seed=wrong)
        assert (refusal.value.key, refusal.value.value) == ("seed", -1)


def test_seeds_that_are_all_none_go_on_with_the_generator(make) -> None:
    """As ``seed=None`` does; one number among them seeds."""
    env = GymnasiumEnv(make(num_envs=2))
    env.reset(seed=3)
    later = [env.reset(seed=None)[0] for _ in range(2)]
    env.reset(seed=3)
    again = [env.reset(seed=[None, None])[0] for _ in range(2)]
    assert np.array_equal(later, again)
    assert np.array_equal(env.reset(seed=[0, None])[0], env.reset(seed=[0, None])[0])


@pytest.mark.parametrize("task", ["Cartpole", "gym:CartPole-v1"])
def test_every_reset_begins_new_episodes(make, task) -> None:
    """Also the second in a row; the first shows the environments as they were made."""
    ours = make(task, 4)
    first = ours.observations.clone().numpy()
    env = GymnasiumEnv(ours)
    resets = [first, *(env.reset()[0] for _ in range(3))]
    assert np.array_equal(resets[0], resets[1])
    assert not any(np.array_equal(a, b) for a, b in pairwise(resets[1:]))


def test_choices_and_privileged_columns_have_their_spaces(cartpoles) -> None:
    """One choice is Discrete, several are MultiDiscrete; the actor sees fewer columns."""
    cartpoles.action_space = Discrete((3,))
    assert action_space(cartpoles).n == 3
    cartpoles.action_space = Discrete((3, 2))
    assert action_space(cartpoles).nvec.tolist() == [3, 2]
    cartpoles.observation_space = numbers(4, privileged=1)
    assert seen_by(cartpoles, "actor") == [0, 1, 2]
    assert seen_by(cartpoles, "critic") == [0, 1, 2, 3]
