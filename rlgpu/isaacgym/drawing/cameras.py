"""Camera sensors, rendered offscreen one by one: slow, and for a few environments."""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np
import torch

from rlgpu.isaacgym.drawing.mirrors import Mirrors
from rlgpu.isaacgym.records.enums import CameraFollowMode, ImageType
from rlgpu.isaacgym.records.geometry import Quat, Transform, Vec3
from rlgpu.isaacgym.records.scene import Env
from rlgpu.isaacgym.records.structs import CameraProperties
from rlgpu.isaacgym.simulation.world import World


@dataclass(eq=False)
class Camera:
    """A camera of one environment. It looks along its x axis, with z up."""

    env: Env
    properties: CameraProperties
    pose: Transform = field(default_factory=Transform)
    body: int | None = None
    """Handle of the body it follows."""
    offset: Transform = field(default_factory=Transform)
    mode: CameraFollowMode = CameraFollowMode.FOLLOW_TRANSFORM
    images: dict[ImageType, np.ndarray] = field(default_factory=dict)
    tensors: dict[ImageType, torch.Tensor] = field(default_factory=dict)

    def placed(self, body_pose: Transform | None) -> Transform:
        """Returns its pose, given that of the body it follows."""
        if body_pose is None:
            return self.pose
        if self.mode == CameraFollowMode.FOLLOW_POSITION:
            return Transform(body_pose.p + self.offset.p, self.offset.r)
        return body_pose * self.offset


def look_at(position: Vec3, target: Vec3) -> Transform:
    """Returns the pose of a camera at a position that looks at a target."""
    forward = (target - position).normalize()
    left = Vec3(0.0, 0.0, 1.0).cross(forward)
    left = left.normalize() if left.length() > 1e-6 else Vec3(0.0, 1.0, 0.0)
    up = forward.cross(left)
    matrix = np.array([list(forward), list(left), list(up)]).T
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, matrix.flatten())
    w, x, y, z = quat.tolist()
    return Transform(position, Quat(x, y, z, w))


class Renderers:
    """Offscreen renderers, one a model and size of image."""

    def __init__(self, world: World) -> None:
        """Prepares to draw the environments of a simulation."""
        self._mirrors = Mirrors(world)
        self._renderers: dict[tuple[int, int, int], mujoco.Renderer] = {}
        self._camera = mujoco.MjvCamera()

    def draw(self, camera: Camera, pose: Transform, segments: np.ndarray) -> None:
        """Renders a camera's images.

        Args:
            camera: Its images are replaced.
            pose: Where it is.
            segments: Segmentation number of each geom of the environment's model.
        """
        mirror = self._mirrors.show(camera.env.index)
        renderer, model = self._renderer(mirror.model, camera.properties), mirror.model
        wide = np.radians(camera.properties.horizontal_fov)
        ratio = camera.properties.height / camera.properties.width
        model.vis.global_.fovy = float(np.degrees(2 * np.arctan(np.tan(wide / 2) * ratio)))
        # MuJoCo counts the near plane in sizes of the scene, which terrains make large.
        model.vis.map.znear = camera.properties.near_plane / model.stat.extent
        forward = pose.r.rotate(Vec3(1.0, 0.0, 0.0))
        aim, free = pose.p + forward, self._camera
        free.type, free.distance, free.lookat[:] = mujoco.mjtCamera.mjCAMERA_FREE, 1.0, list(aim)
        free.azimuth = float(np.degrees(np.arctan2(forward.y, forward.x)))
        free.elevation = float(np.degrees(np.arcsin(np.clip(forward.z, -1.0, 1.0))))
        renderer.update_scene(mirror.data, free)
        color = renderer.render()
        alpha = np.full((*color.shape[:2], 1), 255, dtype=np.uint8)
        camera.images[ImageType.IMAGE_COLOR] = np.concatenate((color, alpha), axis=-1)
        renderer.enable_depth_rendering()
        camera.images[ImageType.IMAGE_DEPTH] = -renderer.render().astype(np.float32)
        renderer.disable_depth_rendering()
        renderer.enable_segmentation_rendering()
        ids, kinds = np.moveaxis(renderer.render(), -1, 0)
        renderer.disable_segmentation_rendering()
        geom = (kinds == int(mujoco.mjtObj.mjOBJ_GEOM)) & (ids >= 0)
        numbers = np.zeros(ids.shape, dtype=np.int32)
        numbers[geom] = segments[ids[geom]]
        camera.images[ImageType.IMAGE_SEGMENTATION] = numbers

    def _renderer(self, model: mujoco.MjModel, properties: CameraProperties) -> mujoco.Renderer:
        size = properties.height, properties.width
        key = id(model), *size
        if key not in self._renderers:
            view = model.vis.global_
            view.offheight, view.offwidth = (
                max(view.offheight, size[0]),
                max(view.offwidth, size[1]),
            )
            try:
                self._renderers[key] = mujoco.Renderer(model, *size)
            except (mujoco.FatalError, RuntimeError) as error:
                raise RuntimeError(
                    f"no camera image can be drawn here ({error}). It needs OpenGL: set "
                    "MUJOCO_GL=egl, and on Debian or Ubuntu `apt install libegl1 libgl1-mesa-dri`"
                ) from error
        return self._renderers[key]
