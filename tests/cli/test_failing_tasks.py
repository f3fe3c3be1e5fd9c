"""A task whose code or files fail, at the start or later, ends in one sentence; others train."""

from __future__ import annotations

import pytest

import train
from rlgpu.errors import Misfit, TaskError, UnknownName, UnsupportedModel, UsageError
from rlgpu.training import load_checkpoint
from tests.cli.hopper import BODY, FORCE, JOINT, OBSERVE, OUTCOME, change, hopper
from tests.refusals import error_of, names

FAILURES = [
    # What is replaced, by what; the error that led to the refusal, and identifiers that it names.
    ("hopper.py", OBSERVE, "return state.joint_posn", AttributeError, ["hopper.py", "joint_posn"]),
    (
        "hopper.py",
        OBSERVE,
        "return torch.cat((state.joint_pos, 3), dim=-1)",
        TypeError,
        ["hopper.py"],
    ),
    (
        "hopper.py",
        "import torch\n",
        "import torhc\n",
        ModuleNotFoundError,
        ["hopper.py", 6, "torhc"],
    ),
    (
        "hopper.py",
        "def targets(self, actions):",
        "def targets(self, actions)",
        SyntaxError,
        ["hopper.py", 29],
    ),
    (
        "hopper.py",
        "import torch\n",
        "import torch\nraise SystemExit(0)\n",
        SystemExit,
        ["hopper.py", 7],
    ),
    ("hopper.py", "asset = Path", "asset = Pat", NameError, ["hopper.py", "Pat"]),
    ("hopper.py", '"lift": Drive', '"lif": Drive', UnknownName, ["drives", "lif", "lift"]),
    (
        "hopper.py",
        "asset=asset,",
        "asset=asset, wrench_bodies=('foot',),",
        UnknownName,
        ["wrench_bodies", "foot", "mass"],
    ),
    (
        "hopper.py",
        "return SceneSpec(asset=asset,",
        "return dict(asset=asset,",
        AttributeError,
        ["Hopper", "dict"],
    ),
    (
        "hopper.py",
        "    force: float = 20.0",
        "    def __post_init__(self):\n        raise ValueError('force must be even')\n\n"
        "    force: float = 20.0",
        ValueError,
        ["hopper.py", 17, "force must be even"],
    ),
    (
        "hopper.py",
        "    force: float = 20.0",
        "    other: 'Nope' = 1\n    force: float = 20.0",
        NameError,
        ["hopper.py", "Nope"],
    ),
    ("hopper.xml", JOINT, "<freejoint/>", UnknownName, ["drives", "lift"]),
    ("hopper.xml", "</worldbody>", "</worldbdy>", ValueError, ["hopper.xml"]),
    ("hopper.xml", BODY, '<body name="mass" mas="3">', ValueError, ["hopper.xml", "mas"]),
    (
        "hopper.xml",
        JOINT,
        '<joint name="lift" type="ball"/>',
        UnsupportedModel,
        ["hopper.xml", "lift"],
    ),
    (
        "hopper.xml",
        "</mujoco>",
        '<actuator><motor joint="lift"/></actuator></mujoco>',
        UnsupportedModel,
        ["hopper.xml", "lift"],
    ),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "cause", "found"), FAILURES, ids=[f"{m[0]}-{m[4][-1]}" for m in FAILURES]
)
def test_what_fails_in_a_users_file_is_one_sentence(tmp_path, file, old, new, cause, found) -> None:
    """It shows the user's own line, or names the file and the part of it; nothing is written."""
    error = error_of(change(tmp_path, file, old, new))
    assert isinstance(error, UsageError)
    assert isinstance(error.__cause__, cause)
    assert error.key.startswith(("task", "Hopper"))
    assert names(error, *found)
    assert not (tmp_path / "runs").exists()


def test_a_new_task_trains_as_written(tmp_path) -> None:
    """And its own settings are keys of the command line."""
    assert train.main([*hopper(tmp_path), "task.force=25"]) == 0
    content = load_checkpoint(tmp_path / "runs" / "Hopper" / "latest" / "nn" / "last.pth")
    assert content["trainer"]["iteration"] == 2
    assert content["config"]["task"]["force"] == 25.0


def test_rewards_that_are_nan_stop_training_with_a_hint(tmp_path) -> None:
    """They may be NaN for the states after a reset, for which no reward is given, but not later."""
    moving = "return Outcome(1.0 - 0 * error / state.joint_vel[:, 0].abs(), error > 2.0)"
    assert train.main(change(tmp_path, "hopper.py", OUTCOME, moving)) == 0
    broken = "return Outcome(error * float('nan'), error > 2.0)"
    error = error_of(change(tmp_path, "hopper.py", OUTCOME, broken), 1)
    assert (error.cause, error.iteration, error.sources) == ("gradients", 1, ("Hopper.evaluate",))
    assert error.checkpoint is None
    assert names(error, "Hopper.evaluate")


def test_a_term_of_the_reward_that_is_nan_is_named(tmp_path, capsys) -> None:
    """Of two that the task reports, the one that is not finite."""
    terms = "{'reward_height': 1.0 - error, 'reward_power': error.log() * 0.0 / 0.0}"
    broken = f"terms = {terms}\n        return Outcome(sum(terms.values()), error > 2.0, terms)"
    error = error_of(change(tmp_path, "hopper.py", OUTCOME, broken), 1)
    assert (error.cause, error.sources) == ("gradients", ("reward_power",))
    printed = capsys.readouterr().out
    (warning,) = [line for line in printed.splitlines() if names(line, "Hopper.evaluate")]
    assert printed.index(warning) < printed.index(" 1/2 ")  # before the first iteration
    for text in (error, warning):
        assert names(text, "reward_power")
        assert not names(text, "reward_height")


def test_resuming_with_other_observations_says_how_many_there_were(tmp_path) -> None:
    """A run with two observations goes on with three."""
    words = hopper(tmp_path)
    assert train.main(words) == 0
    text = (tmp_path / "hopper.py").read_text()
    wider = "return torch.cat((state.joint_pos, state.joint_vel, state.joint_pos), dim=-1)"
    text = text.replace(OBSERVE, wider).replace("num_observations = 2", "num_observations = 3")
    (tmp_path / "hopper.py").write_text(text)
    folder = (tmp_path / "runs" / "Hopper" / "latest").resolve()
    for more in (["max_iterations=3"], ["weights_only=True"], ["test=True", "headless=True"]):
        error = error_of([f"checkpoint={folder}", *more])
        assert isinstance(error, Misfit)
        assert (error.key, error.value, error.allowed) == ("observations", 3, (2,))
        assert error.path == folder / "nn" / "last.pth"
        assert names(error, 2, 3)


def test_a_scene_without_ground_is_a_warning_before_training(tmp_path, capsys) -> None:
    """Training goes on; the mass floats free of its joint."""
    words = hopper(tmp_path)
    robot = '<freejoint/><geom size=".1"/><body><joint name="lift"/><geom size=".1"/></body>'
    (tmp_path / "hopper.xml").write_text(
        f'<mujoco><worldbody><body name="mass">{robot}</body></worldbody></mujoco>'
    )
    assert train.main(words) == 0
    printed = capsys.readouterr().out
    (warning,) = [line for line in printed.splitlines() if names(line, "hopper.xml")]
    assert names(warning, "Hopper", "contype", "conaffinity")
    assert printed.index(warning) < printed.index(" 1/2 ")  # before the first iteration


def test_episodes_that_all_end_in_their_first_step_are_a_warning(tmp_path, capsys) -> None:
    """Once, however long training goes on."""
    printed = []
    for limit in ("2.0", "-2.0"):
        folder = tmp_path / limit
        folder.mkdir()
        assert train.main(change(folder, "hopper.py", "error > 2.0", f"error > {limit}")) == 0
        lines = capsys.readouterr().out.splitlines()
        printed.append([line for line in lines if not line.startswith("iteration ")])
    assert len(printed[1]) == len(printed[0]) + 1


def test_a_floating_urdf_is_refused_in_one_line_with_the_way_out(tmp_path) -> None:
    """It is not bolted to the world."""
    words = hopper(tmp_path)
    (tmp_path / "hopper.urdf").write_text(
        '<robot name="r"><link name="base"/><link name="mass"><inertial><mass value="1"/>'
        '<inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>'
        '<joint name="lift" type="prismatic"><parent link="base"/><child link="mass"/>'
        '<axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="9" velocity="9"/></joint></robot>'
    )
    text = (tmp_path / "hopper.py").read_text().replace("hopper.xml", "hopper.urdf")
    (tmp_path / "hopper.py").write_text(text)
    error = error_of(words)
    assert isinstance(error.__cause__, UnsupportedModel)
    assert [reason.kind for reason in error.__cause__.reasons] == ["floating_base"]
    assert names(error, "base", "freejoint", "world")


@pytest.mark.parametrize(
    ("old", "new", "cause", "sources"),
    [
        (OUTCOME, f"if self.k > 20: raise ValueError('boom')\n        {OUTCOME}", ValueError, ()),
        (OUTCOME, f"error = error if self.k < 20 else error[:1]\n        {OUTCOME}", TaskError, ()),
        (OUTCOME, f"error = error if self.k < 20 else error[:3]\n        {OUTCOME}", TaskError, ()),
        (OBSERVE, f"{OBSERVE} * (float('nan') if self.k > 20 else 1)", None, ("Hopper.observe",)),
        (FORCE, f"{FORCE} * (float('nan') if self.k > 20 else 1)", None, ("Hopper.targets",)),
    ],
)
def test_a_mistake_that_shows_later_ends_training_in_a_sentence(
    tmp_path, old, new, cause, sources
) -> None:
    """In the second iteration: its line or method, and the last good checkpoint."""
    words = hopper(tmp_path)
    text = (tmp_path / "hopper.py").read_text().replace(old, new)
    counting = "    def evaluate(self, state, actions, observations):"
    assert counting in text
    start, _, rest = text.partition(counting)
    body = f"{counting}\n        self.k += 1\n{rest.partition(chr(10))[2]}"
    (tmp_path / "hopper.py").write_text(
        start.replace("num_actions = 1", "num_actions = 1\n    k = 0") + body
    )
    error = error_of([*words, "train.save_every=1"], 1)
    if cause:
        assert error.cause == "task"
        assert isinstance(error.__cause__, cause)
    assert error.sources == sources
    assert names(error, *(sources or ["boom"] if cause is ValueError else sources))
    assert error.checkpoint == (tmp_path / "runs/Hopper/latest").resolve() / "nn" / "last.pth"
    assert names(error, error.checkpoint)


def test_a_config_may_have_fields_of_any_type(tmp_path, capsys) -> None:
    """Its runs can be resumed and repeated, without differences that are none."""
    words = hopper(tmp_path)
    fields = """    kind: Kind = Kind.A
    path: Path = Path("x")
    pair: tuple[float, float] = (1.0, 2.0)
    limit: float | None = None
    anything: Any = 3
    force: float = 20.0"""
    text = (tmp_path / "hopper.py").read_text().replace("    force: float = 20.0", fields)
    head = "from enum import Enum\nfrom typing import Any\n\nclass Kind(Enum):\n    A = 1\n"
    text = text.replace("import torch\n", f"import torch\n{head}")
    (tmp_path / "hopper.py").write_text(text)
    assert train.main(words) == 0
    folder = (tmp_path / "runs" / "Hopper" / "latest").resolve()
    capsys.readouterr()
    assert train.main([f"run={folder}"]) == 0
    assert train.main([f"checkpoint={folder}", "max_iterations=3"]) == 0
    (note,) = [x for x in capsys.readouterr().out.splitlines() if names(x, "max_iterations=3")]
    assert note.count("=") == 1  # no other key differs
    error = error_of([*words, "task.limit=nan"])
    assert (error.key, repr(error.value)) == ("task.limit", "nan")
