"""The viewer: MuJoCo's passive viewer on one environment at a time."""

from __future__ import annotations

import time

import mujoco
import numpy as np

from rlgpu.isaacgym.drawing.mirrors import Mirrors
from rlgpu.isaacgym.records.enums import KeyboardInput
from rlgpu.isaacgym.records.geometry import Transform, Vec3
from rlgpu.isaacgym.records.properties import ActionEvent
from rlgpu.isaacgym.records.scene import Env
from rlgpu.isaacgym.simulation.world import World
from rlgpu.sim.mujoco.mirror import PoseMirror
from rlgpu.sim.mujoco.window import Window

_NAMED = {
    "SPACE": 32, "ESCAPE": 256, "ENTER": 257, "TAB": 258, "BACKSPACE": 259, "INSERT": 260,
    "DEL": 261, "RIGHT": 262, "LEFT": 263, "DOWN": 264, "UP": 265, "PAGE_UP": 266,
    "PAGE_DOWN": 267, "HOME": 268, "END": 269, "APOSTROPHE": 39, "COMMA": 44, "MINUS": 45,
    "PERIOD": 46, "SLASH": 47, "SEMICOLON": 59, "EQUAL": 61, "LEFT_BRACKET": 91, "BACKSLASH": 92,
    "RIGHT_BRACKET": 93, "GRAVE_ACCENT": 96, "LEFT_SHIFT": 340, "LEFT_CONTROL": 341,
    "LEFT_ALT": 342, "RIGHT_SHIFT": 344, "RIGHT_CONTROL": 345, "RIGHT_ALT": 346,
}  # fmt: skip
_NEXT, _PREVIOUS = 93, 91  # the bracket keys
_MOST_LINES = 2000


def key_code(key: KeyboardInput) -> int:
    """Returns the window system's code of a key, -1 if it has none."""
    name = key.name.removeprefix("KEY_")
    if len(name) == 1:
        return ord(name)
    if name[0] == "F" and name[1:].isdigit():
        return 289 + int(name[1:])
    return _NAMED.get(name, -1)


class Viewer:
    """A window that shows one environment; [ and ] switch to the next."""

    def __init__(self, world: World) -> None:
        """Opens the window."""
        self._mirrors, self._num = Mirrors(world), len(world.sim.envs)
        self._shown = 0
        self._actions: dict[int, str] = {}
        self._events: list[ActionEvent] = []
        self._lines: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._due = time.perf_counter()
        self._open(self._mirrors.show(0))

    def _open(self, mirror: PoseMirror) -> None:
        self._mirror, self._opened = mirror, Window(mirror.model, mirror.data, self._on_key)
        self._window = self._opened.handle

    def _turn_to_shown(self) -> None:
        """Brings the environment that is shown into the window; another model needs a new one."""
        mirror = self._mirrors.show(self._shown)
        if mirror is not self._mirror:
            old = self._window.cam
            lookat, view = np.array(old.lookat), (old.distance, old.azimuth, old.elevation)
            self.close()
            self._open(mirror)
            camera = self._window.cam
            camera.lookat[:] = lookat
            camera.distance, camera.azimuth, camera.elevation = view

    def _on_key(self, code: int) -> None:
        if code in self._actions:
            # MuJoCo tells of presses only; a release follows at once.
            for value in (1.0, 0.0):
                self._events.append(ActionEvent(self._actions[code], value))
        self._shown = (self._shown + {_NEXT: 1, _PREVIOUS: -1}.get(code, 0)) % self._num

    def subscribe(self, key: KeyboardInput, action: str) -> None:
        """Reports presses of a key as an action."""
        self._actions[key_code(key)] = action

    def events(self) -> list[ActionEvent]:
        """Returns the actions since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def closed(self) -> bool:
        """Whether the user has closed the window."""
        return not self._window.is_running()

    def look_at(self, env: Env | None, position: Vec3, target: Vec3) -> None:
        """Moves the camera; without an environment, points count from the first one's place."""
        if env is not None:
            self._shown = env.index
        camera, way = self._window.cam, target - position
        camera.lookat[:], camera.distance = list(target), way.length()
        camera.azimuth = float(np.degrees(np.arctan2(way.y, way.x)))
        flat = float(np.hypot(way.x, way.y))
        camera.elevation = float(np.degrees(np.arctan2(way.z, flat)))

    def camera(self) -> Transform:
        """Returns the camera's pose."""
        from rlgpu.isaacgym.drawing.cameras import look_at  # noqa: PLC0415

        camera = self._window.cam
        azimuth, elevation = np.radians([camera.azimuth, camera.elevation])
        way = np.array(
            [
                np.cos(azimuth) * np.cos(elevation),
                np.sin(azimuth) * np.cos(elevation),
                np.sin(elevation),
            ]
        )
        target = np.array(camera.lookat)
        return look_at(Vec3(*(target - camera.distance * way).tolist()), Vec3(*target.tolist()))

    def add_lines(
        self, env: Env | None, starts: np.ndarray, ends: np.ndarray, colors: np.ndarray
    ) -> None:
        """Draws lines of the environment that is shown until they are cleared, shape [L, 3]."""
        if env is None or env.index == self._shown:
            self._lines += list(zip(starts, ends, colors, strict=True))

    def clear_lines(self) -> None:
        """Removes all lines."""
        self._lines.clear()

    def draw(self) -> None:
        """Shows the state now."""
        self._turn_to_shown()
        scene = self._window.user_scn
        count = min(len(self._lines), scene.maxgeom, _MOST_LINES)
        for geom, (start, end, color) in zip(scene.geoms, self._lines[:count], strict=False):
            mujoco.mjv_initGeom(
                geom,
                mujoco.mjtGeom.mjGEOM_LINE,
                np.zeros(3),
                np.zeros(3),
                np.eye(3).flatten(),
                np.array([*color, 1.0], dtype=np.float32),
            )
            mujoco.mjv_connector(
                geom, mujoco.mjtGeom.mjGEOM_LINE, 2.0, start.astype(float), end.astype(float)
            )
        scene.ngeom = count
        self._window.sync()

    def save(self, path: str) -> None:
        """Writes what the window's camera sees to an image file."""
        from PIL import Image  # noqa: PLC0415

        with mujoco.Renderer(self._mirror.model, 540, 960) as renderer:
            renderer.update_scene(self._mirror.data, self._window.cam)
            Image.fromarray(renderer.render()).save(path)

    def wait(self, duration: float) -> None:
        """Sleeps until a time step after the last call has passed [s]."""
        self._due = max(self._due + duration, time.perf_counter() - 0.1)
        time.sleep(max(self._due - time.perf_counter(), 0.0))

    def close(self) -> None:
        """Closes the window."""
        self._opened.close()
