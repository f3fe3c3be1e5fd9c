"""Playing back in MuJoCo's viewer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rlgpu.device.stopping import Stopping
from rlgpu.envs import Environments
from rlgpu.learner import Agent
from rlgpu.playing.camera import follow, release
from rlgpu.playing.controls import KEYS_HELP, Controls
from rlgpu.playing.episodes import Player
from rlgpu.playing.picture import Picture

_FRAME = 1 / 60
"""Longest time between two pictures [s]."""


def play_in_viewer(env: Environments, agent: Agent, note: Callable[[str], None]) -> None:
    """Plays in MuJoCo's viewer, in real time, until the window is closed or Ctrl-C.

    The keys are those of ``Controls``.

    Raises:
        UsageError: No window can be opened.
    """
    from rlgpu.sim.mujoco.window import Window, check_display  # noqa: PLC0415

    check_display()
    picture = Picture(env)
    player = Player(env, agent)
    controls = Controls(env.num_envs, env.step_dt, time.perf_counter())
    # A second Ctrl-C would end the process under the window's thread, so it is only noted.
    with Stopping(may_insist=False) as stopping:
        window = Window(picture.mirror.model, picture.mirror.data, controls.press)
        try:
            note(f"playing; {KEYS_HELP}; close the window or press Ctrl-C to stop")
            view = _View(window.handle, picture)
            while window.handle.is_running() and not stopping.asked:
                until = time.perf_counter() + _FRAME
                while time.perf_counter() < until and controls.is_due(time.perf_counter()):
                    player.step()
                view.show(controls.shown, controls.caption())
                time.sleep(min(controls.until_due(time.perf_counter()), _FRAME))
        finally:
            window.close()


class _View:
    """What a window shows."""

    def __init__(self, window: Any, picture: Picture) -> None:
        """Points the camera at the robot."""
        self._window, self._picture, self._caption = window, picture, ""
        follow(picture.mirror.model, window.cam)
        self._fixed_id = self._find_fixed()

    def _find_fixed(self) -> int:
        """Returns the id of the asset's camera that the window looks through, -1 if none."""
        import mujoco  # noqa: PLC0415

        camera = self._window.cam
        is_fixed = camera.type == mujoco.mjtCamera.mjCAMERA_FIXED
        return int(camera.fixedcamid) if is_fixed else -1

    def show(self, shown: int, caption: str) -> None:
        """Shows the environments now, one of them in front, and a caption."""
        window, mirror = self._window, self._picture.mirror
        window.user_scn.ngeom = 0
        self._picture.add(window.user_scn, first=shown)
        mirror.show(shown)
        before, self._fixed_id = self._fixed_id, self._find_fixed()
        if before >= 0 and self._fixed_id < 0:  # Escape; the free camera would be at the origin
            with window.lock():
                release(mirror.model, mirror.data, window.cam, before)
        if caption != self._caption:
            self._caption = caption
            if caption:
                window.set_texts((None, None, caption, ""))
            else:
                window.clear_texts()
        window.sync()
