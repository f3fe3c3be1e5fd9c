"""Playing back in MuJoCo's viewer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from rlgpu.envs import VecEnv
from rlgpu.learner import Ppo
from rlgpu.playing.camera import follow
from rlgpu.playing.episodes import act_and_step


def has_display() -> bool:
    """Returns whether a window can be opened on this machine."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def play_in_viewer(env: VecEnv, agent: Ppo, note: Callable[[str], None]) -> None:
    """Plays in MuJoCo's viewer, in real time, until the window is closed.

    The right and left arrow keys switch the environment shown.
    """
    import mujoco  # noqa: PLC0415
    import mujoco.viewer  # noqa: PLC0415

    mirror = env.sim.mirror()
    shown = 0

    def on_key(key: int) -> None:
        nonlocal shown
        shown = (shown + {262: 1, 263: -1}.get(key, 0)) % env.num_envs

    viewer = mujoco.viewer.launch_passive(
        mirror.model, mirror.data, key_callback=on_key, show_left_ui=False, show_right_ui=False
    )
    follow(mirror.model, viewer.cam)
    note("playing; switch environments with the arrow keys, close the window to stop")
    step_dt = env.sim.timing.step_dt
    due = time.perf_counter()
    try:
        while viewer.is_running():
            act_and_step(env, agent)
            mirror.show(shown)
            viewer.sync()
            due = max(due + step_dt, time.perf_counter() - 0.1)
            time.sleep(max(due - time.perf_counter(), 0.0))
    finally:
        viewer.close()
