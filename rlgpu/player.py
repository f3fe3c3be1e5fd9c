"""Plays a policy back: in MuJoCo's viewer, as episodes without one, as a video."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rlgpu.assemble import make_env
from rlgpu.config import Config
from rlgpu.errors import UsageError
from rlgpu.learner import Ppo
from rlgpu.metrics import WINDOW, EpisodeStatistics
from rlgpu.task import Task
from rlgpu.vec_env import VecEnv

VIDEO_WIDTH, VIDEO_HEIGHT = 960, 540
MAX_PLAY_STEPS = 27_000
"""Control steps after which playing without a viewer gives up. Source: rl_games' player."""


def has_display() -> bool:
    """Returns whether a window could be opened here."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def require_video() -> None:
    """Lets MuJoCo draw without a window, before any engine is imported, and tries it.

    Raises:
        UsageError: There is no OpenGL or no video encoder.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        import imageio_ffmpeg  # noqa: F401, PLC0415
        import mujoco  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"capture_video=True: {error}; pip install imageio-ffmpeg") from error
    _renderer(
        mujoco.MjModel.from_xml_string(f"""<mujoco><visual><global
        offwidth="{VIDEO_WIDTH}" offheight="{VIDEO_HEIGHT}"/></visual></mujoco>""")
    ).close()


def play_episodes(env: VecEnv, agent: Ppo, games: int, note: Callable[[str], None]) -> None:
    """Plays without a viewer and reports return and length of the finished episodes.

    Args:
        env: The environments.
        agent: The policy; its means are the actions.
        games: Episodes to finish.
        note: Called with each line to show.
    """
    statistics = EpisodeStatistics(env.num_envs, env.device)
    for t in range(1, MAX_PLAY_STEPS + 1):
        actions = agent.act_deterministic(env.observations.to(agent.device))
        step = env.step(actions.to(env.device))
        statistics.update(step.rewards[None], (step.terminated | step.truncated)[None])
        mean_return, mean_length, episodes = statistics.means().tolist()
        if episodes >= games or t == MAX_PLAY_STEPS:
            window = f" (the last {WINDOW})" if episodes > WINDOW else ""
            note(
                f"{episodes:.0f} episodes{window}: mean return {mean_return:.1f}, "
                f"mean length {mean_length:.1f}"
            )
            return


def play_in_viewer(env: VecEnv, agent: Ppo, note: Callable[[str], None]) -> None:
    """Plays in MuJoCo's viewer, in real time, until its window is closed.

    The right and left arrow keys switch the environment shown.
    """
    import mujoco  # noqa: PLC0415
    import mujoco.viewer  # noqa: PLC0415

    model, data = _mirror(env)
    shown = 0

    def on_key(key: int) -> None:
        nonlocal shown
        shown = (shown + {262: 1, 263: -1}.get(key, 0)) % env.num_envs

    viewer = mujoco.viewer.launch_passive(
        model, data, key_callback=on_key, show_left_ui=False, show_right_ui=False
    )
    _follow(model, viewer.cam)
    note("playing; arrow keys switch the environment, closing the window ends")
    step_dt = env.sim.timing.step_dt
    due = time.perf_counter()
    try:
        while viewer.is_running():
            env.step(agent.act_deterministic(env.observations.to(agent.device)).to(env.device))
            _show(env, shown, model, data)
            viewer.sync()
            due = max(due + step_dt, time.perf_counter() - 0.1)
            time.sleep(max(due - time.perf_counter(), 0.0))
    finally:
        viewer.close()


def record_video(config: Config, task_class: type[Task], agent: Ppo, path: Path) -> None:
    """Writes an mp4 of one environment under the policy's means, in real time.

    Args:
        config: The run's configuration; ``capture_video_len`` control steps are shown.
        task_class: The task.
        agent: The policy.
        path: The file to write; its folder is made.

    Raises:
        UsageError: There is no OpenGL.
    """
    import imageio_ffmpeg  # noqa: PLC0415
    import mujoco  # noqa: PLC0415

    env = make_env(config, task_class, 1, seed=config.seed)
    model, data = _mirror(env)
    renderer = _renderer(model)
    camera = mujoco.MjvCamera()
    _follow(model, camera)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    rate = round(1 / env.sim.timing.step_dt)
    frames = imageio_ffmpeg.write_frames(
        str(temporary), (VIDEO_WIDTH, VIDEO_HEIGHT), fps=rate, quality=7, macro_block_size=2,
        output_params=["-f", "mp4"],
    )  # fmt: skip
    frames.send(None)
    for _ in range(config.capture_video_len):
        _show(env, 0, model, data)
        renderer.update_scene(data, camera)
        frames.send(renderer.render().tobytes())
        env.step(agent.act_deterministic(env.observations.to(agent.device)).to(env.device))
    frames.close()
    renderer.close()
    env.sim.close()
    temporary.replace(path)


def _renderer(model: Any) -> Any:
    """Returns an offscreen renderer of the video's size.

    Raises:
        UsageError: There is no OpenGL.
    """
    import mujoco  # noqa: PLC0415

    # A quarter of the default shadow map and half its samples: several times the frame rate.
    model.vis.quality.shadowsize, model.vis.quality.offsamples = 1024, 2
    model.vis.global_.offwidth = max(model.vis.global_.offwidth, VIDEO_WIDTH)
    model.vis.global_.offheight = max(model.vis.global_.offheight, VIDEO_HEIGHT)
    try:
        return mujoco.Renderer(model, VIDEO_HEIGHT, VIDEO_WIDTH)
    except (mujoco.FatalError, RuntimeError) as error:
        raise UsageError(
            f"capture_video=True: no picture can be drawn here ({error}). It needs OpenGL: on "
            "Debian or Ubuntu `apt install libegl1 libgl1-mesa-dri`, or set MUJOCO_GL=osmesa and "
            "`apt install libosmesa6`"
        ) from error


def _mirror(env: VecEnv) -> tuple[Any, Any]:
    """Returns the engine's MuJoCo model and a data object to draw one world with."""
    import mujoco  # noqa: PLC0415

    model = getattr(env.sim, "model", None)
    if not isinstance(model, mujoco.MjModel):
        raise UsageError("drawing needs an engine built on MuJoCo, such as sim=mujoco")
    return model, mujoco.MjData(model)


def _show(env: VecEnv, env_id: int, model: Any, data: Any) -> None:
    """Copies one world's pose into ``data``, through the engine-neutral state."""
    import mujoco  # noqa: PLC0415

    state = env.sim.state
    if model.njnt > 0 and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
        data.qpos[:3] = state.root_pos_w[env_id].cpu().numpy()
        data.qpos[3:7] = torch.roll(state.root_quat_w[env_id], 1).cpu().numpy()
        data.qpos[7:] = state.joint_pos[env_id].cpu().numpy()
    else:
        data.qpos[:] = state.joint_pos[env_id].cpu().numpy()
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)


def _follow(model: Any, camera: Any) -> None:
    """Points a camera at the robot: the asset's ``track`` camera, or one that follows the root."""
    import mujoco  # noqa: PLC0415

    track = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, "track")
    if track >= 0:
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, track
    else:
        camera.type, camera.trackbodyid = mujoco.mjtCamera.mjCAMERA_TRACKING, 1
        camera.distance = 2.0 * model.stat.extent
