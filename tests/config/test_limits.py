"""The range of every key is checked as its type states it, and is what ``--help`` prints."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import pytest

from rlgpu.config import (
    Config,
    Length,
    Project,
    Range,
    SavedRun,
    Span,
    Text,
    compose,
    keys_of,
    plain,
)
from rlgpu.config.limits import allowed, convert, parts_of
from rlgpu.config.old_names import OLD_NAMES, our_name
from rlgpu.errors import UsageError
from rlgpu.sim import ENGINES
from rlgpu.tasks import TASKS
from tests.config.test_compose import CFG

ENGINE_KEYS = {name: keys_of(entry.settings, "sim.") for name, entry in ENGINES.items()}
TASK_KEYS = {name: keys_of(task.Config, "task.") for name, task in TASKS.items()}
ALL_KEYS = keys_of(Config)
for keys in (*ENGINE_KEYS.values(), *TASK_KEYS.values()):
    ALL_KEYS |= keys
NUMBERS = {name: key for name, key in ALL_KEYS.items() if parts_of(key.hint)[0] in (int, float)}


@pytest.mark.parametrize(
    ("value", "hint", "wanted"),
    [
        (1, int, 1),
        (1e3, int, 1000),
        (1, float, 1.0),
        ("on", bool, True),
        (0, bool, False),
        ("x", str, "x"),
        (7, str, "7"),
        ([1.0, 2], list[int], [1, 2]),
        ("a", Literal["a", "b"], "a"),
        (math.inf, Annotated[float, Range(0.0, infinite=True)], math.inf),
        ("a-b", Annotated[str, Text(r"[a-z-]+", "small letters")], "a-b"),
    ],
)
def test_a_value_is_converted_if_nothing_is_lost(value, hint, wanted) -> None:
    """A whole number may be written 1e3."""
    assert convert("key", value, hint) == wanted


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        (1.5, int, "key=1.5: expected a whole number"),
        (True, int, "expected a whole number"),
        (10**400, float, "expected a number"),
        (math.nan, float, "key=nan: must be a finite number"),
        (math.inf, float, "key=inf: must be a finite number"),
        (math.inf, int, "expected a whole number"),
        (2, bool, "key=2: expected True or False"),
        (None, float, "expected a number"),
        ([1], str, "expected a text"),
        ("a" * 1001, str, r"key=aaa.*\.\.\.: expected a text"),
        ("a\nb", str, "expected a text"),
        (3, list[int], r"expected a list such as \[64,32\]"),
        ([[3]], list[int], r"key=\[3\]: expected a whole number"),
        ([0.5], list[int], "key=0.5: expected a whole number"),
        ([], Annotated[list[int], Length(1, 3)], "must have 1 to 3 of them"),
        ([1, 0], Annotated[list[int], Span()], "must be two numbers, the smaller one first"),
        ([], Annotated[list[float], Span()], "must be two numbers, the smaller one first"),
        ([1, 2, 3], Annotated[list[int], Span(optional=True)], "the smaller one first, or none"),
        ("c", Literal["a", "b"], "expected a or b"),
        (0, Annotated[float, Range(0.0, above=True)], "key=0.0: must be above 0"),
        (2, Annotated[int, Range(3, 5)], "key=2: must be from 3 to 5"),
        (-1, Annotated[int, Range(0)], "key=-1: must be at least 0"),
        ("A", Annotated[str, Text(r"[a-z-]+", "small letters")], "must be small letters"),
    ],
)
def test_any_other_value_is_refused(value, hint, message) -> None:
    """What was given, and what is allowed."""
    with pytest.raises(UsageError, match=message):
        convert("key", value, hint)


@pytest.mark.parametrize("name", sorted(NUMBERS))
@pytest.mark.parametrize("text", ["nan", "-inf", "-9e99", "[]", "null", "many"])
def test_no_number_of_the_schema_takes_nonsense(name, text) -> None:
    """Every key of the configuration, of every engine and of every task."""
    task = next((t for t, keys in TASK_KEYS.items() if name in keys), "Ant")
    having = [engine for engine, keys in ENGINE_KEYS.items() if name in keys]
    words = [f"task={task}", f"sim={having[0] if having else 'mujoco'}", f"{name}={text}"]
    if having == ["mujoco_warp"]:
        words.append("sim_device=cpu")
    if text == "-9e99" and -9e99 in next(iter([*parts_of(NUMBERS[name].hint)[1], Range()])):
        pytest.skip(f"{name} may be negative")
    with pytest.raises(UsageError, match=name):
        compose(words, TASKS, ENGINES)


def test_every_key_is_documented() -> None:
    """With a meaning and its allowed values, for ``--help``."""
    assert not [name for name, key in ALL_KEYS.items() if not key.meaning()]
    assert all(allowed(key.hint) for key in ALL_KEYS.values())


@pytest.mark.parametrize(
    ("library", "old"), [(lib, old) for lib, names in OLD_NAMES.items() for old in names]
)
def test_an_old_name_leads_to_a_key_that_exists(library, old) -> None:
    """Bare, or within the groups that its library puts it in."""
    advice = OLD_NAMES[library][old]
    assert our_name(old, ALL_KEYS) == our_name(f"agent.{old}", ALL_KEYS)
    phrase = our_name(old, ALL_KEYS) or ""
    assert phrase.startswith("a name of ")
    if not advice.startswith("leave it out"):
        ours = advice.split()[0].partition("=")[0].rstrip(",;")
        assert ours in {*ALL_KEYS, "task", "sim"}, advice
        assert ours in phrase
    if old not in ALL_KEYS:
        with pytest.raises(UsageError, match="is a name of"):
            compose([f"train.{old}=1"], TASKS, ENGINES) if f"train.{old}" not in ALL_KEYS else (
                compose([f"{old}=1"], TASKS, ENGINES)
            )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gamma: 1:30", "train.gamma=1:30: expected a number"),
        ("separate: maybe", "train.separate=maybe: expected True or False"),
        ("gamma: 0.9\ngamma: 0.8", "gamma is there twice"),
        ("gamma: &a 0.9\ngae_lambda: *a", r"aliases \(\*name\) are not supported"),
        ("- gamma", "must be a mapping"),
        ("gamma: [0.9", "is not valid YAML: line"),
        ("min_log_std: 3", "train.min_log_std=3.0 is larger than train.initial_log_std"),
        ("schedule: adaptive\nmax_learning_rate: 1e-9", "is larger than train.max_learning_rate"),
        (b"\xff\xfe", "is not a text file in UTF-8"),
        ("x: " + "a" * 1_000_001, "has more than 1000000 bytes"),
        ("a: " + "[" * 50 + "]" * 50, "nested more than 20 deep"),
    ],
    ids=range(11),
)
def test_an_odd_file_is_refused(tmp_path, text, message) -> None:
    """YAML 1.1's sexagesimal numbers, anchors, duplicate keys and more."""
    import shutil

    shutil.copytree(CFG, tmp_path / "cfg")
    path = tmp_path / "cfg" / "train" / "AntPPO.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=message):
        compose(["task=Ant"], TASKS, ENGINES, Project(cfg=(tmp_path / "cfg",)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=1", "seed=2"], "seed is given twice"),
        (["experiment=../up"], "must be a folder's name"),
        (["experiment=.hidden"], "must be a folder's name"),
        (["train.hidden_sizes=[]"], "must have 1 to 16 of them"),
        (["train.hidden_sizes=[[8]]"], "expected a whole number"),
        (["experiment=" + "a" * 1001], "more than 1000 characters"),
        (["task=task"], "task=task is not a task"),
        (["sim.engine=mujoco"], "sim.engine=mujoco: expected fused"),
    ],
)
def test_odd_words_are_refused(words, message) -> None:
    """Duplicates, paths where a name is wanted, empty and nested lists."""
    with pytest.raises(UsageError, match=message):
        compose(["sim=fused", *words], TASKS, ENGINES)


@pytest.mark.parametrize("word", ["[red]x[-red]", "übung", "a b", "2026-01-01", "007", "on", "1e5"])
def test_a_text_stays_as_it_was_written(word) -> None:
    """Not read as a number, date, truth value or markup; brackets are no letters of a folder."""
    if "[" in word:
        with pytest.raises(UsageError, match="must be a folder's name"):
            compose([f"experiment={word}"], TASKS, ENGINES)
        return
    assert compose([f"experiment={word}"], TASKS, ENGINES).config.experiment == word


def test_old_names_of_something_else_say_how_it_differs() -> None:
    """Half the squared error makes skrl's and rsl_rl's coefficient 2 times as large here.

    rsl_rl's ``noise_std_type`` chooses a parameter's scale, and an update stops at 1.5 times ours.
    """
    for name in ("value_loss_scale", "agent.value_loss_scale", "value_loss_coef"):
        assert "train.value_loss_coef, 2 times" in (our_name(name, ALL_KEYS) or "")
    assert "state_dependent_std" not in (
        our_name("noise_std_type", ALL_KEYS) or "state_dependent_std"
    )
    assert "2/3" in (our_name("kl_threshold", ALL_KEYS) or "")
    # IsaacGymEnvs' Ant multiplies a gear of 15 by it.
    assert "15 times" in (our_name("task.env.powerScale", ALL_KEYS) or "")


def test_a_value_of_another_name_is_refused_on_the_command_line_only() -> None:
    """``kernels=fused`` of a saved run is read; the word means the engine."""
    with pytest.raises(UsageError) as refusal:
        compose(["task=Cartpole", "kernels=fused"], TASKS, ENGINES)
    assert (refusal.value.key, refusal.value.value) == ("kernels", "fused")
    config = compose(["task=Cartpole", "sim=mujoco"], TASKS, ENGINES).config
    values = {**plain(config), "kernels": "fused"}
    saved = SavedRun.read(values, {"task": "Cartpole"}, playing=False, source="")
    composed = compose(["task=Cartpole"], TASKS, ENGINES, saved=saved)
    assert composed.config.kernels == "compiled"
    assert not any("kernels" in note for note in composed.notes)
