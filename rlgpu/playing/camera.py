"""Camera placement for the viewer and videos."""

from __future__ import annotations

from typing import Any


def follow(model: Any, camera: Any) -> None:
    """Points a camera at what matters: the asset's camera ``track`` or ``scene``, else the root."""
    import mujoco  # noqa: PLC0415

    ids = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, x) for x in ("track", "scene")]
    if max(ids) >= 0:
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, max(ids)
    else:
        camera.type, camera.trackbodyid = mujoco.mjtCamera.mjCAMERA_TRACKING, 1
        camera.distance = 2.0 * model.stat.extent
