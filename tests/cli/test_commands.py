"""The modules' command lines: help, refusals and closed pipes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rlgpu import __main__ as overview
from rlgpu import curve, doctor, new_task
from rlgpu.profile import __main__ as profile
from rlgpu.sim import accept

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "rlgpu": overview.main,
    "rlgpu.curve": curve.main,
    "rlgpu.doctor": doctor.main,
    "rlgpu.new_task": new_task.main,
    "rlgpu.profile": profile.main,
    "rlgpu.sim.accept": accept.main,
}


@pytest.mark.parametrize("word", ["--help", "-h"])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_printed_and_succeeds(capsys, tmp_path, monkeypatch, name, word) -> None:
    """It shows how the module is called, writes no file and says nothing on standard error."""
    monkeypatch.chdir(tmp_path)
    assert COMMANDS[name]([word]) == 0
    printed = capsys.readouterr()
    assert f"python -m {name}" in printed.out
    assert printed.err == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rlgpu", ["task=Ant"]), ("rlgpu", ["trian"]), ("rlgpu.curve", []),
        ("rlgpu.curve", ["nowhere"]), ("rlgpu.doctor", ["all"]), ("rlgpu.new_task", []),
        ("rlgpu.new_task", ["--name=X"]), ("rlgpu.profile", ["kernels", "x"]),
        ("rlgpu.sim.accept", []), ("rlgpu.sim.accept", ["a.xml", "b.xml"]),
        ("rlgpu.sim.accept", ["."]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, name, words) -> None:
    """Nothing on standard output."""
    monkeypatch.chdir(tmp_path)
    assert COMMANDS[name](words) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert (printed.err.count("\n"), printed.out) == (1, "")


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "episodes,mean_return\nmany,1\n", "\0\xff"])
def test_a_file_that_is_no_runs_metrics_is_refused(capsys, tmp_path, content) -> None:
    """The learning curve of an empty or foreign file."""
    (tmp_path / "metrics.csv").write_bytes(content.encode("latin1"))
    code = curve.main([str(tmp_path)])
    assert (code, capsys.readouterr().err.count("\n")) == ((2, 1) if content else (0, 0))


def test_without_arguments_the_commands_are_listed(capsys) -> None:
    """Each of them exists."""
    assert overview.main([]) == 0
    printed = capsys.readouterr().out
    for name in COMMANDS:
        assert f"python -m {name} " in printed or name == "rlgpu"


@pytest.mark.parametrize("words", ["rlgpu.isaacgym --coverage", "rlgpu.sim.accept --help", "rlgpu"])
def test_a_closed_pipe_is_no_error(words) -> None:
    """``... | head``, whose reading end closes before anything is written."""
    command = f"{shlex.quote(sys.executable)} -m {words} | true"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")


def test_the_command_that_new_task_prints_trains_in_any_folder(
    tmp_path, monkeypatch, capsys
) -> None:
    """It is run as it is printed, by a shell in the folder of the new task."""
    monkeypatch.chdir(tmp_path)
    assert new_task.main(["Hopper"]) == 0
    command = capsys.readouterr().out.rpartition("train it with: ")[2].strip()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        f"{command} num_envs=16 max_iterations=1", shell=True, cwd=tmp_path, check=False,
        env={**os.environ, "PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "runs" / "Hopper").is_dir()
    again = result.stdout.rpartition("to watch the policy: ")[2].strip()
    assert shlex.split(again)[1] == str(ROOT / "train.py")


def test_in_the_folder_of_train_py_the_command_is_short(monkeypatch) -> None:
    """As the README has it."""
    from rlgpu.commands import train_command

    monkeypatch.chdir(ROOT)
    assert train_command() == "python train.py"
