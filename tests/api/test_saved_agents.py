"""An agent that is saved and loaded, its memory, and the precision of what it observes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from tests.api.test_python_api import agent, drive


@pytest.mark.parametrize("memory", ["none", "lstm"])
def test_a_saved_agent_goes_on_as_the_original(memory, tmp_path) -> None:
    """The same actions and metrics, to the last bit, whatever it did before it was loaded.

    All episodes of the original end with its rollout, as they do when it is saved and restored.
    """
    ours, restored = agent(memory=memory), agent(memory=memory, seed=9)
    drive(ours, ended_at_the_end=True)
    ours.update()
    ours.save(tmp_path / "agent.pth")
    drive(restored, 7)
    restored.update()
    restored.act(np.ones((4, 3), np.float32))  # and it is in the middle of a rollout
    restored.load(tmp_path / "agent.pth")
    for a, b in zip(drive(ours, 1), drive(restored, 1), strict=True):
        assert np.array_equal(a, b)
    first, second = ours.update(), restored.update()
    assert first["surrogate_loss"] == second["surrogate_loss"]
    assert first["value_loss"] == second["value_loss"]


def test_a_recurrent_agent_carries_its_memory_into_the_next_rollout() -> None:
    """Only of episodes that go on: otherwise it acts as in the first step of an episode."""
    values = []
    for ended in (False, True):
        ours = agent(
            memory="lstm",
            learning_rate=0.0,
            min_learning_rate=0.0,
            normalize_observations=False,
            normalize_values=False,
        )
        drive(ours, ended_at_the_end=ended)
        ours.update()
        values.append(ours.act(np.ones((4, 3), np.float32)).values)
    fresh = agent(memory="lstm", normalize_observations=False, normalize_values=False)
    first = fresh.act(np.ones((4, 3), np.float32)).values
    assert torch.equal(values[1], first)
    # The episode of the fourth environment ended with the rollout.
    assert torch.isclose(values[0], first).tolist() == [False, False, False, True]


def test_a_loaded_agent_does_not_take_a_step_for_one_that_only_resets(tmp_path) -> None:
    """Also if it was loaded when the environments were about to reset."""
    ours = agent(autoreset="next_step")
    ours.save(tmp_path / "agent.pth")
    ours.act(np.zeros((4, 3)))
    ours.observe(np.zeros((4, 3)), 0.0, True)
    ours.load(tmp_path / "agent.pth")
    ours.act(np.zeros((4, 3)))
    ours.observe(np.zeros((4, 3)), 0.0, False)
    assert not ours._storage.filler[0].any()


def test_float64_observations_keep_what_float32_would_lose() -> None:
    """Seconds since 1970, 20 ms apart."""
    ours = agent(spaces.Box(-np.inf, np.inf, (1,), np.float64), num_envs=1)
    for count in range(5):
        ours.act(np.array([1.79e9 + 0.02 * count]))
        ours.observe(np.array([1.79e9 + 0.02 * (count + 1)]), 0.0, False)
    assert ours._storage.observations.unique().numel() == 5
    ours.update()
    seen = ours._ppo.observation_normalizer.normalize(ours._storage.observations)
    assert seen.unique().numel() == 5


@pytest.mark.parametrize(
    ("memory", "autoreset"), [("none", "same_step"), ("lstm", "same_step"), ("none", "next_step")]
)
def test_a_loaded_agent_knows_only_what_was_saved(memory, autoreset, tmp_path) -> None:
    """One that loads in the middle of its episodes goes on as a fresh one, to the last bit."""
    ours, fresh = (agent(memory=memory, autoreset=autoreset, seed=seed) for seed in (0, 9))
    drive(ours)
    ours.update()
    ours.save(tmp_path / "agent.pth")
    # Ends in all environments, so that the next step of each would only reset.
    for _ in range(2):
        ours.act(np.ones((4, 3), np.float32), deterministic=True)
        ours.act(np.ones((4, 3), np.float32))
        ours.observe(np.ones((4, 3)), np.full(4, 9.0), np.ones(4, bool))
    ours.act(np.ones((4, 3), np.float32))
    for each in (ours, fresh):
        each.load(tmp_path / "agent.pth")
    x = np.ones((4, 3), np.float32)
    first = [each.act(x, deterministic=True).parameters for each in (ours, fresh)]
    assert torch.equal(*first)
    for a, b in zip(drive(ours, 1), drive(fresh, 1), strict=True):
        assert np.array_equal(a, b)
    metrics = [each.update() for each in (ours, fresh)]
    assert repr(metrics[0]) == repr(metrics[1])
