"""The range of every key is checked as its type states it, and is what ``--help`` prints."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pytest

from rlgpu.config import (
    Config,
    Key,
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
from rlgpu.config.old_names import OLD_NAMES, LeftOut, our_name
from rlgpu.errors import Conflict, UnknownKey, Unreadable, UsageError
from rlgpu.sim import ENGINES
from rlgpu.tasks import TASKS
from tests.config.test_compose import CFG
from tests.refusals import names

ENGINE_KEYS = {name: keys_of(entry.settings, "sim.") for name, entry in ENGINES.items()}
TASK_KEYS = {name: keys_of(task.Config, "task.") for name, task in TASKS.items()}
ALL_KEYS = keys_of(Config)
for keys in (*ENGINE_KEYS.values(), *TASK_KEYS.values()):
    ALL_KEYS |= keys
SMALL = Text(r"[a-z-]+", "small letters")
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
        (0, Annotated[int, Range(8, 9, or_zero=True)], 0),
        ("a-b", Annotated[str, SMALL], "a-b"),
    ],
)
def test_a_value_is_converted_if_nothing_is_lost(value, hint, wanted) -> None:
    """A whole number may be written 1e3."""
    assert convert("key", value, hint) == wanted


@pytest.mark.parametrize(
    ("value", "hint", "refused", "taken"),
    [
        (1.5, int, 1.5, (int,)),
        (True, int, True, (int,)),
        (10**400, float, 10**400, (float,)),
        (math.nan, float, math.nan, (Range(),)),
        (math.inf, float, math.inf, (Range(),)),
        (math.inf, int, math.inf, (int,)),
        (2, bool, 2, (bool,)),
        (None, float, None, (float,)),
        ([1], str, [1], (str,)),
        ("a" * 1001, str, "a" * 1001, (str,)),
        ("a\nb", str, "a\nb", (str,)),
        (3, list[int], 3, (list[int],)),
        ([[3]], list[int], [3], (int,)),
        ([0.5], list[int], 0.5, (int,)),
        ([], Annotated[list[int], Length(1, 3)], [], (Length(1, 3),)),
        ([1, 0], Annotated[list[int], Span()], [1, 0], (Span(),)),
        ([], Annotated[list[float], Span()], [], (Span(),)),
        (
            [1, 2, 3],
            Annotated[list[int], Span(optional=True)],
            [1, 2, 3],
            (Span(optional=True),),
        ),
        ("c", Literal["a", "b"], "c", ("a", "b")),
        (0, Annotated[float, Range(0.0, above=True)], 0.0, (Range(0.0, above=True),)),
        (2, Annotated[int, Range(3, 5)], 2, (Range(3, 5),)),
        (7, Annotated[int, Range(8, 9, or_zero=True)], 7, (Range(8, 9, or_zero=True),)),
        (-1, Annotated[int, Range(0)], -1, (Range(0),)),
        ("A", Annotated[str, SMALL], "A", (SMALL,)),
    ],
)
def test_any_other_value_is_refused(value, hint, refused, taken) -> None:
    """What was given, and what is allowed."""
    with pytest.raises(UsageError) as refusal:
        convert("key", value, hint)
    assert refusal.value.key == "key"
    assert repr(refusal.value.value) == repr(refused)  # NaN is not equal to itself
    assert refusal.value.allowed == taken
    assert "\n" not in str(refusal.value)


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
    with pytest.raises(UsageError) as refusal:
        compose(words, TASKS, ENGINES)
    assert refusal.value.key == name


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
    found = our_name(old, ALL_KEYS)
    assert found is not None
    if isinstance(advice, LeftOut):
        assert found.instead == ""
    else:
        assert found.instead in {*ALL_KEYS, "task", "sim"}, advice
        assert names(Exception(found), found.instead, found.library)
    if old not in ALL_KEYS:
        with pytest.raises(UnknownKey) as refusal:
            compose([f"train.{old}=1"], TASKS, ENGINES) if f"train.{old}" not in ALL_KEYS else (
                compose([f"{old}=1"], TASKS, ENGINES)
            )
        assert refusal.value.library == found.library


@pytest.fixture
def own_values(tmp_path) -> tuple[Path, Callable[[], UsageError]]:
    """The Ant's file of training values in a project, and what returns its refusal."""
    shutil.copytree(CFG, tmp_path / "cfg")

    def refused() -> UsageError:
        with pytest.raises(UsageError) as refusal:
            compose(["task=Ant"], TASKS, ENGINES, Project(cfg=(tmp_path / "cfg",)))
        return refusal.value

    return tmp_path / "cfg" / "train" / "AntPPO.yaml", refused


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gamma: 0.9\ngamma: 0.8", "twice"),
        ("gamma: &a 0.9\ngae_lambda: *a", "alias"),
        ("- gamma", "mapping"),
        ("gamma: [0.9", "syntax"),
        (b"\xff\xfe", "encoding"),
        ("x: " + "a" * 1_000_001, "size"),
        ("a: " + "[" * 50 + "]" * 50, "depth"),
    ],
    ids=range(7),
)
def test_a_file_that_cannot_be_read_is_refused(own_values, text, fault) -> None:
    """Anchors, duplicate keys, what is not YAML, and more."""
    path, refused = own_values
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refusal = refused()
    assert isinstance(refusal, Unreadable)
    assert (refusal.fault, refusal.path) == (fault, path)
    assert names(refusal, path)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("gamma: 1:30", "train.gamma", "1:30"),
        ("separate: maybe", "train.separate", "maybe"),
    ],
)
def test_a_wrong_value_of_a_file_is_refused(own_values, text, key, value) -> None:
    """YAML 1.1's sexagesimal numbers, and a word for a truth value."""
    path, refused = own_values
    path.write_text(text)
    refusal = refused()
    assert (refusal.key, refusal.value) == (key, value)


@pytest.mark.parametrize(
    ("text", "key", "other"),
    [
        ("min_log_std: 3", "train.min_log_std", "train.initial_log_std"),
        (
            "schedule: adaptive\nmax_learning_rate: 1e-9",
            "train.learning_rate",
            "train.max_learning_rate",
        ),
    ],
)
def test_values_of_a_file_that_do_not_go_together_are_refused(own_values, text, key, other) -> None:
    """A least number above the largest."""
    path, refused = own_values
    path.write_text(text)
    refusal = refused()
    assert isinstance(refusal, Conflict)
    assert (refusal.key, refusal.other) == (key, other)


@pytest.mark.parametrize(
    ("word", "value", "taken"),
    [
        ("experiment=../up", "../up", ALL_KEYS["experiment"]),
        ("experiment=.hidden", ".hidden", ALL_KEYS["experiment"]),
        ("train.hidden_sizes=[]", [], Length(1, 16)),
        ("train.hidden_sizes=[[8]]", [8], int),
        ("sim.engine=mujoco", "mujoco", "fused"),
    ],
)
def test_odd_words_are_refused(word, value, taken) -> None:
    """Paths where a name is wanted, empty and nested lists."""
    with pytest.raises(UsageError) as refusal:
        compose(["sim=fused", word], TASKS, ENGINES)
    if isinstance(taken, Key):
        (taken,) = parts_of(taken.hint)[1]
    assert (refusal.value.key, refusal.value.value) == (word.partition("=")[0], value)
    assert refusal.value.allowed == (taken,)


@pytest.mark.parametrize(
    ("words", "key", "fault"),
    [
        (["seed=1", "seed=2"], "seed", "twice"),
        (["experiment=" + "a" * 1001], "experiment", "size"),
    ],
)
def test_words_that_cannot_be_read_are_refused(words, key, fault) -> None:
    """Duplicates and what is too long."""
    with pytest.raises(Unreadable) as refusal:
        compose(["sim=fused", *words], TASKS, ENGINES)
    assert (refusal.value.key, refusal.value.fault) == (key, fault)


def test_the_key_is_no_name_of_a_task() -> None:
    """It could be taken for a class of this name."""
    with pytest.raises(UsageError) as refusal:
        compose(["sim=fused", "task=task"], TASKS, ENGINES)
    assert names(refusal.value, "task=task", "Ant", "Cartpole")


@pytest.mark.parametrize("word", ["[red]x[-red]", "übung", "a b", "2026-01-01", "007", "on", "1e5"])
def test_a_text_stays_as_it_was_written(word) -> None:
    """Not read as a number, date, truth value or markup; brackets are no letters of a folder."""
    if "[" in word:
        with pytest.raises(UsageError) as refusal:
            compose([f"experiment={word}"], TASKS, ENGINES)
        assert (refusal.value.key, refusal.value.value) == ("experiment", word)
        assert refusal.value.allowed == parts_of(ALL_KEYS["experiment"].hint)[1]
        return
    assert compose([f"experiment={word}"], TASKS, ENGINES).config.experiment == word


def test_old_names_of_something_else_say_how_it_differs() -> None:
    """Half the squared error makes skrl's and rsl_rl's coefficient 2 times as large here.

    rsl_rl's ``noise_std_type`` chooses a parameter's scale, and an update stops at 1.5 times ours.
    """
    for name in ("value_loss_scale", "agent.value_loss_scale", "value_loss_coef"):
        assert names(str(our_name(name, ALL_KEYS)), "train.value_loss_coef", 2)
    other = our_name("noise_std_type", ALL_KEYS)
    assert other
    assert not names(str(other), "state_dependent_std")
    assert names(str(our_name("kl_threshold", ALL_KEYS)), "2/3")
    # IsaacGymEnvs' Ant multiplies a gear of 15 by it.
    assert names(str(our_name("task.env.powerScale", ALL_KEYS)), 15)


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
