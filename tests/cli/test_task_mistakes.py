"""Every mistake in your own task is met before training, with one sentence."""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.config import Range
from rlgpu.tools.new_task import task_files
from tests.cli.hopper import FORCE, OBSERVE, OUTCOME, RESET, change, hopper
from tests.refusals import error_of, names

CPU = torch.device("cpu")
COUNT = Range(1, 2**31 - 1)
START = "Hopper.reset_state"

MISTAKES = [
    # What is replaced in the new task's files, by what; the key of the refusal, what was given and
    # what is allowed. After a file's name, the key is one of the command line.
    ("hopper.py", OBSERVE, "return state.joint_pos", "Hopper.observe", (64, 1), (64, 2)),
    (
        "hopper.py",
        "num_observations = 2",
        "num_observations = 48",
        "Hopper.observe",
        (64, 2),
        (64, 48),
    ),
    ("hopper.py", "num_actions = 1", "num_actions = 12", "Hopper.targets", (64, 12), (64, 1)),
    ("hopper.py", OBSERVE, "return state.joint_pos[:, 0]", "Hopper.observe", (64,), (64, 2)),
    ("hopper.py", OBSERVE, f"{OBSERVE}.double()", "Hopper.observe", torch.float64, torch.float32),
    ("hopper.py", OBSERVE, f"{OBSERVE}.to('meta')", "Hopper.observe", torch.device("meta"), CPU),
    ("hopper.py", OBSERVE, "return [0.0, 0.0]", "Hopper.observe", "list", "torch.Tensor"),
    ("hopper.py", OBSERVE, f"{OBSERVE} / 0.0", "Hopper.observe[0]", math.inf, Range()),
    ("hopper.py", FORCE, "return actions[:, 0]", "Hopper.targets", (64,), (64, 1)),
    ("hopper.py", FORCE, "return actions.long()", "Hopper.targets", torch.int64, torch.float32),
    (
        "hopper.py",
        OUTCOME,
        "return Outcome(1.0 - error[:, None], error > 2.0)",
        "Hopper.evaluate.rewards",
        (64, 1),
        (64,),
    ),
    (
        "hopper.py",
        OUTCOME,
        "return Outcome(1.0 - error, error)",
        "Hopper.evaluate.terminated",
        torch.float32,
        torch.bool,
    ),
    ("hopper.py", OUTCOME, "return 1.0 - error", "Hopper.evaluate", "Tensor", "rlgpu.envs.Outcome"),
    ("hopper.py", OUTCOME, "pass", "Hopper.evaluate", "NoneType", "rlgpu.envs.Outcome"),
    (
        "hopper.py",
        RESET,
        "return ResetState(start, start[:, 0])",
        f"{START}.joint_vel",
        (64,),
        (64, 1),
    ),
    (
        "hopper.py",
        RESET,
        "return ResetState(start * float('nan'), start)",
        f"{START}.joint_pos[0]",
        math.nan,
        Range(),
    ),
    (
        "hopper.py",
        RESET,
        "return ResetState(start, start.double())",
        f"{START}.joint_vel",
        torch.float64,
        torch.float32,
    ),
    ("hopper.py", RESET, "return start", START, "Tensor", "rlgpu.sim.ResetState"),
    ("hopper.py", "num_actions = 1", "num_actions = 0", "Hopper.num_actions", 0, Range(1)),
    ("hopper.py", "    num_actions = 1\n", "", "Hopper.num_actions", None, Range(1)),
    ("hopper.py", "class Hopper(Task)", "class Hopper", "Hopper", None, "rlgpu.envs.Task"),
    (
        "hopper.py",
        "Config = HopperConfig",
        "Config = 3",
        "Hopper.Config",
        3,
        "rlgpu.envs.TaskConfig",
    ),
    ("hopper.py", "def targets", "def target", "Hopper.targets", None, None),
    (
        "hopper.py",
        "    def targets",
        "    def bind(self, sim):\n        super().bind(sim)\n"
        "        sim.joint_names.index('hinge')\n\n    def targets",
        "Hopper.bind",
        "hinge",
        "lift",
    ),
    (
        "hopper.py",
        "    def targets",
        "    def bind(self, sim):\n        pass\n\n    def targets",
        "Hopper.bind",
        None,
        None,
    ),
    ("Hopper.yaml", "force: 20.0", "forse: 20.0", "task.forse", None, None),
    ("Hopper.yaml", "force: 20.0", "force: strong", "task.force", "strong", float),
    ("Hopper.yaml", "episode_length: 250", "episode_length: 0", "task.episode_length", 0, COUNT),
    (
        "HopperPPO.yaml",
        "learning_rate: 0.001",
        "learning_rate: .nan",
        "train.learning_rate",
        math.nan,
        Range(0.0),
    ),
    (
        "HopperPPO.yaml",
        "hidden_sizes: [32, 32]",
        "hidden_sizes: [[32]]",
        "train.hidden_sizes",
        [32],
        int,
    ),
]


def test_a_number_of_actions_that_targets_cannot_take_is_named(tmp_path) -> None:
    """Instead of torch's words for shapes that do not fit: it adds to a row of one joint."""
    change(tmp_path, "hopper.py", "num_actions = 1", "num_actions = 12")
    text = (tmp_path / "hopper.py").read_text()
    in_place = "return torch.zeros(64, 1).add_(actions)"
    (tmp_path / "hopper.py").write_text(text.replace(FORCE, in_place))
    error = error_of([f"task={tmp_path / 'hopper.py'}:Hopper", "num_envs=64"])
    assert (error.key, error.value, error.allowed) == ("Hopper.num_actions", 12, (1,))
    assert names(error, "Hopper.num_actions", 12, 1)
    assert not names(error, "RuntimeError")


def test_a_file_without_a_class_asks_which_of_its_classes(tmp_path) -> None:
    """Settings are none of them; an environment of Gymnasium is asked for alike."""
    hopper(tmp_path)
    file, other = tmp_path / "hopper.py", tmp_path / "other.py"
    for word in (str(file), f"gym:{file}"):
        error = error_of([f"task={word}"])
        assert (error.key, error.value, error.path) == ("task", word, file)
        assert error.allowed == (f"{word}:Hopper",)
        assert names(error, f"task={word}:Hopper")
    for word in (str(other), f"gym:{other}"):
        error = error_of([f"task={word}"])
        assert (error.fault, error.value, error.path) == ("missing", word, other)
        assert names(error, other)


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("hopper2.py", "Hopper2"),
        ("hopper2/hopper2.py", "Hopper2"),
        ("hopper2.py", "hopper2"),
        ("tall_hopper.py", "TallHopper"),
    ],
)
def test_a_name_leads_to_the_file_in_the_folder_that_has_it(
    tmp_path, monkeypatch, file, word
) -> None:
    """As ``new-task`` names it; without such a class, the file is not named."""
    monkeypatch.chdir(tmp_path)
    name = "TallHopper" if "tall" in file else "Hopper2"
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(task_files(name)[f"{name.lower()}.py"])
    error = error_of([f"task={word}"])
    assert (error.key, error.value, error.allowed[-1]) == ("task", word, f"{file}:{name}")
    assert names(error, f"task={file}:{name}")
    path.write_text("import rlgpu")
    error = error_of([f"task={word}"])
    assert (error.key, error.value) == ("task", word)
    assert not names(error, file)


@pytest.mark.parametrize(
    ("file", "old", "new", "key", "value", "allowed"),
    MISTAKES,
    ids=[f"{m[0]}-{m[3]}-{m[4]}" for m in MISTAKES],
)
def test_a_mistake_is_one_sentence(tmp_path, file, old, new, key, value, allowed) -> None:
    """It says what was given and what is wanted; nothing is written."""
    error = error_of(change(tmp_path, file, old, new))
    assert (error.key, repr(error.value)) == (key, repr(value))  # NaN is not equal to itself
    assert (allowed in error.allowed) if allowed else not error.allowed
    # A row's number is in the key, and in the message at another place.
    assert names(error, *key.partition("[")[0].split("."))
    for given in (error.value, *error.allowed):
        if isinstance(given, str | int | float | torch.dtype):
            assert names(error, given)
        if isinstance(given, tuple):
            assert names(error, list(given))
    assert not (tmp_path / "runs").exists()


def test_a_class_of_another_name_is_offered(tmp_path) -> None:
    """The one task that the file has."""
    file = tmp_path / "hopper.py"
    error = error_of(change(tmp_path, "hopper.py", "class Hopper(Task)", "class Hoper(Task)"))
    assert (error.key, error.value, error.path) == ("task", f"{file}:Hopper", file)
    assert error.allowed == (f"{file}:Hoper",)
    assert names(error, "Hopper", "Hoper")


@pytest.mark.parametrize(
    ("new", "fault", "place"),
    [("force: [20.0", "syntax", 5), ("force: 20.0\nforce: 3.0", "twice", "force")],
)
def test_a_file_that_is_not_yaml_is_named(tmp_path, new, fault, place) -> None:
    """With the line, or the key that is there twice."""
    error = error_of(change(tmp_path, "Hopper.yaml", "force: 20.0", new))
    assert (error.fault, error.path) == (fault, tmp_path / "Hopper.yaml")
    assert names(error, "Hopper.yaml", place)


@pytest.mark.parametrize("file", ["hopper.py", "hopper.xml", "Hopper.yaml", "HopperPPO.yaml"])
def test_a_missing_file_is_named(tmp_path, file) -> None:
    """Each of the four."""
    words = hopper(tmp_path)
    (tmp_path / file).unlink()
    error = error_of(words)
    if file == "hopper.xml":  # the scene is built without it
        assert error.key == "task"
        assert isinstance(error.__cause__, ValueError)
    else:
        assert error.path == tmp_path / file
    assert names(error, file)


def test_settings_that_do_not_extend_a_tasks_are_refused(tmp_path) -> None:
    """They would lack what every task has."""
    old = "class HopperConfig(TaskConfig)"
    error = error_of(change(tmp_path, "hopper.py", old, "class HopperConfig"))
    assert (error.key, error.allowed) == ("Hopper.Config", ("rlgpu.envs.TaskConfig",))
    assert error.value.__name__ == "HopperConfig"
    assert names(error, "Hopper.Config", "rlgpu.envs.TaskConfig")


@pytest.mark.parametrize("section", ["[fused]", "{fused: [1]}", "3", "{fusd: {force: 1}}"])
def test_values_of_engines_are_a_mapping_of_engines(tmp_path, section) -> None:
    """To keys and values; an unknown engine is refused with the known ones."""
    error = error_of(change(tmp_path, "Hopper.yaml", "force: 20.0", f"per_engine: {section}"))
    assert error.key == "per_engine"
    assert names(error, "Hopper.yaml", "per_engine")
    if "fusd" in section:
        assert error.value == "fusd"
        assert "fused" in error.allowed
        assert names(error, "fusd", "fused")
