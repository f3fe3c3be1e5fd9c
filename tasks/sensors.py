"""Sensors of a robot's file (``<sensor>``), computed from the state of its bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.errors import UsageError, list_some, nearest
from rlgpu.rotations import matrix_of, quat_multiply, quat_rotate, quat_rotate_inverse
from rlgpu.sim import Asset, SimState, Simulator


class _Frame(NamedTuple):
    """A frame on a body: of a site, or the body's own."""

    body: str
    pos_b: tuple[float, float, float]
    """Its origin in the body's axes [m]."""
    quat_b: tuple[float, float, float, float]
    """Its orientation there, (x, y, z, w)."""


class _Motion(NamedTuple):
    """Motion of a frame in world axes, [N, 3] and, of ``quat_w``, [N, 4]."""

    pos_w: Tensor
    quat_w: Tensor
    lin_vel_w: Tensor
    ang_vel_w: Tensor


KINDS: dict[str, tuple[int, Callable[[_Motion], Tensor]]] = {
    "gyro": (3, lambda m: quat_rotate_inverse(m.quat_w, m.ang_vel_w)),
    "velocimeter": (3, lambda m: quat_rotate_inverse(m.quat_w, m.lin_vel_w)),
    "framepos": (3, lambda m: m.pos_w),
    "framequat": (4, lambda m: m.quat_w),
    "framelinvel": (3, lambda m: m.lin_vel_w),
    "frameangvel": (3, lambda m: m.ang_vel_w),
    "framexaxis": (3, lambda m: matrix_of(m.quat_w)[..., 0]),
    "frameyaxis": (3, lambda m: matrix_of(m.quat_w)[..., 1]),
    "framezaxis": (3, lambda m: matrix_of(m.quat_w)[..., 2]),
}
"""Sensors that are computed, by MuJoCo's names of their types: width, and function of a motion."""
TOUCH = "touch"
"""A touch sensor has one number, the net contact force on its site's body [N]."""


class Sensors:
    """Some of a robot's sensors, and a frame in whose axes its motion is observed."""

    def __init__(self, names: Sequence[str], imu: str, asset: Asset, root: str) -> None:
        """Finds the sensors in the robot's file.

        Args:
            names: Names of sensors.
            imu: A site in whose axes rates and gravity are wanted; empty: none.
            asset: The robot.
            root: The body that floats.

        Raises:
            UsageError: The file does not have one of them, or it is of a kind that is not computed.
        """
        self.kinds: dict[str, str] = {}
        self._frames: dict[str, _Frame] = {}
        self._root = root
        self._bodies: dict[str, int] = {}
        self._mounts: dict[_Frame, tuple[Tensor, Tensor]] = {}
        self.imu: _Frame | None = None
        if names or imu:
            model = asset.spec().compile()
            for name in names:
                self.kinds[name], self._frames[name] = _find(model, name, asset.name)
            if imu:
                self.imu = _site(model, imu, asset.name)

    @property
    def widths(self) -> dict[str, int]:
        """Numbers that each sensor gives."""
        return {name: KINDS.get(kind, (1,))[0] for name, kind in self.kinds.items()}

    @property
    def need_bodies(self) -> bool:
        """Whether states of bodies beside the base are needed."""
        frames = [f for n, f in self._frames.items() if self.kinds[n] != TOUCH]
        return any(frame.body != self._root for frame in (*frames, self.imu) if frame)

    def bind(self, sim: Simulator) -> None:
        """Looks up bodies and places the frames."""
        n, device = sim.num_envs, sim.device
        for frame in (*self._frames.values(), *([self.imu] if self.imu else [])):
            self._bodies[frame.body] = sim.body_names.index(frame.body)
            arm = torch.tensor(frame.pos_b, device=device).repeat(n, 1)
            self._mounts[frame] = arm, torch.tensor(frame.quat_b, device=device).repeat(n, 1)

    def read(self, state: SimState) -> Iterator[tuple[str, Tensor]]:
        """Yields the sensors' names and values, each of shape [N, width]."""
        for name, kind in self.kinds.items():
            frame = self._frames[name]
            if kind == TOUCH:
                force = state.contact_force_w[:, self._bodies[frame.body]]
                yield name, force.norm(dim=-1, keepdim=True)
            else:
                yield name, KINDS[kind][1](self.motion(state, frame))

    def motion(self, state: SimState, frame: _Frame) -> _Motion:
        """Returns the motion of a frame."""
        if frame.body == self._root:
            pos_w, quat_w = state.root_pos_w, state.root_quat_w
            lin_vel_w, ang_vel_w = state.root_lin_vel_w, state.root_ang_vel_w
        else:
            body = self._bodies[frame.body]
            pos_w, quat_w = state.body_pos_w[:, body], state.body_quat_w[:, body]
            lin_vel_w, ang_vel_w = state.body_lin_vel_w[:, body], state.body_ang_vel_w[:, body]
        arm_b, turn_b = self._mounts[frame]
        arm_w = quat_rotate(quat_w, arm_b)
        turning_w = torch.linalg.cross(ang_vel_w, arm_w)
        return _Motion(
            pos_w + arm_w, quat_multiply(quat_w, turn_b), lin_vel_w + turning_w, ang_vel_w
        )

    def seen_by_imu(self, state: SimState, down_w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns velocity, angular velocity and the direction down in the IMU's axes, [N, 3].

        Args:
            state: The engine's tensors.
            down_w: The direction down in world axes, shape [N, 3].
        """
        assert self.imu is not None
        motion = self.motion(state, self.imu)
        vectors = torch.stack((motion.lin_vel_w, motion.ang_vel_w, down_w), dim=1)
        seen = quat_rotate_inverse(motion.quat_w[:, None].expand(-1, 3, -1), vectors)
        return seen[:, 0], seen[:, 1], seen[:, 2]


def _find(model: Any, name: str, file: str) -> tuple[str, _Frame]:
    """Returns kind and frame of a sensor."""
    import mujoco  # noqa: PLC0415

    known = [model.sensor(i).name for i in range(model.nsensor)]
    if name not in known:
        raise _unknown("task.sensors", name, known, file, "sensor")
    row = known.index(name)
    kind = mujoco.mjtSensor(model.sensor_type[row]).name.removeprefix("mjSENS_").lower()
    if kind not in (*KINDS, TOUCH) or model.sensor_reftype[row]:
        can = ", ".join((*KINDS, TOUCH))
        said = f"task.sensors: {name} is of kind {kind}, or relative; what is computed: {can}"
        raise UsageError(said, key="task.sensors", value=name, allowed=[*KINDS, TOUCH])
    number = int(model.sensor_objid[row])
    if model.sensor_objtype[row] == mujoco.mjtObj.mjOBJ_SITE:
        return kind, _site(model, model.site(number).name, file)
    if model.sensor_objtype[row] == mujoco.mjtObj.mjOBJ_XBODY:
        return kind, _Frame(model.body(number).name, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    said = f"task.sensors: {name} is not at a site or a body's frame"
    raise UsageError(said, key="task.sensors", value=name)


def _site(model: Any, name: str, file: str) -> _Frame:
    known = [model.site(i).name for i in range(model.nsite)]
    if name not in known:
        raise _unknown("task.imu", name, known, file, "site")
    row = model.site(name).id
    x, y, z = (float(value) for value in model.site_pos[row])
    w, i, j, k = (float(value) for value in model.site_quat[row])
    return _Frame(model.body(model.site_bodyid[row]).name, (x, y, z), (i, j, k, w))


def _unknown(key: str, name: str, known: list[str], file: str, kind: str) -> UsageError:
    has = f"it has {list_some(known)}" if known else "it has none"
    said = f"{key}: {file} has no {kind} {name}; {has}{nearest(name, known)}"
    return UsageError(said, key=key, value=name, allowed=known)
