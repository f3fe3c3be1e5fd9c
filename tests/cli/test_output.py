"""What is printed reaches a terminal of any kind, and a broken one ends nothing."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from rlgpu.errors import UsageError, one_line
from rlgpu.tools.command_line import keep_output_quiet
from tests.refusals import is_one_message, names
from tests.training.test_console import shown

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_letters_that_the_terminal_lacks_are_escaped(tmp_path, locale) -> None:
    """An experiment with an umlaut and a task that does not exist, under an ASCII locale."""
    env = {
        **os.environ,
        "LC_ALL": locale,
        "PYTHONIOENCODING": "ascii" if locale == "C" else "utf-8",
    }
    small = ["task=Cartpole", "num_envs=16", "headless=True", "max_iterations=1"]
    words = [*small, f"runs_dir={tmp_path}", "experiment=übung"]
    result = subprocess.run(
        [sys.executable, "train.py", *words], cwd=ROOT, env=env, capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert (b"\\xfcbung" if locale == "C" else "übung".encode()) in result.stdout
    refused = [sys.executable, "train.py", "task=日本"]
    result = subprocess.run(refused, cwd=ROOT, env=env, capture_output=True, check=False)
    assert result.returncode == 2
    said = result.stderr.decode("ascii" if locale == "C" else "utf-8")
    assert is_one_message(said)
    assert names(said, r"task=\u65e5\u672c" if locale == "C" else "task=日本", "Ant")


def test_a_stream_that_breaks_drops_the_rest(monkeypatch) -> None:
    """The reading end of the pipe is closed; writing, flushing and rich's console go on."""
    reading, writing = os.pipe()
    os.close(reading)
    broken = io.TextIOWrapper(os.fdopen(writing, "wb", buffering=0), write_through=True)
    monkeypatch.setattr(sys, "stdout", broken)
    keep_output_quiet()
    print("lost")
    Console().print("lost as well")
    sys.stdout.flush()


@pytest.mark.parametrize("text", ["x" * 1000, "a\nb\tc", "bell \x07 and \u202e reversed"])
def test_a_message_is_one_printable_line(text) -> None:
    """Of at most 290 characters; the middle of a longer one is left out."""
    line = one_line(UsageError(text + " use this"))
    assert len(line) <= 290
    assert line.isprintable()
    assert line.endswith(" use this")


@pytest.mark.parametrize("width", [20, 40, 58, 200])
def test_the_table_fits_a_narrow_terminal(width) -> None:
    """No line is wider than the terminal."""
    text = shown(True, 1234.5, width=width)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)  # without control sequences
    assert max(map(len, re.split(r"[\r\n]", plain))) <= width
