"""Opens a real window; with ``interrupted``, forks of the process are interrupted in it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import mujoco.viewer
import torch
from scenes import GYM, at, new_env, new_sim

from rlgpu.api.running import make_env
from rlgpu.isaacgym.api import gymapi
from rlgpu.playing import play_in_viewer

launch = mujoco.viewer.launch_passive


class Idle:
    """An agent that does nothing, and prints each step."""

    device = torch.device("cpu")

    def no_memory(self, num_envs: int) -> None:
        """Returns no memory."""

    def act_deterministic(self, observations: torch.Tensor, memory: Any) -> Any:
        """Returns zeros."""
        print("step", flush=True)
        return torch.zeros(len(observations), 1), memory


def play() -> None:
    """Plays in the viewer of ``test=True``."""
    env = make_env("Cartpole", 4, headless=True)
    play_in_viewer(env, Idle(), lambda text: print(text, flush=True))  # type: ignore[arg-type]


def script() -> None:
    """Draws forever, as a script for Isaac Gym does."""
    sim = new_sim("mujoco")
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    GYM.create_actor(new_env(sim), ball, at(), "ball", 0, 0)
    GYM.prepare_sim(sim)
    viewer = GYM.create_viewer(sim, gymapi.CameraProperties())
    while True:
        GYM.simulate(sim)
        GYM.draw_viewer(viewer, sim, True)
        GYM.sync_frame_time(sim)


def interrupt(what: Callable[[], None], moment: str) -> str:
    """Returns how a fork ended that was interrupted when its window opened, or once it draws."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        return "KeyboardInterrupt" if code == INTERRUPTED else str(code)

    def launch_and_interrupt(*args: Any, **kwargs: Any) -> Any:
        if moment == "opening":
            os.kill(os.getpid(), signal.SIGINT)
        handle = launch(*args, **kwargs)
        if moment == "drawing":
            os.kill(os.getpid(), signal.SIGINT)
        return handle

    mujoco.viewer.launch_passive = launch_and_interrupt
    try:
        what()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)  # which runs the functions registered for the exit
    sys.exit(0)


INTERRUPTED = 77

if __name__ == "__main__":
    if sys.argv[1] == "play":
        play()
    else:
        for what in (play, script):
            for moment in ("opening", "drawing"):
                print(f"{what.__name__}, {moment}: {interrupt(what, moment)}", flush=True)
