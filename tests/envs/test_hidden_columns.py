"""What actor and critic see of a task: hidden and privileged columns."""

from __future__ import annotations

from pathlib import Path

import pytest

import rlgpu
import train
from rlgpu.envs import observation_space_of
from rlgpu.errors import UsageError
from rlgpu.tasks.ant import OBSERVATION, Ant, AntConfig
from rlgpu.tasks.cartpole import Cartpole, CartpoleConfig
from tests.refusals import error_of, names


def seen(task, who: str) -> list[int]:
    space = observation_space_of(task)
    return space.columns(space.of(who, "numbers"))


def test_hidden_columns_are_seen_by_nobody_or_by_the_critic() -> None:
    """By name; the others stay in order."""
    hidden = ["cart_vel", "pole_vel"]
    for whom, critic in (("everyone", [0, 2]), ("policy", [0, 1, 2, 3])):
        task = Cartpole(CartpoleConfig(hidden=hidden, hidden_from=whom))
        assert seen(task, "actor") == [0, 2]
        assert seen(task, "critic") == critic
    assert observation_space_of(Cartpole(CartpoleConfig())).is_plain
    velocities = seen(Ant(AntConfig(hidden=["lin_vel_b", "joint_vel"])), "actor")
    assert len(velocities) == OBSERVATION.width - 11


def test_a_task_may_have_columns_for_the_critic_alone() -> None:
    """Such as what a simulation knows and a robot does not."""

    class Knowing(Cartpole):
        privileged = ("pole_vel",)

    assert seen(Knowing(CartpoleConfig()), "actor") == [0, 1, 2]
    assert seen(Knowing(CartpoleConfig()), "critic") == [0, 1, 2, 3]


def test_an_unknown_column_is_refused_with_the_known_ones() -> None:
    """And a task that names none says so."""
    with pytest.raises(UsageError) as refusal:
        rlgpu.make_env("Cartpole", num_envs=2, task_={"hidden": ["speed"]})
    assert (refusal.value.key, refusal.value.value) == ("task.hidden", "speed")
    assert refusal.value.allowed[:2] == ("cart_pos", "cart_vel")
    assert names(refusal.value, "speed", "cart_pos", "cart_vel")

    class Nameless(Cartpole):
        columns = None

    with pytest.raises(UsageError) as refusal:
        observation_space_of(Nameless(CartpoleConfig(hidden=["cart_vel"])))
    assert (refusal.value.value, refusal.value.allowed) == ("cart_vel", ())


@pytest.mark.parametrize(
    "words",
    [
        ("task.hidden=[cart_vel]", "task.hidden_from=policy"),
        ("task.hidden=[cart_vel,pole_vel]", "train.memory=gru", "train.sequence_length=4"),
        ("train.separate=True", "train.critic_learning_rate=0.002", "train.layer_norm=True"),
        ("preset=rl_games",),
        ("preset=rsl_rl", "train.state_dependent_std=True"),
        ("preset=skrl", "train.action_distribution=tanh_gaussian", "train.activation=silu"),
        ("train.curiosity.weight=0.1", "train.symmetry.augment=True", "train.num_minibatches=2"),
    ],
)
def test_every_kind_of_network_trains_resumes_and_plays(words, tmp_path, monkeypatch) -> None:
    """Through the command line; what a checkpoint holds goes on."""
    monkeypatch.chdir(tmp_path)
    given = ["task=Cartpole", "headless=True", "num_envs=16", "sim=mujoco", *words]
    assert train.main([*given, "train.horizon_length=8", "max_iterations=2"]) == 0
    folder = Path("runs/Cartpole/latest").resolve()
    assert train.main([f"checkpoint={folder}", "max_iterations=3"]) == 0
    assert train.main(["test=True", f"checkpoint={folder}", "games=16", "headless=True"]) == 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("algorithm=SAC",), ("algorithm=SAC", "PPO", "DQN")),
        (("algorithm=DQN", "train=GymDQN"), ("algorithm=DQN", "PPO")),
        (("preset=rlgames",), ("preset=rlgames", "none", "isaacgym", "rl_games")),
        (("train.critic_learning_rate=0.1",), ("train.separate=True",)),
        (
            ("task.hidden=[cart_pos,cart_vel,pole_angle,pole_vel]",),
            ("task.hidden",),
        ),
        (("train.kl_reference=last_visit",), ("train.minibatch_order=by_env",)),
        (
            ("train.memory=gru", "train.sequence_length=5"),
            ("train.sequence_length=5", "train.horizon_length=16"),
        ),
        (("train.num_minibatches=7",), ("train.num_minibatches=7", 8192)),
        (("train.image_kernels=[3]",), ("train.image_kernels", "train.image_strides")),
        (
            ("train.symmetry.augment=True", "train.memory=gru"),
            ("train.symmetry", "train.memory=none"),
        ),
        (("train.distillation.teacher=nowhere",), ("train.distillation.teacher=nowhere",)),
    ],
)
def test_what_does_not_go_together_is_refused(words, named, tmp_path, monkeypatch) -> None:
    """In one sentence, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    error = error_of(["task=Cartpole", "headless=True", "num_envs=512", "sim=mujoco", *words])
    assert isinstance(error, UsageError)
    assert error.key
    assert any(word.startswith(error.key) for word in words)
    assert names(error, *named)


def test_minibatches_on_the_command_line_go_before_a_presets(tmp_path, monkeypatch) -> None:
    """A preset's number of minibatches gives way to a size that is given."""
    monkeypatch.chdir(tmp_path)
    given = ["task=Cartpole", "headless=True", "num_envs=64", "sim=mujoco", "max_iterations=1"]
    assert train.main([*given, "preset=rsl_rl", "train.minibatch_size=768"]) == 0
    assert "minibatch_size: 768" in Path("runs/Cartpole/latest/config.yaml").read_text()
