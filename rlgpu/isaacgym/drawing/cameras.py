"""Camera sensors, rendered offscreen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import mujoco
import numpy as np
import torch

from rlgpu.isaacgym.drawing.mirrors import Mirrors
from rlgpu.isaacgym.drawing.terrain_tiles import TerrainTiles
from rlgpu.isaacgym.drawing.views import View, ViewRenderer
from rlgpu.isaacgym.records.enums import CameraFollowMode, ImageType
from rlgpu.isaacgym.records.geometry import Quat, Transform, Vec3
from rlgpu.isaacgym.records.scene import Env
from rlgpu.isaacgym.records.structs import CameraProperties
from rlgpu.isaacgym.simulation.compose import compose_model
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


class Shot(NamedTuple):
    """A camera at the moment when all cameras were rendered."""

    camera: Camera
    pose: Transform
    segments: np.ndarray
    """Segmentation number of each geom of the environment's model, int32."""


class Renderers:
    """Images of all cameras: one renderer a model and size of image, with all of its views.

    Images are drawn when they are first asked for, in the poses in which the cameras were shot.
    """

    def __init__(self, world: World) -> None:
        """Prepares to draw the environments of a simulation."""
        self._world = world
        self._poses: dict[int, dict[str, np.ndarray]] = {}
        self._mirrors = Mirrors(world, self._poses.__getitem__)
        self._renderers: dict[tuple[int, int, int], ViewRenderer] = {}
        self._tiles: dict[int, TerrainTiles] = {}
        self._shots: list[Shot] = []

    def shoot(self, shots: Sequence[Shot]) -> None:
        """Keeps the poses of cameras and their environments now, and drops older images."""
        self._shots = list(shots)
        for shot in shots:
            shot.camera.images.clear()
            index = shot.camera.env.index
            self._poses[index] = {n: v.copy() for n, v in self._world.pose_of(index).items()}

    def has_shot(self, camera: Camera) -> bool:
        """Returns whether a camera was there when the cameras were shot."""
        return any(shot.camera is camera for shot in self._shots)

    def draw(self, kind: ImageType) -> None:
        """Draws an image of a kind for each camera that was shot.

        Raises:
            RuntimeError: OpenGL is not available.
        """
        groups: dict[ViewRenderer, list[Shot]] = {}
        for shot in self._shots:
            groups.setdefault(self._renderer(shot.camera), []).append(shot)
        for renderer, shots in groups.items():
            views = (self._view(shot) for shot in shots)
            if kind == ImageType.IMAGE_COLOR:
                for shot, color in zip(shots, renderer.colors(views), strict=True):
                    alpha = np.full((*color.shape[:2], 1), 255, dtype=np.uint8)
                    shot.camera.images[kind] = np.concatenate((color, alpha), axis=-1)
                continue
            for shot, surfaces in zip(shots, renderer.surfaces(views), strict=True):
                numbers = np.append(shot.segments, np.int32(0))[surfaces.geoms]
                shot.camera.images[ImageType.IMAGE_DEPTH] = surfaces.depths
                shot.camera.images[ImageType.IMAGE_SEGMENTATION] = numbers

    def _view(self, shot: Shot) -> View:
        mirror = self._mirrors.show(shot.camera.env.index)
        return View(mirror.data, shot.pose, shot.camera.properties)

    def _renderer(self, camera: Camera) -> ViewRenderer:
        model = self._mirrors.mirror_of(camera.env.index).model
        key = id(model), camera.properties.height, camera.properties.width
        if key not in self._renderers:
            if key[0] not in self._tiles:
                group, _ = self._world.group_of(camera.env)
                spec = compose_model(self._world.sim, group.stage)
                self._tiles[key[0]] = TerrainTiles(model, spec)
            self._renderers[key] = ViewRenderer(model, self._tiles[key[0]], *key[1:])
        return self._renderers[key]
