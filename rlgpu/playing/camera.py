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


def view_ahead(model: Any, data: Any, camera: Any) -> Any:
    """Returns the horizontal direction in which a camera looks, a unit vector, shape [2].

    Args:
        model: The model.
        data: Its pose, with the asset's cameras up to date.
        camera: One of the asset's cameras, or a free one.
    """
    import mujoco  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    if camera.type == mujoco.mjtCamera.mjCAMERA_FIXED:
        axes = data.cam_xmat[camera.fixedcamid].reshape(3, 3)
        ahead, up = -axes[:2, 2], axes[:2, 1]
        ahead = ahead if np.linalg.norm(ahead) > 0.1 else up  # it looks straight down
    else:
        azimuth = np.radians(camera.azimuth)
        ahead = np.array([np.cos(azimuth), np.sin(azimuth)])
    return ahead / np.linalg.norm(ahead)


def release(model: Any, data: Any, camera: Any, camera_id: int) -> None:
    """Gives a free camera the place and direction of one of the asset's cameras.

    It then turns about the point straight ahead that is as far away as the first body.

    Args:
        model: The model.
        data: Its pose, with the asset's cameras up to date.
        camera: The free camera.
        camera_id: Id of the asset's camera.
    """
    import numpy as np  # noqa: PLC0415

    place = data.cam_xpos[camera_id]
    ahead = -data.cam_xmat[camera_id].reshape(3, 3)[:, 2]
    distance = float(np.linalg.norm(data.xpos[1] - place))
    camera.lookat[:], camera.distance = place + distance * ahead, distance
    camera.azimuth = float(np.degrees(np.arctan2(ahead[1], ahead[0])))
    camera.elevation = float(np.degrees(np.arcsin(np.clip(ahead[2], -1.0, 1.0))))
