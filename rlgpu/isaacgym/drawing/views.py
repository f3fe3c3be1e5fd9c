"""Offscreen images of many views of one model, drawn side by side and read together."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.isaacgym.drawing.terrain_tiles import Frustum, TerrainTiles
from rlgpu.isaacgym.records.geometry import Transform, Vec3
from rlgpu.isaacgym.records.structs import CameraProperties

_BUFFER = 1024
"""Width and height of the buffer for small images, in pixels."""
_SHADOWS = 1024
"""Width and height of the shadow map. MuJoCo's 4096 costs more than a hundred small images."""
_MOST_GEOMS = 10_000


class View(NamedTuple):
    """What one image shows."""

    data: mujoco.MjData
    """Holds the pose of the bodies until the next view is taken."""
    pose: Transform
    """The camera's pose. It looks along its x axis, with z up."""
    properties: CameraProperties


class Surfaces(NamedTuple):
    """The nearest surface in each pixel of one view."""

    depths: np.ndarray
    """Negative distances along the line of sight [m], -inf for nothing, shape [H, W], float32."""
    geoms: np.ndarray
    """Geoms of the model, -1 for nothing, shape [H, W], int32."""


class ViewRenderer:
    """Draws images of one size into tiles of one OpenGL buffer."""

    def __init__(self, model: mujoco.MjModel, tiles: TerrainTiles, height: int, width: int) -> None:
        """Makes the OpenGL context.

        Args:
            model: The model to draw.
            tiles: Its terrain in tiles.
            height: Height of an image in pixels.
            width: Width of an image in pixels.

        Raises:
            RuntimeError: OpenGL is not available.
        """
        self._model, self._height, self._width = model, height, width
        self._terrain = tiles
        self._columns, self._rows = max(_BUFFER // width, 1), max(_BUFFER // height, 1)
        self._scene = mujoco.MjvScene(model, maxgeom=_MOST_GEOMS)
        self._option, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        try:
            self._window = mujoco.GLContext(self._columns * width, self._rows * height)
            self._window.make_current()
            self._context = self._new_context()
        except (mujoco.FatalError, RuntimeError) as error:
            raise RuntimeError(
                f"no camera image can be drawn here ({error}). It needs OpenGL: set "
                "MUJOCO_GL=egl, and on Debian or Ubuntu `apt install libegl1 libgl1-mesa-dri`"
            ) from error
        # At exit MuJoCo closes the display by itself, before this could run.
        weakref.finalize(self, _free, self._window, self._context).atexit = False

    def _new_context(self) -> mujoco.MjrContext:
        """Returns MuJoCo's context with a buffer of all tiles; the model keeps its settings."""
        model = self._terrain.model
        view, quality = model.vis.global_, model.vis.quality
        before = view.offwidth, view.offheight, quality.shadowsize
        view.offwidth, view.offheight = self._columns * self._width, self._rows * self._height
        quality.shadowsize = min(quality.shadowsize, _SHADOWS)
        try:
            context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        finally:
            view.offwidth, view.offheight, quality.shadowsize = before
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, context)
        context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        return context

    def colors(self, views: Iterable[View]) -> list[np.ndarray]:
        """Returns an image of each view: RGB, shape [H, W, 3], uint8."""
        images: list[np.ndarray] = []
        for batch in self._batches(views, by_geom=False):
            images += self._tiles(batch, self._read()[0])
        return images

    def surfaces(self, views: Iterable[View]) -> list[Surfaces]:
        """Returns the surfaces that each view shows."""
        found: list[Surfaces] = []
        for batch in self._batches(views, by_geom=True):
            rgb, buffer = self._read()
            numbers = rgb.astype(np.int32) @ np.array([1, 2**8, 2**16], dtype=np.int32)
            tiles = zip(self._tiles(batch, buffer), self._tiles(batch, numbers), strict=True)
            for drawn, (depth, number) in zip(batch, tiles, strict=True):
                found.append(Surfaces(drawn.depths(depth), drawn.geoms[number]))
        return found

    def _batches(self, views: Iterable[View], *, by_geom: bool) -> Iterator[list[_Drawn]]:
        """Draws views and yields as often as the buffer is full, and at the end."""
        self._window.make_current()
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = by_geom
        batch: list[_Drawn] = []
        for view in views:
            row, column = divmod(len(batch), self._columns)
            batch.append(self._draw(view, row, column))
            if len(batch) == self._rows * self._columns:
                yield batch
                batch = []
        if batch:
            yield batch

    def _draw(self, view: View, row: int, column: int) -> _Drawn:
        forward, up = (view.pose.r.rotate(axis) for axis in (Vec3(x=1.0), Vec3(z=1.0)))
        free = self._camera
        free.distance, free.lookat[:] = 1.0, list(view.pose.p + forward)
        free.azimuth = float(np.degrees(np.arctan2(forward.y, forward.x)))
        free.elevation = float(np.degrees(np.arcsin(np.clip(forward.z, -1.0, 1.0))))
        every = mujoco.mjtCatBit.mjCAT_ALL.value
        model, scene = self._model, self._scene
        mujoco.mjv_updateScene(model, view.data, self._option, None, free, every, scene)
        near = view.properties.near_plane
        # MuJoCo counts its planes in sizes of the scene, which terrains make large.
        far = max(model.vis.map.zfar * model.stat.extent, 2 * near)
        far = min(view.properties.far_plane, far)
        across = float(np.tan(np.radians(view.properties.horizontal_fov) / 2))
        along = across * view.properties.height / view.properties.width
        top = near * along
        for eye in scene.camera:
            eye.pos[:], eye.forward[:], eye.up[:] = list(view.pose.p), list(forward), list(up)
            eye.frustum_near, eye.frustum_far = near, far
            eye.frustum_bottom, eye.frustum_top, eye.frustum_center = -top, top, 0.0
        self._terrain.show(scene, Frustum(view.pose.p, forward, up, far, across, along))
        place = column * self._width, row * self._height, self._width, self._height
        mujoco.mjr_render(mujoco.MjrRect(*place), scene, self._context)
        return _Drawn(near, far, _geoms_by_number(scene))

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns colors and the depth buffer of all tiles, from the bottom up."""
        height, width = self._rows * self._height, self._columns * self._width
        rgb = np.empty((height, width, 3), dtype=np.uint8)
        depth = np.empty((height, width), dtype=np.float32)
        mujoco.mjr_readPixels(rgb, depth, mujoco.MjrRect(0, 0, width, height), self._context)
        return rgb, depth

    def _tiles(self, batch: list[_Drawn], buffer: np.ndarray) -> list[np.ndarray]:
        """Returns the parts of the buffer that belong to a batch, from the top down."""
        tiles = []
        for i in range(len(batch)):
            row, column = divmod(i, self._columns)
            rows = buffer[row * self._height : (row + 1) * self._height]
            tiles.append(rows[::-1, column * self._width : (column + 1) * self._width])
        return tiles


class _Drawn(NamedTuple):
    """What turns a tile of the buffer into depths and geoms."""

    near: float
    far: float
    geoms: np.ndarray
    """Geom of each number in the image, 0 for the background, shape [S + 1], int32."""

    def depths(self, buffer: np.ndarray) -> np.ndarray:
        """Returns depths of a buffer that is 1 at the near plane and 0 at the far plane.

        The buffer is linear in the inverse of the distance.
        """
        inverse = 1 / self.far + buffer.astype(float) * (1 / self.near - 1 / self.far)
        return np.where(buffer > 0, -1 / inverse, -np.inf).astype(np.float32)


def _geoms_by_number(scene: mujoco.MjvScene) -> np.ndarray:
    geoms = np.full(scene.ngeom + 1, -1, dtype=np.int32)
    for geom in scene.geoms[: scene.ngeom]:
        if geom.segid >= 0 and geom.objtype == int(mujoco.mjtObj.mjOBJ_GEOM):
            geoms[geom.segid + 1] = geom.objid
    return geoms


def _free(window: mujoco.GLContext, context: mujoco.MjrContext) -> None:
    window.make_current()
    context.free()
    window.free()
