"""Environments of Gymnasium as tasks: what a step returns, spaces, faults, training."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

import train
from rlgpu.config import compose
from rlgpu.device import environment_seeds
from rlgpu.errors import Conflict, EngineFailed, NoEffect, UsageError
from rlgpu.foreign.gymnasium.env import GymEnv
from rlgpu.foreign.gymnasium.task import GymTaskConfig
from rlgpu.sim import ENGINES
from rlgpu.spaces import Continuous, Discrete
from rlgpu.training import Tasks, Trainer, load_checkpoint, make_agent
from tests.refusals import error_of, names

ROOT = Path(__file__).parents[2]
OURS = Path(__file__).parent / "envs_of_ours.py"


@pytest.fixture
def make():
    """Returns a function that makes environments, closed after the test."""
    made = []

    def build(word: str, num_envs: int = 3, seed: int = 5, kwargs=()) -> GymEnv:
        made.append(GymEnv(word, GymTaskConfig(kwargs=kwargs), num_envs, seed))
        return made[-1]

    yield build
    for env in made:
        env.close()


def test_steps_are_those_of_the_environments_themselves(make) -> None:
    """40 CartPoles in more than one process, 120 random steps: the same to the last bit."""
    env = make("CartPole-v1", 40)
    singles = [gymnasium.make("CartPole-v1") for _ in range(40)]
    seeds = environment_seeds(5, 40)
    first = np.stack([single.reset(seed=s)[0] for single, s in zip(singles, seeds, strict=True)])
    assert np.array_equal(env.observations.numpy(), first)
    g = torch.Generator().manual_seed(1)
    ended = 0
    for _ in range(120):
        actions = torch.randint(2, (40, 1), generator=g)
        step = env.step(actions.float())
        for i, single in enumerate(singles):
            final, reward, terminated, truncated, _ = single.step(int(actions[i]))
            assert np.array_equal(step.final_observations[i].numpy(), final)
            assert (step.rewards[i], step.terminated[i]) == (reward, terminated)
            assert not truncated
            following = single.reset()[0] if terminated else final
            assert np.array_equal(step.observations[i].numpy(), following)
            ended += terminated
    assert ended > 100


@pytest.mark.parametrize("word", ["CartPole-v1", "Pendulum-v1"])
def test_adjacent_seeds_share_no_environment(word, make) -> None:
    """So that runs over seeds 1 to 3 are independent; one seed repeats its own environments."""
    env = make(word, 8, 1)
    first = [env.observations.clone(), *(env.reset(seed).clone() for seed in (2, 3, 1))]
    rows = [{tuple(row.tolist()) for row in observations} for observations in first]
    assert len(rows[0] | rows[1] | rows[2]) == 24
    assert rows[0] == rows[3]


def test_a_step_lasts_as_long_as_a_picture_of_the_environment(make) -> None:
    """CartPole has 50 a second; 30 if an environment says nothing."""
    for word, rate in (("CartPole-v1", 50.0), (f"{OURS}:Counter", 30.0)):
        assert make(word, 1).step_dt == 1.0 / rate


def test_a_time_limit_is_not_a_failure(make) -> None:
    """Action 0 of ours is the space's 3: truncated at 3 steps; action 1 fails at 5."""
    env = make(f"{OURS}:Counter", 2)
    assert env.action_space == Discrete((2,))
    for count in range(1, 7):
        step = env.step(torch.tensor([[0.0], [1.0]]))
        assert step.truncated.tolist() == [count in (3, 6), False]
        assert step.terminated.tolist() == [False, count == 5]
        if count == 3:
            assert step.final_observations[0].tolist() == [3.0, 3.0]
            assert step.observations[0].tolist() == [0.0, 3.0]
            assert step.rewards.tolist() == [3.0, 3.0]


def test_bounded_actions_are_stretched_from_minus_one_to_one(make) -> None:
    """The middle of 0..10 and -1..3 is (5, 1); what is beyond is clamped."""
    env = make(f"{OURS}:Bounded", 3)
    assert env.action_space == Continuous(2)
    step = env.step(torch.tensor([[0.0, 0.0], [-9.0, 9.0], [0.5, -0.5]]))
    assert step.observations.tolist() == [[5.0, 1.0], [0.0, 3.0], [7.5, 0.0]]


def test_a_reset_begins_new_episodes_in_all_processes(make) -> None:
    """With a seed, those that new environments of the seed begin with; without, other ones."""
    env = make("CartPole-v1", 20)
    for _ in range(3):
        env.step(torch.zeros(20, 1))
    assert env.episode_step.tolist() == [3] * 20
    before = env.reset().clone()
    assert before.abs().max() <= 0.05  # where CartPole begins
    assert env.episode_step.tolist() == [0] * 20
    assert not torch.equal(env.reset(), before)
    seeded = env.reset(seed=2**40 + 3).clone()
    assert torch.equal(seeded, make("CartPole-v1", 20, 2**40 + 3).observations)
    env.step(torch.zeros(20, 1))
    assert torch.equal(env.reset(seed=2**40 + 3), seeded)
    with pytest.raises(UsageError) as refusal:
        env.set_ages(torch.zeros(20))
    assert (refusal.value.key, refusal.value.allowed) == ("init_at_random_ep_len", (False,))
    with pytest.raises(Conflict) as conflict:
        env.randomize_ages()
    assert conflict.value.key == "train.init_at_random_ep_len"
    assert (conflict.value.other, conflict.value.allowed) == ("task", (False,))


def test_a_dictionary_becomes_columns_with_their_names(make) -> None:
    """Choices as one-hots, images from 0 to 1 with channels last, the mask as it is."""
    env = make(f"{OURS}:Mixed", 2)
    parts = {part.name: (part.kind, part.shape) for part in env.observation_space.parts}
    assert parts == {
        "action_mask": ("mask", (2,)),
        "choice": ("numbers", (3,)),
        "inner.0": ("numbers", (4,)),
        "inner.1": ("numbers", (2,)),
        "pixels": ("image", (20, 24, 3)),
    }
    row = env.observations[1]
    assert row[:11].tolist() == [1, 0, 0, 1, 0, 0, 1, 1, 0, 0.5, -0.5]
    pixels = row[11:].view(20, 24, 3)
    assert pixels[0, 1, 2] == 1.0
    assert pixels.sum() == 1.0


def test_an_image_alone_stays_whole_numbers(make) -> None:
    """A byte a pixel, stacked images as channels; the constructor gets its arguments."""
    env = make(f"{OURS}:Pixels", 2, kwargs=("brightness=77", "name=dark"))
    assert env.observations.dtype == torch.uint8
    assert env.observation_space.parts[0].shape == (36, 40, 2)
    assert env.observations.view(2, 36, 40, 2)[..., 1].eq(77).all()


@pytest.mark.parametrize(
    "name", ["Forbidding", pytest.param("ForbiddingByMethod", marks=pytest.mark.slow)]
)
def test_a_forbidden_action_is_never_taken(name, tmp_path, monkeypatch) -> None:
    """The environment checks it; the policy learns to take action 2 whenever it may."""
    monkeypatch.chdir(tmp_path)
    assert train.main([f"task=gym:{OURS}:{name}", "num_envs=16", "max_iterations=25"]) == 0
    log = Path(f"runs/gym_{name}/latest/metrics.csv")
    last = list(csv.DictReader(log.open()))[-1]
    assert float(last["mean_return"]) > 3.5  # every second of 7 steps: 4 is the best


@pytest.mark.parametrize(
    "words",
    [
        (),
        pytest.param(("train.memory=lstm",), marks=pytest.mark.slow),
        pytest.param(("train.memory=gru", "train.separate=True"), marks=pytest.mark.slow),
    ],
)
def test_images_and_memory_are_trained_and_resumed(words, tmp_path, monkeypatch) -> None:
    """Through the command line, with ``env.key=value`` for the constructor."""
    monkeypatch.chdir(tmp_path)
    given = [
        f"task=gym:{OURS}:Pixels",
        "env.brightness=9",
        "num_envs=4",
        "train.horizon_length=8",
        "train.image_features=16",
        *words,
    ]
    assert train.main([*given, "max_iterations=2"]) == 0
    folder = Path("runs/gym_Pixels/latest").resolve()
    assert train.main([f"checkpoint={folder}", "max_iterations=4"]) == 0
    assert train.main(["test=True", f"checkpoint={folder}", "games=4", "headless=True"]) == 0


def test_a_resumed_run_counts_whole_episodes_only(make) -> None:
    """Episodes of five steps of reward 1 in rollouts of seven: the third step is cut off."""
    settings = [f"task=gym:{OURS}:Five", "num_envs=2", "train.horizon_length=7"]
    config = compose(settings, Tasks(), ENGINES).config
    trainers = []
    for _ in range(2):
        env = make(f"{OURS}:Five", 2)
        trainers.append(Trainer(config, env, make_agent(config, env)))
    stopped, resumed = trainers
    stopped.collect()
    stopped.update()
    resumed.load(stopped._content())
    resumed.collect()
    resumed.update()
    assert [x.item() for x in resumed.statistics.means()] == [5.0, 5.0, 4]


def test_several_choices_are_passed_on(make) -> None:
    """The second counts from 5."""
    env = make(f"{OURS}:Several", 2)
    assert env.action_space == Discrete((3, 2))
    step = env.step(torch.tensor([[2.0, 0.0], [1.0, 1.0]]))
    assert step.observations.tolist() == [[2.0, 5.0], [1.0, 6.0]]


@pytest.mark.parametrize(
    ("name", "key", "value", "named"),
    [
        ("Strange", "b", "Text", ("b", "Text", "Box")),
        ("Endless", "action_space", math.inf, ("gymnasium.wrappers.TransformAction",)),
        ("Texts", "action_space", "Text", ("Text", "Discrete")),
        ("Table", "action_space", (2, 2), ("MultiDiscrete", [2, 2], [4])),
        ("Many", "task", f"gym:{OURS}:Many", ("rlgpu.PPOAgent",)),
        ("Absent", "task", f"gym:{OURS}:Absent", ("Absent",)),
    ],
)
def test_what_is_not_supported_is_refused_by_name(name, key, value, named) -> None:
    """Before any process starts."""
    with pytest.raises(UsageError) as refusal:
        GymEnv(f"{OURS}:{name}", GymTaskConfig(), 2, 0)
    assert (refusal.value.key, refusal.value.value) == (key, value)
    assert names(refusal.value, f"task=gym:{OURS}:{name}", *named)


def test_an_environment_that_is_not_registered_is_refused() -> None:
    """On the command line too, in one line."""
    error = error_of(["task=gym:CartPoll-v1", "headless=True"])
    assert (error.key, error.value) == ("task", "gym:CartPoll-v1")
    assert names(error, "task=gym:CartPoll-v1")


@pytest.mark.parametrize("since", ["reset", "step"])
def test_an_observation_of_another_shape_than_its_spaces_is_refused(tmp_path, since) -> None:
    """At the first reset or in the first step: nothing is left of the run."""
    word = f"gym:{OURS}:Misshapen"
    words = [f"task={word}", f"env.since={since}", "num_envs=20", f"runs_dir={tmp_path}"]
    error = error_of([*words, "headless=True", "max_iterations=2"])
    assert isinstance(error, UsageError)
    assert (error.key, error.value, error.allowed) == ("observations", (3,), ((2,),))
    assert names(error, f"task={word}", [3], [2])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_observation_that_changes_its_shape_later_ends_training(tmp_path) -> None:
    """In the second iteration, of eight steps: with the checkpoint after the first one."""
    words = [f"task=gym:{OURS}:Misshapen", "env.since=later", f"runs_dir={tmp_path}"]
    short = ["num_envs=4", "train.horizon_length=8", "max_iterations=2", "train.save_every=1"]
    error = error_of([*words, *short, "headless=True"], 1)
    assert (error.cause, type(error.__cause__)) == ("engine", EngineFailed)
    assert error.__cause__.raised == "UsageError"
    assert error.checkpoint.is_file()
    assert names(error, [3], [2])


@pytest.mark.parametrize(
    "key",
    [
        "action_distribution=tanh_gaussian",
        "bounds_loss_coef=0.1",
        "initial_log_std=-1",
        "max_log_std=1",
        "min_log_std=-4",
        "state_dependent_std=True",
    ],
)
def test_settings_of_continuous_actions_are_refused_for_discrete_ones(tmp_path, key) -> None:
    """They would change nothing. Presets and files may have them."""
    words = ["headless=True", "num_envs=4", f"runs_dir={tmp_path}", "max_iterations=1"]
    error = error_of(["task=gym:CartPole-v1", *words, f"train.{key}"])
    assert isinstance(error, NoEffect)
    assert error.key == f"train.{key.partition('=')[0]}"
    assert names(error, error.key)
    assert not list(tmp_path.iterdir())


def test_a_preset_with_settings_of_continuous_actions_trains_discrete_ones(tmp_path) -> None:
    """And what is given does train continuous ones."""
    words = ["headless=True", "num_envs=4", f"runs_dir={tmp_path}", "max_iterations=1"]
    assert train.main(["task=gym:CartPole-v1", *words, "preset=skrl"]) == 0
    assert train.main(["task=gym:Pendulum-v1", *words, "train.initial_log_std=-1"]) == 0


def test_an_environment_that_fails_ends_training_in_a_sentence(make) -> None:
    """With its own message; so does a process that dies."""
    env = make(f"{OURS}:Failing", 2)
    with pytest.raises(EngineFailed) as failure:
        for _ in range(9):
            env.step(torch.zeros(2, 1))
    assert (failure.value.reason, failure.value.raised) == ("error", "ZeroDivisionError")
    assert names(failure.value, "by the environment")  # its own words
    other = make("CartPole-v1", 2)
    other.sim._processes[0].kill()
    with pytest.raises(EngineFailed) as failure:
        for _ in range(3):
            other.step(torch.zeros(2, 1))
    assert failure.value.reason == "died"


def test_closing_ends_the_processes(make) -> None:
    """All of them."""
    env = make("CartPole-v1", 16)
    env.close()
    assert not any(process.is_alive() for process in env.sim._processes)


def test_the_keys_of_such_a_task_are_explained(capsys) -> None:
    """With its own defaults; videos are refused, not left out."""
    assert train.main(["--help", "task=gym:CartPole-v1", "task.num_envs"]) == 0
    assert "task.num_envs=64" in capsys.readouterr().out
    error = error_of(["task=gym:CartPole-v1", "capture_video=True", "headless=True"])
    assert (error.key, error.value, error.other) == ("capture_video", True, "task")
    assert names(error, "capture_video=True", "task=gym:CartPole-v1")


def test_a_run_trains_resumes_and_plays(tmp_path, capsys) -> None:
    """By the command line."""
    words = ["headless=True", f"runs_dir={tmp_path}"]
    short = ["task=gym:CartPole-v1", "num_envs=4", "train.horizon_length=8"]
    assert train.main([*short, "max_iterations=2", *words]) == 0
    latest = f"checkpoint={tmp_path}/gym_CartPole-v1/latest"
    assert train.main([latest, "max_iterations=4", *words]) == 0
    newest = tmp_path / "gym_CartPole-v1" / "latest" / "nn" / "last.pth"
    assert load_checkpoint(newest)["trainer"]["iteration"] == 4
    capsys.readouterr()
    assert train.main([latest, "test=True", "games=4", "num_envs=2", *words]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.findall(r"\d+", last)[:2] == ["4", "2"]  # episodes, and those of each environment


@pytest.mark.slow
def test_cartpole_v1_learns_to_stand(tmp_path) -> None:
    """The default settings reach 475 of 500, from which the environment counts as solved."""
    words = ["task=gym:CartPole-v1", "headless=True", f"runs_dir={tmp_path}"]
    assert train.main(words) == 0
    rows = list(csv.DictReader((tmp_path / "gym_CartPole-v1/latest/metrics.csv").open()))
    assert max(float(row["mean_return"]) for row in rows) >= 475.0
