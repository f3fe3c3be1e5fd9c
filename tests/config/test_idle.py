"""Settings that do nothing, and keys at the wrong depth of a group."""

from __future__ import annotations

import pytest

from rlgpu.config import compose
from rlgpu.config.idle import Idle
from rlgpu.errors import NoEffect, UnknownKey
from rlgpu.sim import ENGINES
from rlgpu.training import Tasks
from tests.refusals import names


def notes(*words: str) -> list[Idle]:
    """Returns the warnings of a command line."""
    composed = compose(["sim=mujoco", *words], Tasks(), ENGINES)
    return [note for note in composed.notes if isinstance(note, Idle)]


def without_effect(*words: str) -> tuple[str, str]:
    """Returns the key that a command line is refused for, and what it needs."""
    with pytest.raises(NoEffect) as caught:
        notes(*words)
    return caught.value.key, caught.value.needs


def unknown(*words: str) -> UnknownKey:
    """Returns the refusal of a command line with an unknown key."""
    with pytest.raises(UnknownKey) as caught:
        notes(*words)
    return caught.value


def test_randomisation_that_is_not_switched_on_is_refused() -> None:
    """The issue's own example, and a key deeper down."""
    for key in ("action_delay=[0,2]", "mass.range=[0,1]"):
        word = f"task.randomization.{key}"
        wanted = word.partition("=")[0], "task.randomize=True"
        assert without_effect("task=Cartpole", word) == wanted
        assert notes("task=Cartpole", word, "task.randomize=True") == []


def test_randomisation_without_a_range_is_refused() -> None:
    """Nothing named at all, or an operation without numbers."""
    on = ("task=Cartpole", "task.randomize=True")
    assert without_effect(*on) == ("task.randomize", "task.randomization")
    mass = "task.randomization.mass"
    operation = without_effect(*on, f"{mass}.operation=scaling")
    assert operation == (f"{mass}.operation", f"{mass}.range")


@pytest.mark.parametrize(
    ("idle", "switch"),
    [
        ("train.adaptive_kl=0.01", "train.schedule=adaptive"),
        ("train.memory_size=8", "train.memory=gru"),
        ("train.curiosity.limit=3", "train.curiosity.weight=0.1"),
        ("capture_video_len=9", "capture_video=True"),
        ("task.actuators.no_load_speed.all=9", "task.actuators.model=dc_motor"),
        ("task.actuators.network.file=x.pt", "task.actuators.model=network"),
        ("task.hidden_from=policy", "task.hidden=[lin_vel_b]"),
        ("task.pushes.max_speed=2", "task.pushes.interval=5"),
        ("task.commands.heading=[0,1]", "task.commands.follow_heading=True"),
        ("task.terrain.tile_size=9", "task.terrain.kind=rough"),
    ],
)
def test_a_setting_that_does_nothing_is_a_warning_until_it_does(idle, switch) -> None:
    """It names both keys."""
    (warning,) = notes("task=Anymal", idle)
    assert warning.key == idle.partition("=")[0]
    assert warning.needs.partition("=")[0] == switch.partition("=")[0]
    assert names(Exception(warning), warning.key, warning.needs)
    assert notes("task=Anymal", idle, switch) == []


@pytest.mark.parametrize("word", ["task.stiffness=20.0", "task.commands=3", "train.curiosity=1"])
def test_a_value_for_a_group_names_the_keys_of_the_group(word) -> None:
    """A mapping is wanted."""
    refusal, group = unknown("task=Go2", word), word.partition("=")[0]
    assert refusal.key == refusal.group == group
    assert names(refusal, f"{group}.{refusal.allowed[0]}")
    assert refusal.instead == ""


def test_a_key_that_a_group_lacks_names_those_that_it_has() -> None:
    """No unrelated key of another group is suggested."""
    refusal = unknown("task=Go2", "task.stiffness.hip=30")
    assert (refusal.group, refusal.allowed) == ("task.stiffness", ("joint",))
    refusal = unknown("task=G1", "task.stiffness.kne=30")
    assert refusal.instead == "task.stiffness.knee"
    assert names(refusal, "task.stiffness.knee")


def test_a_key_below_a_value_says_what_the_value_is() -> None:
    """As a mapping given for a number."""
    refusal = unknown("task.episode_length.steps=3")
    assert (refusal.group, refusal.allowed) == ("task.episode_length", (int,))


@pytest.mark.parametrize(
    "word",
    [
        "task.clip_observations=5",
        "task.physics_dt=0.01",
        "task.randomize=True",
        "task.randomization.observations.range=[-1,1]",
        "task.hidden=[x]",
    ],
)
def test_what_environments_of_gymnasium_do_not_follow_is_refused(word) -> None:
    """Nobody would otherwise notice that there is no noise."""
    assert without_effect("task=gym:CartPole-v1", word) == (word.partition("=")[0], "task")
    assert notes("task=gym:CartPole-v1", "task.episode_length=7") == []
