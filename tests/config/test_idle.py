"""Settings that do nothing, and keys at the wrong depth of a group."""

from __future__ import annotations

import pytest

from rlgpu.config import compose
from rlgpu.errors import UsageError
from rlgpu.sim import ENGINES
from rlgpu.training import Tasks


def notes(*words: str) -> list[str]:
    """Returns the warnings of a command line."""
    composed = compose(["sim=mujoco", *words], Tasks(), ENGINES)
    return [note for note in composed.notes if note.startswith("warning: ")]


def refused(*words: str) -> str:
    """Returns the refusal of a command line."""
    with pytest.raises(UsageError) as caught:
        notes(*words)
    return str(caught.value)


def test_randomisation_that_is_not_switched_on_is_refused() -> None:
    """The issue's own example, and a key deeper down."""
    for key in ("action_delay=[0,2]", "mass.range=[0,1]"):
        word = f"task.randomization.{key}"
        assert "add it" in refused("task=Cartpole", word)
        assert notes("task=Cartpole", word, "task.randomize=True") == []


def test_randomisation_without_a_range_is_refused() -> None:
    """Nothing named at all, or an operation without numbers."""
    on = ("task=Cartpole", "task.randomize=True")
    assert "names nothing to vary" in refused(*on)
    assert "mass.range" in refused(*on, "task.randomization.mass.operation=scaling")


@pytest.mark.parametrize(
    ("idle", "switch"),
    [
        ("train.adaptive_kl=0.01", "train.schedule=adaptive"),
        ("train.memory_size=8", "train.memory=gru"),
        ("train.curiosity.limit=3", "train.curiosity.weight=0.1"),
        ("capture_video_len=9", "capture_video=True"),
        ("task.hidden_from=policy", "task.hidden=[lin_vel_b]"),
        ("task.pushes.max_speed=2", "task.pushes.interval=5"),
        ("task.commands.heading=[0,1]", "task.commands.follow_heading=True"),
        ("task.terrain.tile_size=9", "task.terrain.kind=rough"),
    ],
)
def test_a_setting_that_does_nothing_is_a_warning_until_it_does(idle, switch) -> None:
    """It names both keys."""
    (warning,) = notes("task=Anymal", idle)
    assert idle.partition("=")[0] in warning
    assert switch.partition("=")[0] in warning
    assert notes("task=Anymal", idle, switch) == []


@pytest.mark.parametrize("word", ["task.stiffness=20.0", "task.commands=3", "train.curiosity=1"])
def test_a_value_for_a_group_names_the_keys_of_the_group(word) -> None:
    """A mapping is wanted."""
    message = refused("task=Go2", word)
    group = word.partition("=")[0]
    assert f"give {group}." in message
    assert "did you mean" not in message


def test_a_key_that_a_group_lacks_names_those_that_it_has() -> None:
    """No unrelated key of another group is suggested."""
    assert "task.stiffness has no hip, but joint" in refused("task=Go2", "task.stiffness.hip=30")
    message = refused("task=G1", "task.stiffness.kne=30")
    assert message.endswith("did you mean task.stiffness.knee?")


def test_a_key_below_a_value_says_what_the_value_is() -> None:
    """As a mapping given for a number."""
    assert "task.episode_length takes a whole number" in refused("task.episode_length.steps=3")


@pytest.mark.parametrize(
    "word",
    [
        "task.clip_observations=5", "task.physics_dt=0.01", "task.randomize=True",
        "task.randomization.observations.range=[-1,1]", "task.hidden=[x]",
    ],
)  # fmt: skip
def test_what_environments_of_gymnasium_do_not_follow_is_refused(word) -> None:
    """Nobody would otherwise notice that there is no noise."""
    said = refused("task=gym:CartPole-v1", word)
    assert f"{word.partition('=')[0]} does nothing here" in said
    assert notes("task=gym:CartPole-v1", "task.episode_length=7") == []
