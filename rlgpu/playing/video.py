"""Playing back to an mp4 video, rendered offscreen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlgpu.device.stopping import Stopping
from rlgpu.envs import Environments
from rlgpu.errors import Unavailable, UsageError
from rlgpu.learner import Agent
from rlgpu.playing.camera import follow
from rlgpu.playing.episodes import Player
from rlgpu.playing.picture import Picture

VIDEO_WIDTH, VIDEO_HEIGHT = 960, 540


def require_video() -> None:
    """Sets up and tests MuJoCo's offscreen rendering; call it before importing any engine.

    Raises:
        Unavailable: OpenGL or the video encoder is not available.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        import imageio_ffmpeg  # noqa: F401, PLC0415
    except ImportError as error:
        raise _unavailable(str(error), "pip install imageio-ffmpeg") from error
    try:
        import mujoco  # noqa: PLC0415
    except (AttributeError, ImportError, RuntimeError) as error:  # PyOpenGL's, without a library
        raise _without_opengl(error) from error
    renderer_of(
        mujoco.MjModel.from_xml_string(f"""<mujoco><visual><global
        offwidth="{VIDEO_WIDTH}" offheight="{VIDEO_HEIGHT}"/></visual></mujoco>""")
    ).close()


def record_video(
    env: Environments, agent: Agent, path: Path, length: int, stopping: Stopping | None = None
) -> int:
    """Writes an mp4 of the policy's most likely actions in up to 16 environments, in real time.

    Args:
        env: The environments; they are stepped.
        agent: The policy.
        path: The file to write; its folder is created.
        length: Control steps to record.
        stopping: Ends the video after the current step when asked; the file is whole.

    Returns:
        The number of control steps recorded.

    Raises:
        Unavailable: OpenGL is not available.
    """
    import imageio_ffmpeg  # noqa: PLC0415
    import mujoco  # noqa: PLC0415

    picture = Picture(env)
    renderer = renderer_of(picture.mirror.model)
    camera = mujoco.MjvCamera()
    follow(picture.mirror.model, camera)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    rate = round(1 / env.step_dt)
    frames = imageio_ffmpeg.write_frames(
        str(temporary),
        (VIDEO_WIDTH, VIDEO_HEIGHT),
        fps=rate,
        quality=7,
        macro_block_size=2,
        output_params=["-f", "mp4"],
    )
    player, recorded = Player(env, agent), 0
    try:
        frames.send(None)
        while recorded < length and not (recorded and stopping and stopping.asked):
            picture.draw(renderer, camera)
            frames.send(renderer.render().tobytes())
            player.step()
            recorded += 1
        frames.close()
        temporary.replace(path)
    finally:
        frames.close()
        renderer.close()
        temporary.unlink(missing_ok=True)
    return recorded


def write_picture(picture: Any, path: Path) -> None:
    """Writes a PNG file.

    Args:
        picture: Colours from 0 to 255, shape [H, W, 3], uint8.
        path: The file; its folder exists.

    Raises:
        UsageError: It cannot be written.
    """
    import imageio_ffmpeg  # noqa: PLC0415

    size, once = (picture.shape[1], picture.shape[0]), ["-f", "image2", "-update", "1"]
    frames = imageio_ffmpeg.write_frames(
        str(path), size, codec="png", pix_fmt_out="rgb24", macro_block_size=1, output_params=once
    )
    try:
        frames.send(None)
        frames.send(picture.tobytes())
        frames.close()
    except OSError as error:
        said = f"picture={path}: it cannot be written: {error}"
        raise UsageError(said, key="picture", value=str(path), path=path) from error
    if not path.is_file():
        said = f"picture={path}: it cannot be written; is there a folder {path.parent}?"
        raise UsageError(said, key="picture", value=str(path), path=path)


def renderer_of(model: Any) -> Any:
    """Returns an offscreen renderer of the video's size.

    Raises:
        Unavailable: OpenGL is not available.
    """
    import mujoco  # noqa: PLC0415

    # A quarter of the default shadow map and half the samples give several times the frame rate.
    model.vis.quality.shadowsize, model.vis.quality.offsamples = 1024, 2
    model.vis.global_.offwidth = max(model.vis.global_.offwidth, VIDEO_WIDTH)
    model.vis.global_.offheight = max(model.vis.global_.offheight, VIDEO_HEIGHT)
    try:
        return mujoco.Renderer(model, VIDEO_HEIGHT, VIDEO_WIDTH)
    except (mujoco.FatalError, RuntimeError) as error:
        raise _without_opengl(error) from error


def _without_opengl(error: Exception) -> Unavailable:
    return _unavailable(
        f"no picture can be drawn here ({error})",
        "it needs OpenGL: on Debian or Ubuntu `apt install libegl1 libgl1-mesa-dri`, or set "
        "MUJOCO_GL=osmesa and `apt install libosmesa6`",
    )


def _unavailable(reason: str, remedy: str) -> Unavailable:
    return Unavailable(reason, remedy, key="capture_video", value=True, allowed=[False])
