"""Playback as a video and in a window, each in a separate process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import train
from tests.refusals import is_one_message, names

ROOT = Path(__file__).parents[2]
CARTPOLE = ["task=Cartpole", "num_envs=8"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A run of two iterations to play."""
    folder = tmp_path_factory.mktemp("runs")
    words = [*CARTPOLE, "headless=True", "max_iterations=2", f"runs_dir={folder}"]
    assert train.main(words) == 0
    return folder


def command(runs: Path, *words: str) -> list[str]:
    return [sys.executable, "train.py", *CARTPOLE, "test=True", f"runs_dir={runs}", *words]


def draws() -> bool:
    """Returns whether MuJoCo can draw on this machine, without rlgpu."""
    code = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>')).render()"
    env = {**os.environ, "MUJOCO_GL": "egl"}
    drawing = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, check=False
    )
    return drawing.returncode == 0


def cannot_draw(code: int, printed: str) -> bool:
    """Returns whether a command was refused because nothing can be drawn on this machine."""
    is_refused = code == 2 and is_one_message(printed)
    return is_refused and names(printed, "capture_video=True", "OpenGL", "apt install")


@pytest.mark.slow
def test_capture_video_writes_an_mp4(runs) -> None:
    """Without a display, if OpenGL is available."""
    words = ["capture_video=True", "capture_video_len=3", "headless=True", "games=1"]
    result = subprocess.run(
        command(runs, *words), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if not draws():
        assert cannot_draw(result.returncode, result.stderr)
        pytest.skip("no OpenGL on this machine")
    assert result.returncode == 0, result.stderr
    video = (runs / "Cartpole" / "latest" / "videos" / "last.mp4").read_bytes()
    assert video[4:8] == b"ftyp"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")
def test_the_viewer_opens_a_window_if_there_is_a_display(runs) -> None:
    """On a virtual screen; the window must open and stay open."""
    with subprocess.Popen(["Xvfb", ":87"], stderr=subprocess.DEVNULL) as screen:
        time.sleep(1.0)
        player = subprocess.Popen(
            command(runs),
            cwd=ROOT,
            env={**os.environ, "DISPLAY": ":87"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(15.0)
        running = player.poll() is None
        player.kill()
        _, error = player.communicate()
        screen.kill()
    if "GLX" in error or "OpenGL" in error:
        pytest.skip(f"no OpenGL on this screen: {error.splitlines()[-1]}")
    assert running, error
    assert "Traceback" not in error
