"""The words of benchmarks' command lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.command_line import read_command_line

ROOT = Path(__file__).parents[2]
DEFAULTS = {"seeds": [1, 2], "targets": [0.5], "num_envs": 512, "device": "cpu"}
BENCHMARKS = [
    path.name
    for path in sorted((ROOT / "benchmarks").glob("*.py"))
    if "__main__" in path.read_text()
]


def test_words_are_read_by_kind():
    """Types are those of the defaults; what is not given keeps its default; both ways agree."""
    short = read_command_line(
        ["num_envs=8", "fused:1", "seeds=3,4", "device=cuda:0", "mujoco"],
        DEFAULTS,
        "",
        others="words",
    )
    words = ["--num-envs", "8", "fused:1", "--device=cuda:0", "mujoco", "--seeds", "3", "4"]
    assert short == read_command_line(words, DEFAULTS, "", others="words")
    assert short.others == ["fused:1", "mujoco"]
    assert short.options == {
        "seeds": [3, 4],
        "targets": [0.5],
        "num_envs": 8,
        "device": "cuda:0",
    }
    assert DEFAULTS["seeds"] == [1, 2]


def test_a_list_ends_at_the_next_option():
    """Whichever way that is written; keys of others are left to them, values with = whole."""
    words = ["--targets", "1", "2e3", "task=Ant", "--seeds", "5", "--device", "cpu", "x.y=a=b"]
    options, others = read_command_line(words, DEFAULTS, "", others="all")
    assert (options["targets"], options["seeds"]) == ([1.0, 2000.0], [5])
    assert others == ["task=Ant", "x.y=a=b"]


@pytest.mark.parametrize(
    ("words", "others", "named"),
    [
        (["num_env=8"], "none", "num_env"),
        (["num_env=8"], "words", "num_env"),
        (["--rounds", "3"], "all", "--rounds"),
        (["Ant"], "none", "Ant"),
        (["num_envs=few"], "none", "few"),
        (["seeds=1,x"], "none", "1,x"),
        (["--num-envs"], "none", "num_envs"),
    ],
)
def test_other_words_are_refused(words, others, named, capsys):
    """An unknown key, a word where none is taken, a value of another type or none: code 2."""
    with pytest.raises(SystemExit) as ended:
        read_command_line(words, DEFAULTS, "", others=others)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_a_path_is_no_option():
    """Also if a folder's name has an equals sign."""
    assert read_command_line(["a=b/c.xml"], {}, "", others="all").others == ["a=b/c.xml"]
    assert read_command_line(["/a/b=c.xml"], {}, "", others="words").others == ["/a/b=c.xml"]


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_shows_its_usage_and_refuses_unknown_keys(name):
    """``--help`` prints the file's first lines; a wrong key ends before anything is measured."""
    script = ROOT / "benchmarks" / name
    shown = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, check=False
    )
    if "ModuleNotFoundError" in shown.stderr:
        pytest.skip(shown.stderr.splitlines()[-1])
    assert shown.stdout.splitlines()[0] in script.read_text().splitlines()[0], shown.stderr
    refused = subprocess.run(
        [sys.executable, script, "--wrong=1"], capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--wrong" in refused.stderr
