"""What the Python API refuses, and what its refusals carry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from rlgpu.config import Range
from rlgpu.errors import Conflict, Misfit, NoEffect, UnknownKey, UsageError
from tests.api.test_python_api import agent, drive
from tests.refusals import names


@pytest.mark.parametrize(
    ("wrong", "key", "value", "taken"),
    [
        (lambda: agent(gamma=1.5), "gamma", 1.5, Range(0, 1)),
        (lambda: agent(preset="rlgames"), "preset", "rlgames", "rl_games"),
        (lambda: agent(kernels="fused"), "kernels", "fused", "compiled"),
        (lambda: agent(actions=spaces.Text(3)), "action_space", "Text", "Box"),
        (lambda: agent().update(), "update", 0, 5),
        (lambda: agent().observe(np.zeros((4, 3)), 0.0, False), "observe", None, "act"),
        (lambda: agent().act(np.zeros((4, 2))), "observations", (4, 2), (4, 3)),
    ],
)
def test_a_mistake_is_said(wrong, key, value, taken) -> None:
    """What was given, what is allowed."""
    with pytest.raises(UsageError) as refusal:
        wrong()
    assert (refusal.value.key, refusal.value.value) == (key, value)
    assert taken in refusal.value.allowed


def test_an_unknown_setting_is_refused_with_the_nearest_one() -> None:
    """As on the command line."""
    with pytest.raises(UnknownKey) as refusal:
        agent(learnin_rate=1.0)
    assert (refusal.value.key, refusal.value.instead) == ("learnin_rate", "learning_rate")
    assert names(refusal.value, "learnin_rate", "learning_rate")


def test_settings_of_continuous_actions_are_refused_for_choices() -> None:
    """A preset may have them."""
    with pytest.raises(NoEffect) as refusal:
        agent(initial_log_std=-1.0)
    assert refusal.value.key == "initial_log_std"
    assert agent(preset="skrl")._ppo.config.min_log_std == -20.0


def test_choices_have_no_bounds() -> None:
    """They would change nothing."""
    with pytest.raises(NoEffect) as refusal:
        agent(action_bounds=(0, 1))
    assert (refusal.value.key, refusal.value.value) == ("action_bounds", (0, 1))


def test_a_file_of_something_else_does_not_fit() -> None:
    """Or one that is not there."""
    with pytest.raises(Misfit) as refusal:
        agent().load("nowhere.pth")
    assert refusal.value.path == Path("nowhere.pth")
    assert names(refusal.value, "nowhere.pth")


def test_a_complete_rollout_wants_an_update() -> None:
    """Before it is written over."""
    ours = agent()
    drive(ours)
    with pytest.raises(UsageError) as refusal:
        ours.act(np.zeros((4, 3)))
    assert (refusal.value.key, refusal.value.allowed) == ("act", ("update",))


def test_groups_of_settings_are_mappings() -> None:
    """Checked key by key; what needs a task is refused, and what does not go together."""
    ours = agent(curiosity={"weight": 0.5})
    assert [option.name for option in ours._ppo.options] == ["curiosity"]
    for wrong, kind, key in (
        ({"curiosity": {"wait": 1}}, UnknownKey, "curiosity.wait"),
        ({"symmetry": {"augment": True}}, NoEffect, "symmetry"),
        ({"memory": "lstm", "sequence_length": 3}, Conflict, "train.sequence_length"),
        ({"kl_reference": "last_visit"}, Conflict, "train.kl_reference"),
    ):
        with pytest.raises(kind) as refusal:
            agent(**wrong)
        assert refusal.value.key == key
