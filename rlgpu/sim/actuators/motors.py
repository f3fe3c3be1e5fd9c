"""Models of motors: from targets and the states of joints to torques."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from rlgpu.config import by_joint, check_joint_words
from rlgpu.errors import UsageError, list_some
from rlgpu.sim.actuator_settings import ActuatorSettings
from rlgpu.sim.scene import SceneSpec


class Motors(Protocol):
    """What makes torques of targets, in each physics step."""

    buffers: dict[str, Tensor]
    """What lasts from step to step, with the environments as the first dimension."""

    def torques(self, targets: Tensor, pos: Tensor, vel: Tensor) -> Tensor:
        """Returns torques [N m] or forces [N] before the effort limits, all [N, J]."""

    def reset(self, mask: Tensor) -> None:
        """Forgets what lasts, of environments that are reset, shape [N], bool."""


class Gains:
    """Proportional and derivative gains of a scene's drives; those of ``effort`` drives pass on."""

    def __init__(
        self, scene: SceneSpec, joints: Sequence[str], n: int, device: torch.device
    ) -> None:
        """Reads the drives.

        Args:
            scene: Contains them, and says which of their gains vary.
            joints: Names of the joints, J of them.
            n: Number of environments N.
            device: Of the tensors.
        """
        drives = [scene.drives.get(name) for name in joints]
        is_position = [drive is not None and drive.mode == "position" for drive in drives]
        self.is_position = torch.tensor(is_position, dtype=torch.bool, device=device)
        self.is_driven = torch.tensor([drive is not None for drive in drives], device=device)
        self._values = {
            "drive_stiffness": [drive.stiffness if drive else 0.0 for drive in drives],
            "drive_damping": [drive.damping if drive else 0.0 for drive in drives],
        }
        rows = {name: torch.tensor(row, device=device) for name, row in self._values.items()}
        self.varied = {
            name: row.repeat(n, 1) for name, row in rows.items() if name in scene.parameters
        }
        """Gains that differ between environments, shape [N, J]."""
        rows |= self.varied
        self._stiffness, self._damping = rows["drive_stiffness"], rows["drive_damping"]
        self.buffers: dict[str, Tensor] = {}

    def torques(self, targets: Tensor, pos: Tensor, vel: Tensor) -> Tensor:
        """Returns ``stiffness * (target - pos) - damping * vel``, or targets that are torques."""
        tracking = self._stiffness * (targets - pos) - self._damping * vel
        return torch.where(self.is_position, tracking, targets * self.is_driven)

    def reset(self, mask: Tensor) -> None:
        """Nothing lasts."""


class DcMotors:
    """Motors whose torque falls linearly with their speed."""

    def __init__(
        self,
        gains: Gains,
        settings: ActuatorSettings,
        scene: SceneSpec,
        joints: Sequence[str],
        device: torch.device,
    ) -> None:
        """Reads speeds and torques.

        Raises:
            UsageError: A word names no driven joint, or a joint's speed or torque is not known.
        """
        driven, key = list(scene.drives), "task.actuators."
        for name in ("no_load_speed", "stall_torque"):
            check_joint_words(f"{key}{name}", getattr(settings, name), driven)
        speeds = by_joint(settings.no_load_speed, driven)
        limits = {name: drive.effort_limit for name, drive in scene.drives.items()}
        stalls = limits | by_joint(settings.stall_torque, driven)
        _check_all(f"{key}no_load_speed", [name for name in driven if name not in speeds], 30)
        unlimited = [name for name in driven if not math.isfinite(stalls[name])]
        _check_all(f"{key}stall_torque", unlimited, 20)
        self.buffers: dict[str, Tensor] = {}
        self._gains = gains
        self._speed = _row(speeds, joints, device)
        self._stall = _row(stalls, joints, device)

    def torques(self, targets: Tensor, pos: Tensor, vel: Tensor) -> Tensor:
        """Returns torques within ``stall_torque * (+-1 - vel / no_load_speed)``."""
        share = vel / self._speed
        wanted = self._gains.torques(targets, pos, vel)
        # Beyond the no-load speed a motor brakes, and none drives it further.
        limited = wanted.clamp(self._stall * (-1.0 - share), self._stall * (1.0 - share))
        return limited * self._gains.is_driven

    def reset(self, mask: Tensor) -> None:
        """Nothing lasts."""


def _row(values: Mapping[str, float], joints: Sequence[str], device: torch.device) -> Tensor:
    return torch.tensor([values.get(name, 1.0) for name in joints], device=device)


def _check_all(key: str, missing: Sequence[str], example: int) -> None:
    if missing:
        said = f"{key}: there is none for {list_some(missing)}; e.g. {key}.all={example}"
        raise UsageError(said, key=key, value=tuple(missing))
