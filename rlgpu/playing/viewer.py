"""Playing back in MuJoCo's viewer."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable

from rlgpu.envs import VecEnv
from rlgpu.errors import UsageError
from rlgpu.learner import Agent
from rlgpu.playing.camera import follow
from rlgpu.playing.episodes import Player
from rlgpu.playing.picture import Picture
from rlgpu.stopping import Stopping


def play_in_viewer(env: VecEnv, agent: Agent, note: Callable[[str], None]) -> None:
    """Plays in MuJoCo's viewer, in real time, until the window is closed or Ctrl-C.

    The right and left arrow keys switch the environment shown.

    Raises:
        UsageError: No window can be opened.
    """
    import glfw  # noqa: PLC0415
    import mujoco  # noqa: PLC0415
    import mujoco.viewer  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not glfw.init():
            display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY", "")
            raise UsageError(
                f"no window can be opened on the display {display!r}; use headless=True"
            )
    picture = Picture(env)
    mirror = picture.mirror
    player = Player(env, agent)
    shown = 0

    def on_key(key: int) -> None:
        nonlocal shown
        shown = (shown + {262: 1, 263: -1}.get(key, 0)) % env.num_envs

    viewer = mujoco.viewer.launch_passive(
        mirror.model, mirror.data, key_callback=on_key, show_left_ui=False, show_right_ui=False
    )
    follow(mirror.model, viewer.cam)
    note(
        "playing; switch environments with the arrow keys, close the window or press Ctrl-C to stop"
    )
    step_dt = env.sim.timing.step_dt
    due = time.perf_counter()
    # An exception from Ctrl-C within sync() would leave the viewer's lock taken, and closing it
    # would then wait forever.
    with Stopping() as stopping:
        while viewer.is_running() and not stopping.asked:
            player.step()
            viewer.user_scn.ngeom = 0
            picture.add(viewer.user_scn, first=shown)
            mirror.show(shown)
            viewer.sync()
            due = max(due + step_dt, time.perf_counter() - 0.1)
            time.sleep(max(due - time.perf_counter(), 0.0))
        viewer.close()
