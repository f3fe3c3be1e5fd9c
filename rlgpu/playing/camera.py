"""Camera placement for the viewer and videos."""

from __future__ import annotations

from typing import Any


def follow(model: Any, camera: Any) -> None:
    """Points a camera at the robot: the asset's ``track`` camera, or one that follows the root."""
    import mujoco  # noqa: PLC0415

    track = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, "track")
    if track >= 0:
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, track
    else:
        camera.type, camera.trackbodyid = mujoco.mjtCamera.mjCAMERA_TRACKING, 1
        camera.distance = 2.0 * model.stat.extent
