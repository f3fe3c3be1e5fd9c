"""``--help``, how fast the command line answers, new tasks, and the README's promises."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import train
from rlgpu.cli import main
from rlgpu.config import Config, compose, keys_of
from rlgpu.errors import UnknownKey
from rlgpu.sim import ENGINES
from rlgpu.tasks import TASKS
from rlgpu.tools import new_task
from tests.playing.test_player import cannot_draw, draws
from tests.refusals import error_of, is_one_message, names
from tests.robots.files import dog
from tests.runs import numbers_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_help_lists_every_key_with_meaning_default_and_range(capsys) -> None:
    """Those of the task and the engine chosen as well."""
    assert train.main(["--help", "task=Cartpole", "sim=mujoco"]) == 0
    text = capsys.readouterr().out
    for name in (*keys_of(Config), "task.reset_dist", "sim.num_threads"):
        assert f"\n{name}=" in text
    assert "\ntrain.hidden_sizes=[32,32]" in text  # Cartpole's own default
    assert max(map(len, text.splitlines())) <= 130


@pytest.mark.parametrize("words", [["--help", "train.gamma"], ["-h", "train.gamma"]])
def test_help_explains_one_key(capsys, words) -> None:
    """Two lines: the default and what is allowed; what is below the field in the schema."""
    assert train.main(words) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("train.gamma=0.99 ")
    assert numbers_of(first) == [0.99, 0.0, 1.0]
    assert second == f"    {keys_of(Config)['train.gamma'].meaning()}"


def test_help_finds_keys_by_a_part_of_their_name(capsys) -> None:
    """And refuses what is part of none."""
    assert train.main(["--help", "log_std"]) == 0
    assert capsys.readouterr().out.count("log_std=") == 3
    error = error_of(["--help", "gama"])
    assert isinstance(error, UnknownKey)
    assert (error.key, error.instead) == ("gama", "train.gamma")
    assert names(error, "gama", "train.gamma")


def test_help_finds_keys_by_their_meaning_if_no_name_has_the_word(capsys) -> None:
    """One of the meaning of ``games``; a name that has the word comes alone."""
    keys = keys_of(Config)
    words = re.findall(r"[a-z]{5,}", keys["games"].meaning())
    word = next(word for word in words if not any(word in name for name in keys))
    assert train.main(["--help", word]) == 0
    assert "\ngames=100" in f"\n{capsys.readouterr().out}"
    assert train.main(["--help", "gamma"]) == 0
    assert "games=" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("train.gama=1", ["train.gama", "train.gamma"]),
        ("num_envs=-1", ["num_envs=-1", 2**31 - 1]),
        ("--x", ["--x"]),
        ("checkpoint=nowhere", ["checkpoint=nowhere"]),
        ("task=Antt", ["task=Antt", "Ant", "Cartpole"]),
        ("sim=mujoko", ["sim=mujoko", "mujoco", "fused"]),
    ],
)
@pytest.mark.alone
def test_a_refusal_comes_at_once_and_without_torch(word, meant) -> None:
    """Torch alone takes a second to import."""
    begun = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "train.py", word],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert time.perf_counter() - begun < 1.5
    assert result.returncode == 2
    assert " torch\n" not in result.stderr
    assert result.stdout == ""
    (said,) = [x for x in result.stderr.splitlines() if not x.startswith("import time:")]
    assert is_one_message(f"{said}\n")
    assert names(said, *meant)


@pytest.mark.alone
def test_importing_train_is_fast() -> None:
    """In under 1.2 s: nothing slow is imported before it is needed."""
    code = "import time; t = time.perf_counter(); import train; print(time.perf_counter() - t)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(result.stdout) < 1.2


def test_the_readme_shows_the_example_that_new_task_writes() -> None:
    """examples/hover is what ``rlgpu new-task Hover`` writes, and the README shows it."""
    for name, text in new_task.task_files("Hover").items():
        assert (ROOT / "examples" / "hover" / name).read_text() == text
        assert text in README, f"the README does not show {name}"


def test_new_task_writes_once_and_refuses_odd_names(tmp_path, monkeypatch, capsys) -> None:
    """The command it prints is the one that trains."""
    monkeypatch.chdir(tmp_path)
    assert main(["new-task", "Hopper"]) == 0
    assert names(capsys.readouterr().out, "train task=hopper/hopper.py:Hopper headless=True")
    for words in (["hopper"], ["A B"], [], ["A", "B"], ["../X"]):
        error = error_of(["new-task", *words], main=main)
        assert (error.key, error.value, error.path) == ("new-task", tuple(words), None)
        assert names(error, "rlgpu new-task", *words)
    error = error_of(["new-task", "Hopper"], main=main)
    assert (error.key, error.value, error.path) == ("new-task", "Hopper", Path("hopper"))


def test_new_task_of_a_robot_holds_what_its_file_says(tmp_path, monkeypatch, capsys) -> None:
    """As values to change, with which it trains as Walk does with the file."""
    monkeypatch.chdir(tmp_path)
    path = dog(tmp_path)
    assert main(["new-task", "MyDog", f"robot={path}"]) == 0
    assert names(capsys.readouterr().out, "train task=mydog/mydog.py:MyDog headless=True")
    ours = compose(["task=mydog/mydog.py:MyDog"], TASKS, ENGINES).config
    walk = compose(["task=Walk", f"robot={path}"], TASKS, ENGINES).config
    unmarked = {"sources": {}}  # where values are from
    assert replace(ours.task.robot, **unmarked) == replace(walk.task.robot, **unmarked)
    assert ours.task.rewards == walk.task.rewards
    assert ours.train == walk.train
    values = (tmp_path / "mydog" / "MyDog.yaml").read_text()
    assert "RR_calf: " in values
    error = error_of(["new-task", "MyCat", "robot=cat.xml"], main=main)
    assert error.key == "task.robot.file"
    assert not (tmp_path / "mycat").exists()


def test_robot_tells_what_a_file_says(tmp_path) -> None:
    """Base, feet, joints and faults; a picture where one can be drawn."""
    words = [sys.executable, "-m", "rlgpu", "robot", str(dog(tmp_path)), "picture=dog.png"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert names(told.stdout, "trunk", "RR_calf", "FL_thigh", "ball")
    drawn = tmp_path / "dog.png"
    assert drawn.is_file() == draws()
    assert drawn.read_bytes().startswith(b"\x89PNG") if draws() else "OpenGL" in told.stdout
    for given in ([], ["a.xml", "b.xml"], ["dog.xml", "size=3"]):
        assert error_of(["robot", *given], main=main).key == "robot"


def commands() -> list[str]:
    """Returns the commands of the README that call train.py or a module of rlgpu."""
    blocks = re.findall(r"```\n(.*?)```", README, re.DOTALL)
    lines = [
        line.split("  #")[0].split(" && ")[0].strip() for b in blocks for line in b.split("\n")
    ]
    return sorted({line for line in lines if line.startswith(("python ", "rlgpu "))})


def test_the_readme_has_commands() -> None:
    """The next test would pass without any."""
    assert len(commands()) > 8


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_works(command, tmp_path, warm_python) -> None:
    """As it is written, on fewer environments, after a run that it may continue or play."""
    if "profile" in command:
        pytest.skip("tests/profile runs it")
    if "legged_gym" in command or "isaacgymenvs" in command:
        pytest.skip("tests/isaacgym/test_public.py runs it, where a checkout is named")
    small = ["max_iterations=2", "num_envs=16", "train.save_every=1", f"runs_dir={tmp_path}"]
    words = command.split()
    if words[0] == "rlgpu":
        words = ["python", "-m", *words]
    if "train.py" in words:
        words[words.index("train.py")] = str(ROOT / "train.py")
    # What draws without a display is chosen before MuJoCo is imported.
    words = [sys.executable if "capture_video" in command else str(warm_python), *words[1:]]
    if "checkpoint=" in command or "run=" in command:
        first = [
            words[0],
            str(ROOT / "train.py"),
            "task=Ant",
            "headless=True",
            "task.episode_length=10",
            *small,
        ]
        subprocess.run(first, cwd=ROOT, check=True, capture_output=True)
        folder = next(tmp_path.glob("Ant/2*"))
        words = [re.sub(r"runs/Ant/\S+", str(folder), word) for word in words]
        small = [*small[1:2], small[3], "games=1", "max_iterations=3", "capture_video_len=2"]
        if "run=" in command:
            small = ["max_iterations=1"]
    words += small if {"train", "play", str(ROOT / "train.py")} & set(words) else []
    words += [small[0], f"runs_dir={tmp_path}"] if "export" in words else []
    for folder in ("examples/", "tasks/assets/"):
        words = [word.replace(folder, f"{ROOT}/{folder}") for word in words]
    if "accept" in command:
        words[-1] = str(ROOT / "tasks" / "assets" / "ant.xml")
    if "benchmarks/" in command:
        words[1] = str(ROOT / words[1])
    result = subprocess.run(
        words,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if "capture_video" in command and not draws():
        assert cannot_draw(result.returncode, result.stderr)
        pytest.skip("no OpenGL on this machine")
    assert result.returncode == 0, result.stderr


def test_every_test_that_the_reliability_table_names_exists() -> None:
    """Files, and functions in them."""
    named = re.findall(
        r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/reliability.md").read_text()
    )
    assert len(named) > 30
    for file, function in named:
        assert f"def {function}" in (ROOT / file).read_text(), f"{file}::{function}"


def test_nothing_is_written_outside_the_runs_folder(tmp_path, warm_python) -> None:
    """Not even MuJoCo's log of warnings: forces that tear the simulation apart cause some."""
    (tmp_path / "task").mkdir()
    for name, text in new_task.task_files("Hopper").items():
        (tmp_path / "task" / name).write_text(text)
    before = set((tmp_path / "task").iterdir())
    words = ["task=task/hopper.py:Hopper", "task.force=1e38", "sim=mujoco", "headless=True"]
    result = subprocess.run(
        [warm_python, str(ROOT / "train.py"), *words, "max_iterations=2", "num_envs=16"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert is_one_message(result.stderr)
    assert names(result.stderr, 1, "task.physics_dt")  # the iteration, and what to change
    assert {path.name for path in tmp_path.iterdir()} == {"task", "runs"}
    assert {path for path in (tmp_path / "task").iterdir() if path.suffix != ""} == before
