"""MuJoCo's passive viewer, closed so that its thread ends before the process does.

The viewer draws in a thread of its own. A process that exits while that thread starts, draws or
closes frees the window under it, which is a segmentation fault.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import warnings
from collections.abc import Callable
from typing import Any

import mujoco

from rlgpu.device.stopping import Stopping
from rlgpu.errors import Unavailable

_LONGEST_CLOSE = 10.0
"""Longest time to wait for the viewer's thread [s]."""


class Window:
    """A window of MuJoCo's passive viewer."""

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, on_key: Callable[[int], None]
    ) -> None:
        """Opens the window; a signal that arrives meanwhile takes effect once it is open.

        Args:
            model: The model that is drawn.
            data: Its pose.
            on_key: Called in the viewer's thread with the code of each key that is pressed.
        """
        import mujoco.viewer  # noqa: PLC0415

        before = set(threading.enumerate())
        with Stopping(may_insist=False) as stopping:
            self.handle: Any = mujoco.viewer.launch_passive(
                model, data, key_callback=on_key, show_left_ui=False, show_right_ui=False
            )
            self._threads = set(threading.enumerate()) - before
            # Runs before the functions that the viewer has registered, which end its library.
            atexit.register(self.close)
        if stopping.number is not None:
            signal.raise_signal(stopping.number)

    def close(self) -> None:
        """Closes the window and waits until its thread has ended."""
        atexit.unregister(self.close)
        self.handle.close()
        for thread in self._threads:
            thread.join(_LONGEST_CLOSE)


def check_display() -> None:
    """Checks that a window can be opened.

    Raises:
        Unavailable: There is no display, or it draws no OpenGL.
    """
    import glfw  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not glfw.init():
            raise _no_window("no window can be opened")
        # MuJoCo ends the process where it cannot open its own.
        glfw.window_hint(glfw.VISIBLE, glfw.FALSE)
        window = glfw.create_window(16, 16, "rlgpu", None, None)
        if not window:
            raise _no_window("no window that draws OpenGL can be opened")
        glfw.destroy_window(window)
        glfw.default_window_hints()


def _no_window(reason: str) -> Unavailable:
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY", "")
    where, remedy = f"{reason} on the display {display!r}", "use headless=True"
    return Unavailable(where, remedy, key="headless", value=False, allowed=[True])
