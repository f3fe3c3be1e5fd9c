"""A video's length and what follows it, with a renderer that exists only in the test."""

from __future__ import annotations

import builtins
import os
import signal
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import mujoco
import numpy as np
import pytest

import train
from rlgpu.cli import session
from rlgpu.errors import Unavailable
from rlgpu.playing import video
from tests.refusals import names
from tests.runs import last_numbers


class Renderer:
    """Draws black pictures; Ctrl-C is pressed during one of them."""

    interrupted_at = 0

    def __init__(self, model: Any) -> None:
        self.scene, self._drawn = mujoco.MjvScene(model, 1000), 0

    def update_scene(self, data: Any, camera: Any) -> None:
        """Shows nothing."""

    def render(self) -> np.ndarray:
        """Returns a picture."""
        self._drawn += 1
        if self._drawn == self.interrupted_at:
            os.kill(os.getpid(), signal.SIGINT)
        return np.zeros((video.VIDEO_HEIGHT, video.VIDEO_WIDTH, 3), dtype=np.uint8)

    def close(self) -> None:
        """Frees nothing."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of the Cartpole."""
    folder = tmp_path_factory.mktemp("runs")
    words = ["task=Cartpole", "num_envs=16", "headless=True", "max_iterations=1"]
    assert train.main([*words, f"runs_dir={folder}"]) == 0
    return (folder / "Cartpole" / "latest").resolve()


@pytest.fixture
def frames(run, monkeypatch):
    """Plays into a video and returns the number of its frames."""
    monkeypatch.setattr(session, "require_video", lambda: None)
    monkeypatch.setattr(video, "renderer_of", Renderer)

    def play(*words: str, interrupted_at: int = 0) -> int:
        monkeypatch.setattr(Renderer, "interrupted_at", interrupted_at)
        given = ["test=True", f"checkpoint={run}", "capture_video=True", "capture_video_len=6"]
        assert train.main([*given, "headless=True", "num_envs=2", *words]) == 0
        assert [x.name for x in (run / "videos").iterdir()] == ["last.mp4"]
        return int(imageio_ffmpeg.count_frames_and_secs(str(run / "videos" / "last.mp4"))[0])

    return play


@pytest.mark.parametrize("kind", [AttributeError, ImportError, RuntimeError])
@pytest.mark.parametrize(
    ("package", "remedy"), [("mujoco", "OpenGL"), ("imageio_ffmpeg", "pip install")]
)
def test_a_package_that_cannot_be_imported_is_named_with_a_remedy(
    monkeypatch, kind, package, remedy
) -> None:
    """PyOpenGL fails in several ways without its library, which MuJoCo imports."""
    if package == "imageio_ffmpeg" and kind is not ImportError:
        pytest.skip("it imports no libraries")
    usual = builtins.__import__

    def failing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == package:
            raise kind("a library is missing")
        return usual(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", failing)
    with pytest.raises(Unavailable) as refusal:
        video.require_video()
    error = refusal.value
    assert (error.key, error.value, error.allowed) == ("capture_video", True, (False,))
    assert isinstance(error.__cause__, kind)
    assert names(error.reason, "a library is missing")
    assert names(error.remedy, remedy)
    assert names(error, "capture_video=True", error.reason, error.remedy)


def test_playing_ends_with_the_video_unless_episodes_are_asked_for(frames, capsys) -> None:
    """The 100 episodes of the default would take minutes."""
    assert frames() == 6
    lines = capsys.readouterr().out.splitlines()
    assert frames("games=1") == 6
    assert names(lines[-1], "games=100")
    printed = capsys.readouterr().out
    assert last_numbers(printed)[:2] == [2, 1]  # episodes: a game in each of two environments


def test_ctrl_c_keeps_the_frames_so_far_in_a_whole_file(frames, capsys) -> None:
    """During the fourth of six; the episodes are not played then."""
    capsys.readouterr()
    assert frames("games=1", interrupted_at=4) == 4
    last = capsys.readouterr().out.splitlines()[-1]
    assert names(last, "last.mp4", 4)
