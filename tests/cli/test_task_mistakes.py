"""Every mistake in your own task is met before training, with one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

import train
from rlgpu.tools.new_task import task_files

FORCE = "return self.config.force * actions"
OBSERVE = "return torch.cat((state.joint_pos, state.joint_vel), dim=-1)"
OUTCOME = "return Outcome(rewards=1.0 - error, terminated=error > 2.0)"
RESET = "return ResetState(joint_pos=start, joint_vel=torch.zeros_like(start))"
BODY = '<body name="mass">'
JOINT = '<joint name="lift" type="slide" axis="0 0 1"/>'

MISTAKES = [
    # What is replaced in the new task's files, by what, and what the message says.
    ("hopper.py", OBSERVE, "return state.joint_pos", "observe: got shape [64, 1], wanted [64, 2]"),
    ("hopper.py", "num_observations = 2", "num_observations = 48", "write num_observations = 2"),
    ("hopper.py", "num_actions = 1", "num_actions = 12", "got shape [64, 12] by num_actions = 12"),
    ("hopper.py", OBSERVE, "return state.joint_pos[:, 0]", "observe: got shape [64]"),
    ("hopper.py", OBSERVE, f"{OBSERVE}.double()", "got torch.float64, wanted torch.float32"),
    ("hopper.py", OBSERVE, f"{OBSERVE}.to('meta')", "got a tensor on meta, wanted cpu"),
    ("hopper.py", OBSERVE, "return [0.0, 0.0]", "observe: got list, wanted a tensor"),
    ("hopper.py", OBSERVE, f"{OBSERVE} / 0.0", "observe: got NaN or infinity in row 0"),
    ("hopper.py", OBSERVE, "return state.joint_posn", "hopper.py, line"),
    ("hopper.py", OBSERVE, "return torch.cat((state.joint_pos, 3), dim=-1)", "TypeError"),
    ("hopper.py", FORCE, "return actions[:, 0]", "targets: got shape [64], wanted [64, 1]"),
    ("hopper.py", FORCE, "return actions.long()", "targets: got torch.int64, wanted torch.float32"),
    (
        "hopper.py",
        OUTCOME,
        "return Outcome(1.0 - error[:, None], error > 2.0)",
        "rewards: got shape [64, 1], wanted [64]",
    ),
    (
        "hopper.py",
        OUTCOME,
        "return Outcome(1.0 - error, error)",
        "terminated: got torch.float32, wanted torch.bool",
    ),
    ("hopper.py", OUTCOME, "return 1.0 - error", "got Tensor, wanted an rlgpu.envs.Outcome"),
    ("hopper.py", OUTCOME, "pass", "got NoneType, wanted an rlgpu.envs.Outcome"),
    ("hopper.py", RESET, "return ResetState(start, start[:, 0])", "joint_vel: got shape [64]"),
    ("hopper.py", RESET, "return ResetState(start * float('nan'), start)", "joint_pos: got NaN"),
    ("hopper.py", RESET, "return ResetState(start, start.double())", "got torch.float64"),
    ("hopper.py", RESET, "return start", "got Tensor, wanted a rlgpu.sim.ResetState"),
    ("hopper.py", "num_actions = 1", "num_actions = 0", "num_actions must be a whole number"),
    ("hopper.py", "    num_actions = 1\n", "", "num_actions must be a whole number from 1 on"),
    ("hopper.py", "class Hopper(Task)", "class Hopper", "does not derive from rlgpu.envs.Task"),
    ("hopper.py", "class Hopper(Task)", "class Hoper(Task)", "has no class Hopper; it has Hoper"),
    ("hopper.py", "def targets", "def target", "Hopper lacks targets"),
    ("hopper.py", "Config = HopperConfig", "Config = 3", "Config must be rlgpu.envs.TaskConfig"),
    ("hopper.py", "import torch\n", "import torhc\n", "line 6: ModuleNotFoundError"),
    ("hopper.py", "def targets(self, actions):", "def targets(self, actions)", "line"),
    ("hopper.py", '"lift": Drive', '"lif": Drive', "drives: 'lif' is not in"),
    (
        "hopper.py",
        "asset=asset,",
        "asset=asset, wrench_bodies=('foot',),",
        "wrench_bodies: 'foot' is not in",
    ),
    ("hopper.py", "return SceneSpec(asset=asset,", "return dict(asset=asset,", "scene"),
    ("hopper.py", "asset = Path", "asset = Pat", "NameError: name 'Pat' is not defined"),
    (
        "hopper.py",
        "    def targets",
        "    def bind(self, sim):\n        super().bind(sim)\n"
        "        sim.joint_names.index('hinge')\n\n    def targets",
        "the joints are lift",
    ),
    (
        "hopper.py",
        "    def targets",
        "    def bind(self, sim):\n        pass\n\n    def targets",
        "bind must begin with super().bind(sim)",
    ),
    ("hopper.xml", "</worldbody>", "</worldbdy>", "is not a model that MuJoCo reads"),
    ("hopper.xml", BODY, '<body name="mass" mas="3">', "unrecognized attribute: 'mas'"),
    ("hopper.xml", JOINT, '<joint name="lift" type="ball"/>', "has ball joints (lift)"),
    (
        "hopper.xml",
        "</mujoco>",
        '<actuator><motor joint="lift"/></actuator></mujoco>',
        "has actuators of its own (lift)",
    ),
    ("hopper.xml", JOINT, "<freejoint/>", "drives: 'lift' is not in"),
    ("Hopper.yaml", "force: 20.0", "forse: 20.0", "task.forse is not a key"),
    ("Hopper.yaml", "force: 20.0", "force: strong", "task.force=strong: expected a number"),
    ("Hopper.yaml", "force: 20.0", "force: [20.0", "is not valid YAML: line"),
    ("Hopper.yaml", "force: 20.0", "force: 20.0\nforce: 3.0", "force is there twice"),
    ("Hopper.yaml", "episode_length: 250", "episode_length: 0", "must be from 1"),
    ("HopperPPO.yaml", "learning_rate: 0.001", "learning_rate: .nan", "must be at least 0"),
    ("HopperPPO.yaml", "hidden_sizes: [32, 32]", "hidden_sizes: [[32]]", "a whole number"),
]


def hopper(folder: Path) -> list[str]:
    """Writes a new task and returns the arguments that train it."""
    for name, text in task_files("Hopper").items():
        (folder / name).write_text(text)
    word = f"task={folder / 'hopper.py'}:Hopper"
    return [word, "num_envs=64", "max_iterations=2", "headless=True", f"runs_dir={folder / 'runs'}"]


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Returns the one line with which a command line is refused."""
    capsys.readouterr()
    assert train.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert len(error) <= 300
    return error


def test_a_number_of_actions_that_targets_cannot_take_is_named(tmp_path, capsys) -> None:
    """Instead of torch's words for shapes that do not fit: it adds to a row of one joint."""
    words = hopper(tmp_path)
    text = (tmp_path / "hopper.py").read_text().replace("num_actions = 1", "num_actions = 12")
    in_place = "return torch.zeros(64, 1).add_(actions)"
    (tmp_path / "hopper.py").write_text(text.replace(FORCE, in_place))
    error = refusal(words, capsys)
    assert "num_actions: got 12, wanted 1" in error
    assert "RuntimeError" not in error


def test_a_file_without_a_class_asks_which_of_its_classes(tmp_path, capsys) -> None:
    """Settings are none of them; an environment of Gymnasium is asked for alike."""
    hopper(tmp_path)
    file = tmp_path / "hopper.py"
    error = refusal([f"task={file}"], capsys)
    assert error.count("Hopper") == 2  # the class, and the example
    assert "HopperConfig" not in error
    assert "it has Hopper" in refusal([f"task=gym:{file}"], capsys)
    assert "no file" in refusal([f"task=gym:{tmp_path / 'other.py'}"], capsys)


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
    tmp_path, monkeypatch, capsys, file, word
) -> None:
    """As ``new-task`` names it; without such a class, the file is not named."""
    monkeypatch.chdir(tmp_path)
    name = "TallHopper" if "tall" in file else "Hopper2"
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(task_files(name)[f"{name.lower()}.py"])
    assert f"did you mean task={file}:{name}?" in refusal([f"task={word}"], capsys)
    path.write_text("import rlgpu")
    assert file not in refusal([f"task={word}"], capsys)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"), MISTAKES, ids=[f"{m[0]}-{m[3][:40]}" for m in MISTAKES]
)
def test_a_mistake_is_one_sentence(tmp_path, capsys, file, old, new, message) -> None:
    """It says what was given and what is wanted, or shows the user's own line."""
    words = hopper(tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    assert message in refusal(words, capsys)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("hopper.py", "wanted an existing file.py:ClassName"),
        ("hopper.xml", "there is no asset"),
        ("Hopper.yaml", "there is no file"),
        ("HopperPPO.yaml", "there is no file"),
    ],
)
def test_a_missing_file_is_named(tmp_path, capsys, file, message) -> None:
    """Each of the four."""
    words = hopper(tmp_path)
    (tmp_path / file).unlink()
    error = refusal(words, capsys)
    assert message in error
    assert file in error


def test_a_new_task_trains_as_written(tmp_path, capsys) -> None:
    """And its own settings are keys of the command line."""
    assert train.main([*hopper(tmp_path), "task.force=25"]) == 0
    assert "done after 2 iterations" in capsys.readouterr().out


def test_rewards_that_are_nan_stop_training_with_a_hint(tmp_path, capsys) -> None:
    """They may be NaN for the states after a reset, for which no reward is given, but not later."""
    words = hopper(tmp_path)
    text = (tmp_path / "hopper.py").read_text()
    moving = "return Outcome(1.0 - 0 * error / state.joint_vel[:, 0].abs(), error > 2.0)"
    (tmp_path / "hopper.py").write_text(text.replace(OUTCOME, moving))
    assert train.main(words) == 0
    broken = "return Outcome(error * float('nan'), error > 2.0)"
    (tmp_path / "hopper.py").write_text(text.replace(OUTCOME, broken))
    assert train.main(words) == 1
    assert "Hopper.evaluate returns NaN" in capsys.readouterr().err


def test_a_term_of_the_reward_that_is_nan_is_named(tmp_path, capsys) -> None:
    """Of two that the task reports, the one that is not finite."""
    words = hopper(tmp_path)
    text = (tmp_path / "hopper.py").read_text()
    terms = "{'reward_height': 1.0 - error, 'reward_power': error.log() * 0.0 / 0.0}"
    broken = f"terms = {terms}\n        return Outcome(sum(terms.values()), error > 2.0, terms)"
    (tmp_path / "hopper.py").write_text(text.replace(OUTCOME, broken))
    assert train.main(words) == 1
    printed, error = capsys.readouterr()
    (warning,) = [line for line in printed.splitlines() if line.startswith("warning: ")]
    assert printed.index(warning) < printed.index("iteration 1/")
    for text in (error, warning):
        assert "reward_power" in text
        assert "reward_height" not in text


def test_resuming_with_other_observations_says_how_many_there_were(tmp_path, capsys) -> None:
    """A run with two observations goes on with three."""
    words = hopper(tmp_path)
    assert train.main(words) == 0
    text = (tmp_path / "hopper.py").read_text()
    wider = "return torch.cat((state.joint_pos, state.joint_vel, state.joint_pos), dim=-1)"
    text = text.replace(OBSERVE, wider).replace("num_observations = 2", "num_observations = 3")
    (tmp_path / "hopper.py").write_text(text)
    folder = (tmp_path / "runs" / "Hopper" / "latest").resolve()
    for more in (["max_iterations=3"], ["weights_only=True"], ["test=True", "headless=True"]):
        error = refusal([f"checkpoint={folder}", *more], capsys)
        assert "it has 2 observations, this run has 3" in error


def test_a_scene_without_ground_is_a_warning_before_training(tmp_path, capsys) -> None:
    """Training goes on; the mass floats free of its joint."""
    words = hopper(tmp_path)
    robot = '<freejoint/><geom size=".1"/><body><joint name="lift"/><geom size=".1"/></body>'
    (tmp_path / "hopper.xml").write_text(
        f'<mujoco><worldbody><body name="mass">{robot}</body></worldbody></mujoco>'
    )
    assert train.main(words) == 0
    printed = capsys.readouterr().out
    assert "warning: Hopper: no ground in hopper.xml" in printed


def test_episodes_that_all_end_in_their_first_step_are_a_warning(tmp_path, capsys) -> None:
    """Once, however long training goes on."""
    words = hopper(tmp_path)
    text = (tmp_path / "hopper.py").read_text()
    (tmp_path / "hopper.py").write_text(text.replace("error > 2.0", "error > -2.0"))
    assert train.main(words) == 0
    assert capsys.readouterr().out.count("end in their first step") == 1


def test_a_floating_urdf_is_refused_in_one_line_with_the_way_out(tmp_path, capsys) -> None:
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
    error = refusal(words, capsys)
    for part in ("'base'", "<freejoint/>", "'world' by a fixed joint"):
        assert part in error


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            OUTCOME,
            "if self.k > 20: raise ValueError('boom')\n        " + OUTCOME,
            "ValueError: boom",
        ),
        (OUTCOME, "error = error if self.k < 20 else error[:1]\n        " + OUTCOME, "of shapes"),
        (OUTCOME, "error = error if self.k < 20 else error[:3]\n        " + OUTCOME, "of shapes"),
        (
            OBSERVE,
            OBSERVE + " * (float('nan') if self.k > 20 else 1)",
            "Hopper.observe returns NaN",
        ),
        (FORCE, FORCE + " * (float('nan') if self.k > 20 else 1)", "Hopper.targets returns NaN"),
    ],
)
def test_a_mistake_that_shows_later_ends_training_in_a_sentence(
    tmp_path, capsys, old, new, message
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
    assert train.main([*words, "train.save_every=1"]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "the last good checkpoint is" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "hopper.py",
            "class HopperConfig(TaskConfig)",
            "class HopperConfig",
            "Config must be rlgpu.envs.TaskConfig or extend it",
        ),
        (
            "hopper.py",
            "    force: float = 20.0",
            "    def __post_init__(self):\n        raise ValueError('force must be even')\n\n"
            "    force: float = 20.0",
            "hopper.py, line 17: ValueError: force must be even",
        ),
        (
            "hopper.py",
            "    force: float = 20.0",
            "    other: 'Nope' = 1\n    force: float = 20.0",
            "name 'Nope' is not defined",
        ),
        ("hopper.py", "import torch\n", "import torch\nraise SystemExit(0)\n", "SystemExit"),
        ("Hopper.yaml", "force: 20.0", "per_engine: [fused]", "per_engine must map engines"),
        ("Hopper.yaml", "force: 20.0", "per_engine: {fused: [1]}", "per_engine must map engines"),
        ("Hopper.yaml", "force: 20.0", "per_engine: 3", "per_engine must map engines"),
        ("Hopper.yaml", "force: 20.0", "per_engine: {fusd: {force: 1}}", "did you mean fused"),
    ],
    ids=range(8),
)
def test_an_odd_configuration_is_refused(tmp_path, capsys, file, old, new, message) -> None:
    """A Config that is none or refuses its values, an import that exits, a section per_engine."""
    words = hopper(tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    assert message in refusal(words, capsys)


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
    output = capsys.readouterr().out
    assert output.count("unlike in the run") == 1
    assert "max_iterations=3" in output
    assert "task.limit=nan" in refusal([*words, "task.limit=nan"], capsys)
