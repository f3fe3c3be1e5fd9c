"""Observations of past steps: their order, resets, noise, what the critic sees, and resuming."""

from __future__ import annotations

import pytest
import torch

import train
from rlgpu.config import compose
from rlgpu.envs import VecEnv
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS
from rlgpu.training import load_checkpoint
from tests.refusals import error_of
from tests.runs import equal, stop_after
from tests.task_words import task_words


def make_env(*words: str, n: int = 3, separate: bool = False) -> VecEnv:
    config = compose(words, TASKS, ENGINES).config.task
    task = TASKS[config.name](config)
    sim = make_simulator("mujoco", task.scene(), config.timing(), n)
    return VecEnv(task, sim, seed=0, separate_critic=separate)


def test_the_newest_step_comes_first_and_the_oldest_is_dropped() -> None:
    """Against single observations of the same run, without history."""
    plain = make_env("task=Cartpole")
    env = make_env("task=Cartpole", "task.history=3")
    width = env.num_observations
    assert env.observation_space.size == 3 * width
    seen = [plain.observations.clone()] * 3  # the first counts for the steps before it
    assert env.observations.equal(torch.cat(seen, dim=-1))
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        actions = torch.randn(3, 1, generator=generator)
        seen = [plain.step(actions).observations.clone(), *seen[:2]]
        step = env.step(actions)
        assert step.observations.equal(torch.cat(seen, dim=-1))


def test_a_reset_forgets_and_the_last_observation_remembers() -> None:
    """Of environments that ended; others go on with their past."""
    env = make_env("task=Cartpole", "task.history=2", "task.episode_length=1000")
    width = env.num_observations
    env.step(torch.zeros(3, 1))
    before = env.observations.clone()
    env._episode_step[1] = 999
    step = env.step(torch.zeros(3, 1))
    assert step.truncated.tolist() == [False, True, False]
    assert step.final_observations[:, width:].equal(before[:, :width])
    new, past = step.observations.split(width, dim=-1)
    assert past[[0, 2]].equal(before[[0, 2], :width])
    assert new[1].equal(past[1])
    assert not new[1].equal(step.final_observations[1, :width])


def test_the_critic_sees_the_truth_of_this_step_alone() -> None:
    """With noise and a separate critic: noisy steps, then the true columns of the newest."""
    env = make_env("task=Go2", "task.history=3", "task.noise.level=1", separate=True)
    width = env.num_observations
    assert env.observation_space.size == 4 * width
    truth = env.task.observe(env.sim.state, env._actions)
    noisy, *_, last = env.observations.split(width, dim=-1)
    assert last.equal(truth)
    assert not noisy.equal(truth)
    assert (noisy - truth).abs().max() < 2.0
    seen = [part.seen_by for part in env.observation_space.parts]
    assert seen == ["actor"] * 3 + ["critic"]
    assert env.observation_space.originals[3 * width :] == list(range(width))


def test_a_mirror_mirrors_every_step() -> None:
    """Block by block."""
    env = make_env(*task_words("Walk"), "task.history=2")
    width = env.num_observations
    rows, actions = torch.randn(4, 2 * width), torch.randn(4, 12)
    mirrored, _ = env.mirror(rows, actions)
    for block in (slice(0, width), slice(width, 2 * width)):
        alone, _ = env.task.mirror(rows[:, block], actions)
        assert mirrored[:, block].equal(alone)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_run_with_history_goes_on_as_if_it_had_not_stopped(
    tmp_path, compiled, monkeypatch
) -> None:
    """The same bits after an interruption; the past is in the checkpoint."""
    words = ["task=Cartpole", "num_envs=16", "headless=True", "task.history=4", "seed=1"]
    words += [f"compile={compiled}", "task.episode_length=20", "train.minibatch_size=64"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train.main([*words, f"runs_dir={whole}", "max_iterations=6"]) == 0
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        assert train.main([*words, f"runs_dir={parts}", "max_iterations=6"]) == 0
    folder = (parts / "Cartpole" / "latest").resolve()
    assert train.main([f"checkpoint={folder}"]) == 0
    one, two = (
        load_checkpoint(p / "Cartpole" / "latest" / "nn" / "last.pth") for p in (whole, parts)
    )
    assert two["trainer"]["iteration"] == 6
    assert two["env"]["past_observations"].shape == (16, 12)
    for name in ("agent", "env"):
        assert equal(one[name], two[name]), name


def test_other_peoples_environments_have_none() -> None:
    """Refused, instead of doing nothing."""
    error = error_of(["task=gym:CartPole-v1", "task.history=3", "headless=True"])
    assert error.key == "task.history"
