"""The viewer's ends, with a window that exists only in the test."""

from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace

import glfw
import mujoco
import mujoco.viewer
import pytest

import train
from rlgpu.errors import Unavailable
from rlgpu.sim.mujoco import window as window_module
from tests.refusals import error_of, names
from tests.runs import last_numbers


class Window:
    """Behaves as MuJoCo's passive viewer: ``sync`` and ``close`` take the same lock."""

    def __init__(self, frames: int) -> None:
        self.cam, self.closed, self.user_scn = mujoco.MjvCamera(), False, mujoco.MjvScene()
        self._lock, self._frames, self.shown = threading.Lock(), frames, 0

    def is_running(self) -> bool:
        """Returns whether the window is open."""
        return self.shown < self._frames

    def sync(self) -> None:
        """Draws a frame; Ctrl-C is pressed during the fifth."""
        with self._lock:
            self.shown += 1
            if self.shown == 5:
                os.kill(os.getpid(), signal.SIGINT)

    def close(self) -> None:
        """Closes the window."""
        assert self._lock.acquire(timeout=5), "closing waits for a lock that nobody frees"
        self.closed = True


@pytest.fixture
def run(tmp_path, monkeypatch) -> str:
    """A run of the Cartpole, on a machine with a display."""
    words = ["task=Cartpole", "num_envs=16", "headless=True", "max_iterations=1"]
    assert train.main([*words, f"runs_dir={tmp_path}"]) == 0
    monkeypatch.setenv("DISPLAY", ":87")
    return str((tmp_path / "Cartpole" / "latest").resolve())


@pytest.mark.parametrize(("frames", "shown"), [(3, 3), (10**9, 5)])
def test_the_window_closes_when_asked_or_on_ctrl_c(run, monkeypatch, frames, shown) -> None:
    """By its own button after three frames, or by Ctrl-C while the fifth is drawn."""
    window = Window(frames)
    monkeypatch.setattr(window_module, "check_display", lambda: None)
    monkeypatch.setattr(mujoco.viewer, "launch_passive", lambda *_, **__: window)
    assert train.main(["test=True", f"checkpoint={run}"]) == 0
    assert (window.closed, window.shown) == (True, shown)


def test_a_display_that_cannot_be_opened_names_the_way_out(run, monkeypatch) -> None:
    """As after an ssh connection that forwarded one."""
    monkeypatch.setattr(glfw, "init", lambda: False)
    error = error_of(["test=True", f"checkpoint={run}"])
    assert isinstance(error, Unavailable)
    assert (error.key, error.value, error.allowed) == ("headless", False, (True,))
    assert names(error.reason, ":87")
    assert names(error.remedy, "headless=True")


def test_without_a_display_episodes_are_played(run, monkeypatch, capsys) -> None:
    """Their returns and lengths are printed."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(mujoco.viewer, "launch_passive", SimpleNamespace())
    assert train.main(["test=True", f"checkpoint={run}", "games=2", "num_envs=2"]) == 0
    assert last_numbers(capsys.readouterr().out)[:2] == [2, 1]
