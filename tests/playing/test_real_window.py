"""The viewer in a real window, on a virtual display."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageGrab

SCRIPT = Path(__file__).parent / "in_a_window.py"
PYTHONPATH = os.pathsep.join(map(str, Path(__file__).parents[1:3]))
HAS_GL = "import glfw; glfw.init(); assert glfw.create_window(9, 9, '', None, None)"


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A virtual display that draws OpenGL."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as file:
        name = f":{file.readline().strip()}"
    try:
        if name == ":":
            pytest.skip("Xvfb does not start")
        environment = {**os.environ, "DISPLAY": name}
        draws = subprocess.run(
            [sys.executable, "-c", HAS_GL], env=environment, capture_output=True, check=False
        )
        if draws.returncode:
            pytest.skip("the virtual display draws no OpenGL")
        yield name
    finally:
        server.terminate()
        server.wait()


class Session:
    """A process with a window, whose output is read as it comes."""

    def __init__(self, display: str) -> None:
        self._environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": PYTHONPATH}
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "play"],
            env=self._environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:  # type: ignore[union-attr]
            self._lines.put(line)

    def wait_for_step(self) -> None:
        """Waits for a step that has not been waited for."""
        while self._lines.get(timeout=60) != "step\n":
            pass

    def wait_for_pause(self) -> None:
        """Waits until no step is taken in half a second."""
        deadline = time.monotonic() + 30
        while True:
            while not self._lines.empty():
                self._lines.get()
            time.sleep(0.5)
            if self._lines.empty():
                return
            assert time.monotonic() < deadline, "steps go on"

    def press(self, key: str) -> None:
        """Presses a key in the window."""
        self._tool("search", "--sync", "--name", "MuJoCo", "windowfocus", "--sync")
        self._tool("key", key)

    def _tool(self, *words: str) -> None:
        subprocess.run(["xdotool", *words], env=self._environment, check=True, timeout=20)

    def interrupt(self) -> tuple[int, str]:
        """Presses Ctrl-C; returns the exit code and what was printed as errors."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        return code, self.process.stderr.read()  # type: ignore[union-attr]


def picture(display: str) -> np.ndarray:
    """Returns what the display shows after a second, in which a slow machine draws as well."""
    time.sleep(1.0)
    return np.asarray(ImageGrab.grab(xdisplay=display), dtype=float)


@pytest.mark.slow
def test_keys_pause_step_and_free_the_camera_in_a_real_window(display) -> None:
    """Space, the right arrow and Escape do what the window's own help says; then Ctrl-C."""
    session = Session(display)
    session.wait_for_step()
    session.press("space")
    session.wait_for_pause()
    session.press("Right")
    session.wait_for_step()
    session.wait_for_pause()
    before = picture(display)
    session.press("Escape")
    differences = (np.abs(before - picture(display)).mean() for _ in range(10))
    assert before.std() > 10.0, "the picture is empty"
    assert any(difference < 2.0 for difference in differences), "the camera has jumped"
    session.press("space")
    session.wait_for_step()
    assert session.interrupt() == (0, "")


@pytest.mark.slow
def test_ctrl_c_while_the_window_opens_or_begins_to_draw_is_no_segmentation_fault(display) -> None:
    """In playback it ends quietly, in a script for Isaac Gym with KeyboardInterrupt."""
    environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": PYTHONPATH}
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "interrupted"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    ends = [line for line in result.stdout.splitlines() if line.startswith(("play,", "script,"))]
    assert ends == [
        "play, opening: 0",
        "play, drawing: 0",
        "script, opening: KeyboardInterrupt",
        "script, drawing: KeyboardInterrupt",
    ], result.stdout + result.stderr
