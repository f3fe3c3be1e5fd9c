"""What a picture shows: one environment or several side by side, and a task's marks."""

from __future__ import annotations

import math
from typing import Any

from rlgpu.envs import Environments, Mark
from rlgpu.playing.camera import follow, view_ahead

MOST_SHOWN = 16
"""Most environments that one picture shows."""


def num_shown(num_envs: int) -> int:
    """Returns how many environments a picture shows: all if they are few, else one."""
    return num_envs if num_envs <= MOST_SHOWN else 1


class Picture:
    """Fills MuJoCo's scenes with environments, of which the camera follows the first."""

    def __init__(self, env: Environments) -> None:
        """Prepares a picture: of all environments if they are few, else of the first.

        Args:
            env: The environments.
        """
        self._env, self.mirror = env, env.mirrored_scene()
        self._shown = num_shown(env.num_envs)
        self._across, self._behind = self._steps()
        self._size = 0.5 * float(self.mirror.model.stat.extent)

    def draw(self, renderer: Any, camera: Any) -> None:
        """Draws the environments into a renderer's scene, without those that hide the first."""
        self.mirror.show(0)
        renderer.update_scene(self.mirror.data, camera)
        self.add(renderer.scene, first=0, clear=(renderer.scene.camera[0].pos, self._middle()))

    def _middle(self) -> Any:
        """Returns the centre of mass of the robot that is shown [m], shape [3]."""
        return self.mirror.data.subtree_com[1].copy()

    def add(self, scene: Any, *, first: int, clear: tuple[Any, Any] | None = None) -> None:
        """Adds to a scene the other environments, and the marks of all.

        Args:
            scene: Shows one environment already.
            first: Number of that environment.
            clear: Two points [m], each of shape [3]; an environment whose robot has moved between
                them is not added.
        """
        import numpy as np  # noqa: PLC0415

        add_marks(scene, self._env.marks(first), (0.0, 0.0))
        if self._shown == 1:
            return
        for number in range(1, self._shown):
            env_id, offset = (first + number) % self._shown, self._offset(number)
            self.mirror.show(env_id)
            middle = self._middle() + np.array([*offset, 0.0])
            if clear and _is_between(middle, *clear, self._size):
                continue
            self._add_moving(scene, offset)
            add_marks(scene, self._env.marks(env_id), offset)

    def _steps(self) -> tuple[Any, Any]:
        """Returns the steps from one environment to the next beside and behind it [m], each [2].

        Seen from the camera, so that no environment stands between it and the first.
        """
        import mujoco  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415

        model, data = self.mirror.model, self.mirror.data
        if model.nhfield:  # on uneven ground every robot has its own place already
            return np.zeros(2), np.zeros(2)
        self.mirror.show(0)
        camera = mujoco.MjvCamera()
        follow(model, camera)
        behind = view_ahead(model, data, camera)
        across = np.array([behind[1], -behind[0]])
        return across * _spacing(model, data, across), behind * _spacing(model, data, behind)

    def _offset(self, number: int) -> tuple[float, float]:
        """Returns where an environment stands: beside the first, or in rows behind it [m].

        Every other row is shifted by half a step, so that the first hides fewer of them.
        """
        row, place = divmod(number, math.ceil(math.sqrt(self._shown)))
        column = (place + 1) // 2 * (-1 if place % 2 else 1) + 0.5 * (row % 2)
        x, y = column * self._across + row * self._behind
        return float(x), float(y)

    def _add_moving(self, scene: Any, offset: tuple[float, float]) -> None:
        """Adds the bodies that move, shifted."""
        import mujoco  # noqa: PLC0415

        before = scene.ngeom
        mujoco.mjv_addGeoms(
            self.mirror.model,
            self.mirror.data,
            mujoco.MjvOption(),
            mujoco.MjvPerturb(),
            int(mujoco.mjtCatBit.mjCAT_DYNAMIC),
            scene,
        )
        for geom in scene.geoms[before : scene.ngeom]:
            geom.pos[0] += offset[0]
            geom.pos[1] += offset[1]


def _is_between(point: Any, start: Any, end: Any, margin: float) -> bool:
    """Returns whether a point is close to the line between two others, but not to its end.

    Args:
        point: The point [m], shape [3].
        start: Start of the line [m], shape [3].
        end: Its end [m], shape [3].
        margin: The distance that is close [m].
    """
    import numpy as np  # noqa: PLC0415

    length = float(np.linalg.norm(end - start))
    along = float((point - start) @ (end - start)) / max(length, 1e-9)
    aside = float(np.linalg.norm(point - start - along / max(length, 1e-9) * (end - start)))
    return -margin < along < length - margin and aside < margin


def _spacing(model: Any, data: Any, direction: Any) -> float:
    """Returns the distance of two environments in a direction [m].

    One and a half times the model's size, or more if it slides on a rail along the direction.
    """
    import mujoco  # noqa: PLC0415

    slides = (model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE) & (model.jnt_limited == 1)
    travel = model.jnt_range[:, 1] - model.jnt_range[:, 0]
    reach = (abs(data.xaxis[:, :2] @ direction) * travel)[slides].sum()
    return float(max(1.5 * model.stat.extent, 1.1 * reach))


def add_marks(scene: Any, marks: list[Mark], offset: tuple[float, float]) -> None:
    """Adds spheres and arrows to a MuJoCo scene, as far as it has room.

    Args:
        scene: A ``mujoco.MjvScene``.
        marks: What to add.
        offset: Shift along x and y [m].
    """
    import mujoco  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    kinds, shift = mujoco.mjtGeom, np.array([*offset, 0.0])
    for mark in marks[: scene.maxgeom - scene.ngeom]:
        geom = scene.geoms[scene.ngeom]
        scene.ngeom += 1
        kind = kinds.mjGEOM_SPHERE if mark.to is None else kinds.mjGEOM_ARROW
        size, at = np.full(3, mark.size), np.array(mark.at) + shift
        rgba = np.array(mark.rgba, dtype=np.float32)
        mujoco.mjv_initGeom(geom, kind, size, at, np.eye(3).flatten(), rgba)
        if mark.to is not None:
            mujoco.mjv_connector(geom, kind, mark.size, at, np.array(mark.to) + shift)
