"""The modules' command lines: help, refusals and closed pipes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import rlgpu
from rlgpu import cli
from rlgpu.cli import main
from rlgpu.cli.main import COMMANDS
from rlgpu.errors import UsageError
from rlgpu.tools.command_line import call_of
from tests.refusals import error_of, is_one_message, names
from tests.runs import last_numbers

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("word", ["--help", "-h"])
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "isaacgym"])
def test_help_is_printed_and_succeeds(capsys, tmp_path, monkeypatch, name, word) -> None:
    """It shows how the command is called, writes no file and says nothing on standard error."""
    monkeypatch.chdir(tmp_path)
    assert main([name, word]) == 0
    printed = capsys.readouterr()
    assert f"rlgpu {name if name != 'play' else 'train'}" in printed.out
    assert printed.err == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["", "train", "play task=Ant", "doctor", "train.py"])
def test_the_versions_are_printed(capsys, words) -> None:
    """Those of rlgpu, torch and Python, for the command and each of its commands."""
    if words == "train.py":
        assert cli.train(["--version"]) == 0
    else:
        assert main([*words.split(), "--version"]) == 0
    python = ".".join(map(str, sys.version_info[:3]))
    torch_version = torch.__version__.partition("+")[0]
    printed = capsys.readouterr().out
    for part in (f"rlgpu {rlgpu.__version__}", f"torch {torch_version}", f"Python {python}"):
        assert part in printed


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        ("task=Ant", "command", "task=Ant"),
        ("trian", "command", "trian"),
        ("doctor all", "doctor", "all"),
        ("new-task", "new-task", ()),
        ("new-task --name=X", "new-task", ("--name=X",)),
        ("profile kernels x", "profile kernels", "x"),
        ("accept", "accept", ()),
        ("accept a.xml b.xml", "accept", ("a.xml", "b.xml")),
        ("accept .", "accept", "."),
        ("play checkpoint=nowhere", "checkpoint", "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    capsys, tmp_path, monkeypatch, words, key, value
) -> None:
    """Nothing on standard output."""
    monkeypatch.chdir(tmp_path)
    error = error_of(words.split(), main=main)
    assert isinstance(error, UsageError)
    assert (error.key, error.value) == (key, value)
    if isinstance(value, str) and value.isalnum():
        assert names(error, value)
    assert capsys.readouterr().out == ""


def test_an_unknown_command_comes_with_the_known_ones() -> None:
    """And how the one that was meant is called."""
    for word, meant in (("trian", "train"), ("task=Ant", "rlgpu train task=Ant")):
        error = error_of([word], main=main)
        assert error.allowed == tuple(COMMANDS)
        assert names(error, word, meant)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("isaacgym", ["rlgpu isaacgym"]),
        ("isaacgym nowhere.py", ["rlgpu isaacgym", "nowhere.py"]),
        ("plot", ["rlgpu plot"]),
        ("plot nowhere", ["nowhere", "metrics.csv"]),
    ],
)
def test_commands_that_print_their_refusals_themselves_do_so_alike(capsys, words, named) -> None:
    """As a script for Isaac Gym does, and a process that only draws."""
    assert main(words.split()) == 2
    printed = capsys.readouterr()
    assert (is_one_message(printed.err), printed.out) == (True, "")
    assert names(printed.err, *named)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "episodes,mean_return\nmany,1\n", "\0\xff"])
def test_a_file_that_is_no_runs_metrics_is_refused(capsys, tmp_path, content) -> None:
    """The learning curve of an empty or foreign file."""
    (tmp_path / "metrics.csv").write_bytes(content.encode("latin1"))
    code = main(["plot", str(tmp_path)])
    error = capsys.readouterr().err
    assert (code, is_one_message(error)) == ((2, True) if content else (0, False))
    assert not content or names(error, tmp_path / "metrics.csv")


def test_without_arguments_the_commands_are_listed(capsys) -> None:
    """Each of them exists."""
    assert main([]) == 0
    printed = capsys.readouterr().out
    for name in COMMANDS:
        assert f"rlgpu {name} " in printed


@pytest.mark.parametrize("words", ["rlgpu.isaacgym --coverage", "rlgpu accept --help", "rlgpu"])
def test_a_closed_pipe_is_no_error(words) -> None:
    """``... | head``, whose reading end closes before anything is written."""
    command = f"{shlex.quote(sys.executable)} -m {words} | true"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "how",
    [
        "rlgpu",
        pytest.param("-m rlgpu", marks=pytest.mark.slow),
        pytest.param("train.py", marks=pytest.mark.slow),
    ],
)
def test_commands_that_are_printed_work_as_they_are(tmp_path, how) -> None:
    """Of a new task, trained and played, by a shell in its folder, however rlgpu is called."""
    folder = Path(sys.executable).parent
    first = {"-m rlgpu": "python -m rlgpu", "rlgpu": str(folder / "rlgpu")}.get(how, "")

    def shell(command: str) -> str:
        result = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
            },
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    if how == "train.py":
        shell("python -m rlgpu new-task Hopper")
        command = f"python {ROOT / how} task=hopper/hopper.py:Hopper headless=True"
    else:
        command = printed_command(shell(f"{first} new-task Hopper"), first)
    trained = shell(f"{command} num_envs=16 max_iterations=1")
    assert (tmp_path / "runs" / "Hopper").is_dir()
    again = printed_command(trained, first or "python")
    assert last_numbers(shell(f"{again} headless=True games=1 num_envs=1"))[:2] == [1, 1]


def printed_command(printed: str, first: str) -> str:
    """Returns the command at the end of what was printed, which begins with some words."""
    begin = Path(first).name if first.startswith("/") else first
    return re.search(rf"\S*{re.escape(begin)} .*$", printed.splitlines()[-1])[0]


def test_in_the_folder_of_train_py_the_command_is_short(monkeypatch) -> None:
    """As the README has it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert (call_of("train"), call_of("play")) == ("python train.py", "python train.py test=True")
