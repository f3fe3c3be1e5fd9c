"""Calls of the viewer, cameras, colours and debug lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rlgpu.device import has_display
from rlgpu.isaacgym.calls.base import Calls
from rlgpu.isaacgym.calls.checks import idle, strict
from rlgpu.isaacgym.calls.environments import actor_of
from rlgpu.isaacgym.calls.simulation import world_of
from rlgpu.isaacgym.calls.timers import timed
from rlgpu.isaacgym.drawing.cameras import Camera, Renderers, Shot, look_at
from rlgpu.isaacgym.drawing.viewer import Viewer
from rlgpu.isaacgym.records.buffers import Tensor
from rlgpu.isaacgym.records.enums import (
    CameraFollowMode,
    ImageType,
    KeyboardInput,
    MeshType,
    MouseInput,
)
from rlgpu.isaacgym.records.geometry import Int2, Transform, Vec2, Vec3
from rlgpu.isaacgym.records.properties import ActionEvent
from rlgpu.isaacgym.records.scene import Env, Sim
from rlgpu.isaacgym.records.structs import CameraProperties


@strict
class GraphicsCalls(Calls):
    """Viewer, cameras, colours and debug lines."""

    def create_viewer(self, sim: Sim, props: CameraProperties) -> Viewer | None:
        """Returns a viewer; None, with a remark, where no window can be opened."""
        if not has_display():
            self.notes.add("no viewer: there is no display; run headless")
            return None
        viewer = Viewer(world_of(sim))
        self.notes.add("the viewer shows one environment at a time; [ and ] switch")
        return viewer

    def destroy_viewer(self, viewer: Viewer) -> None:
        """Closes the viewer."""
        viewer.close()

    @idle
    def step_graphics(self, sim: Sim) -> None:
        """Does nothing: the state is read when it is drawn."""

    @timed("graphics_viewer_rendering")
    def draw_viewer(self, viewer: Viewer, sim: Sim, render_collision: bool = False) -> None:
        """Shows the state now."""
        viewer.draw()

    @idle
    def sync_frame_time(self, sim: Sim) -> None:
        """Does nothing: the viewer keeps its own pace."""

    @idle
    def poll_viewer_events(self, viewer: Viewer) -> None:
        """Does nothing: events arrive by themselves."""

    def query_viewer_has_closed(self, viewer: Viewer) -> bool:
        """Returns whether the user has closed the window."""
        return viewer.closed

    def query_viewer_action_events(self, viewer: Viewer) -> list[ActionEvent]:
        """Returns the subscribed actions since the last call."""
        return viewer.events()

    def subscribe_viewer_keyboard_event(
        self, viewer: Viewer, key: KeyboardInput, action: str
    ) -> None:
        """Reports presses of a key as an action."""
        viewer.subscribe(key, action)

    @idle
    def subscribe_viewer_mouse_event(self, viewer: Viewer, button: MouseInput, action: str) -> None:
        """Does nothing: MuJoCo's viewer keeps the mouse for itself."""
        self.notes.add("mouse events of the viewer are not reported")

    def viewer_camera_look_at(
        self, viewer: Viewer | None, env: Env | None, position: Vec3, target: Vec3
    ) -> None:
        """Moves the viewer's camera."""
        if viewer is not None:
            viewer.look_at(env, position, target)

    def get_viewer_camera_transform(self, viewer: Viewer, env: Env | None) -> Transform:
        """Returns the pose of the viewer's camera."""
        return viewer.camera()

    def get_viewer_camera_handle(self, viewer: Viewer) -> int:
        """Returns -1: the viewer's camera is no sensor."""
        return -1

    def get_viewer_size(self, viewer: Viewer) -> Int2:
        """Returns the size that ``write_viewer_image_to_file`` writes."""
        return Int2(960, 540)

    def get_viewer_mouse_position(self, viewer: Viewer) -> Vec2:
        """Returns 0, 0: MuJoCo's viewer keeps the mouse for itself."""
        return Vec2()

    def write_viewer_image_to_file(self, viewer: Viewer, path: str) -> None:
        """Writes what the viewer shows to an image file."""
        viewer.save(path)

    def add_lines(
        self, viewer: Viewer | None, env: Env | None, count: int, vertices: Any, colors: Any
    ) -> None:
        """Draws lines, two vertices and a colour each, until ``clear_lines``."""
        if viewer is not None:
            points = _plain(vertices).reshape(-1, 2, 3)[:count]
            viewer.add_lines(env, points[:, 0], points[:, 1], _plain(colors).reshape(-1, 3)[:count])

    def clear_lines(self, viewer: Viewer | None) -> None:
        """Removes all lines."""
        if viewer is not None:
            viewer.clear_lines()

    # Colours

    def set_rigid_body_color(
        self, env: Env, handle: int, body: int, kind: MeshType, color: Vec3
    ) -> None:
        """Sets the colour of a body; of a body that is not there, nothing, as scripts expect."""
        actor = actor_of(env, handle)
        if 0 <= body < len(actor.asset.bodies):
            actor.colors[body] = color.__copy__()

    def get_rigid_body_color(self, env: Env, handle: int, body: int, kind: MeshType) -> Vec3:
        """Returns the colour of a body that was set, else grey."""
        return actor_of(env, handle).colors.get(body, Vec3(0.5, 0.5, 0.5))

    def reset_actor_materials(self, env: Env, handle: int, kind: MeshType) -> None:
        """Forgets the colours of an actor's bodies."""
        actor_of(env, handle).colors = {}

    def set_rigid_body_segmentation_id(self, env: Env, handle: int, body: int, number: int) -> None:
        """Sets the number of a body's pixels in segmentation images."""
        actor_of(env, handle).segments[body] = number

    def get_rigid_body_segmentation_id(self, env: Env, handle: int, body: int) -> int:
        """Returns the number of a body's pixels in segmentation images."""
        actor = actor_of(env, handle)
        return actor.segments.get(body, actor.segmentation)

    # Scripts give objects textures by habit; they change nothing but looks.

    @idle
    def create_texture_from_file(self, sim: Sim, path: str) -> int:
        """Does nothing: textures are not drawn."""
        self.notes.add("textures are not drawn; bodies keep their colours")
        return 0

    @idle
    def create_texture_from_buffer(
        self, sim: Sim, width: int, height: int, buffer: np.ndarray
    ) -> int:
        """Does nothing: textures are not drawn."""
        self.notes.add("textures are not drawn; bodies keep their colours")
        return 0

    @idle
    def free_texture(self, sim: Sim, texture: int) -> None:
        """Does nothing: textures are not drawn."""

    @idle
    def set_rigid_body_texture(
        self, env: Env, handle: int, body: int, kind: MeshType, texture: int
    ) -> None:
        """Does nothing: textures are not drawn."""

    @idle
    def get_rigid_body_texture(self, env: Env, handle: int, body: int, kind: MeshType) -> int:
        """Does nothing: textures are not drawn; returns 0."""
        return 0

    @idle
    def set_light_parameters(
        self, sim: Sim, index: int, intensity: Vec3, ambient: Vec3, direction: Vec3
    ) -> None:
        """Does nothing: MuJoCo's own light is used."""

    # Cameras

    def create_camera_sensor(self, env: Env, props: CameraProperties) -> int:
        """Adds a camera to an environment and returns its handle there.

        Raises:
            ValueError: The near plane is not between zero and the far plane.
        """
        if not 0 < props.near_plane < props.far_plane:
            near, far = round(props.near_plane, 6), round(props.far_plane, 6)
            raise ValueError(
                f"create_camera_sensor: near_plane {near} m and far_plane {far} m; the near plane "
                "must be above 0 and below the far plane"
            )
        env.cameras.append(Camera(env, props.__copy__()))
        return len(env.cameras) - 1

    def destroy_camera_sensor(self, sim: Sim, env: Env, handle: int) -> None:
        """Removes a camera; the handles of others stay."""
        env.cameras[handle] = None

    def set_camera_location(self, handle: int, env: Env, position: Vec3, target: Vec3) -> None:
        """Places a camera where it looks at a target."""
        camera_of(env, handle).pose = look_at(position, target)
        camera_of(env, handle).body = None

    def set_camera_transform(self, handle: int, env: Env, transform: Transform) -> None:
        """Places a camera."""
        camera_of(env, handle).pose = transform.__copy__()
        camera_of(env, handle).body = None

    def attach_camera_to_body(
        self, handle: int, env: Env, body: int, offset: Transform, mode: CameraFollowMode
    ) -> None:
        """Has a camera follow a body."""
        camera = camera_of(env, handle)
        camera.body, camera.offset, camera.mode = body, offset.__copy__(), mode

    def get_camera_transform(self, sim: Sim, env: Env, handle: int) -> Transform:
        """Returns a camera's pose."""
        camera = camera_of(env, handle)
        pose = None if camera.body is None else self.get_rigid_transform(env, camera.body)  # type: ignore[attr-defined]
        return camera.placed(pose)

    def get_camera_view_matrix(self, sim: Sim, env: Env, handle: int) -> np.ndarray:
        """Returns the matrix from the world to a camera, for row vectors, shape [4, 4]."""
        pose = self.get_camera_transform(sim, env, handle)
        # A view looks along -z with y up.
        right, up, back = (pose.r.rotate(v) for v in (Vec3(y=-1), Vec3(z=1), Vec3(x=-1)))
        matrix = np.eye(4, dtype=np.float32)
        matrix[:3, :3] = np.array([list(right), list(up), list(back)]).T
        matrix[3, :3] = -np.array(list(pose.p)) @ matrix[:3, :3]
        return matrix

    def get_camera_proj_matrix(self, sim: Sim, env: Env, handle: int) -> np.ndarray:
        """Returns a camera's projection, for row vectors, shape [4, 4]."""
        properties = camera_of(env, handle).properties
        wide = 1.0 / np.tan(np.radians(properties.horizontal_fov) / 2)
        matrix = np.zeros((4, 4), dtype=np.float32)
        matrix[0, 0], matrix[1, 1] = wide, wide * properties.width / properties.height
        matrix[2, 3], matrix[3, 2] = -1.0, properties.near_plane
        return matrix

    @timed("graphics_sensor_rendering")
    def render_all_camera_sensors(self, sim: Sim) -> None:
        """Renders the images of all cameras.

        Images without a tensor are drawn when a script asks for them, as the scene is now.
        """
        renderers = _renderers(sim)
        shots = [
            Shot(camera, self.get_camera_transform(sim, env, handle), _segments(env))
            for env in sim.envs
            for handle, camera in enumerate(env.cameras)
            if camera is not None
        ]
        renderers.shoot(shots)
        for kind in sorted({kind for shot in shots for kind in shot.camera.tensors}):
            if any(kind not in shot.camera.images for shot in shots):
                renderers.draw(kind)
        for shot in shots:
            for kind, tensor in shot.camera.tensors.items():
                tensor.copy_(torch.from_numpy(shot.camera.images[kind]))

    @timed("graphics_image_retrieval")
    def get_camera_image(self, sim: Sim, env: Env, handle: int, kind: ImageType) -> np.ndarray:
        """Returns a camera's last image.

        Colours are RGBA, uint8, shape [height, 4 width]; depths are negative distances along the
        line of sight [m], -inf for nothing, float32, and segments numbers, shape [height, width].
        """
        image = self._image(sim, env, handle, kind)
        return image.reshape(len(image), -1)

    def get_camera_image_gpu_tensor(
        self, sim: Sim, env: Env, handle: int, kind: ImageType
    ) -> Tensor:
        """Returns a tensor of a camera's image that ``render_all_camera_sensors`` rewrites."""
        camera = camera_of(env, handle)
        if kind not in camera.tensors:
            image = self._image(sim, env, handle, kind)
            camera.tensors[kind] = torch.from_numpy(image.copy()).to(sim.device)
        return Tensor(camera.tensors[kind])

    def _image(self, sim: Sim, env: Env, handle: int, kind: ImageType) -> np.ndarray:
        if kind == ImageType.IMAGE_OPTICAL_FLOW:
            raise NotImplementedError("IMAGE_OPTICAL_FLOW is not rendered")
        camera = camera_of(env, handle)
        if kind not in camera.images:
            if not _renderers(sim).has_shot(camera):
                self.render_all_camera_sensors(sim)
            _renderers(sim).draw(kind)
        return camera.images[kind]

    @idle
    def start_access_image_tensors(self, sim: Sim) -> None:
        """Does nothing: images are written when they are rendered."""

    @idle
    def end_access_image_tensors(self, sim: Sim) -> None:
        """Does nothing."""

    def write_camera_image_to_file(
        self, sim: Sim, env: Env, handle: int, kind: ImageType, path: str
    ) -> None:
        """Writes a camera's last image to a file; depths are scaled to grey."""
        from PIL import Image  # noqa: PLC0415

        image = self._image(sim, env, handle, kind)
        if kind == ImageType.IMAGE_DEPTH:
            depths = -image[np.isfinite(image)]
            near, far = (depths.min(), depths.max()) if len(depths) else (0.0, 1.0)
            image = 255 * (1 - (np.minimum(-image, far) - near) / max(far - near, 1e-6))
        picture = Image.fromarray(image.astype(np.uint8))
        (picture.convert("RGB") if kind == ImageType.IMAGE_COLOR else picture).save(path)


def camera_of(env: Env, handle: int) -> Camera:
    """Returns a camera by its handle."""
    camera = env.cameras[handle] if 0 <= handle < len(env.cameras) else None
    if not isinstance(camera, Camera):
        raise IndexError(f"camera {handle} of an environment of {len(env.cameras)} cameras")
    return camera


def _renderers(sim: Sim) -> Renderers:
    if not isinstance(sim.renderers, Renderers):
        sim.renderers = Renderers(world_of(sim))
    return sim.renderers


def _segments(env: Env) -> np.ndarray:
    """Returns the segmentation number of each geom."""
    world = world_of(env.sim)
    model = world.group_of(env)[0].worlds.model
    bodies = world.layout_of(env).places.bodies
    numbers = np.zeros(model.ngeom, dtype=np.int32)
    for actor in env.actors:
        for i in range(len(actor.asset.bodies)):
            body = bodies[actor.first_body + i]
            numbers[model.geom_bodyid == body] = actor.segments.get(i, actor.segmentation)
    return numbers


def _plain(array: Any) -> np.ndarray:
    """Returns an array of numbers from one of vectors."""
    values = np.asarray(array)
    if values.dtype.names:
        return np.stack([values[name] for name in values.dtype.names], axis=-1)
    return values.astype(np.float32)
