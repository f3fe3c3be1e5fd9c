"""What a task requires from an engine: a robot, what is around it, and the measured quantities."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from rlgpu.errors import UnknownName
from rlgpu.sim.actuator_settings import ActuatorSettings
from rlgpu.sim.terrain import HeightField

_Mode = Literal["effort", "position"]

PARAMETERS = (
    "body_mass",
    "body_com",
    "friction",
    "joint_damping",
    "joint_armature",
    "drive_stiffness",
    "drive_damping",
    "gravity",
)
"""Physical parameters that may differ between environments; see ``Simulator.parameters``."""
SIGNED_PARAMETERS = ("gravity", "body_com")
"""Those of them that may be negative."""


@dataclass(frozen=True)
class Drive:
    """How one joint is actuated.

    ``effort``: the target is a torque [N m] or force [N]. ``position``: the target is an angle
    [rad] or displacement [m], tracked by ``stiffness * (target - q) - damping * qd``.
    """

    mode: _Mode
    stiffness: float = 0.0
    """Proportional gain [N m/rad or N/m]; ``position`` only."""
    damping: float = 0.0
    """Derivative gain [N m s/rad or N s/m]; ``position`` only."""
    effort_limit: float = float("inf")
    """Largest absolute torque or force [N m or N]."""

    def __post_init__(self) -> None:
        if self.mode not in get_args(_Mode):
            said, modes = (
                f"Drive: mode={self.mode!r}: it is 'effort' or 'position'",
                get_args(_Mode),
            )
            raise UnknownName(self.mode, modes, said, kind="mode")
        for name in ("stiffness", "damping", "effort_limit"):
            value = getattr(self, name)
            most = math.inf if name == "effort_limit" else sys.float_info.max
            if not (isinstance(value, Real) and abs(float(value)) <= most):
                raise ValueError(f"Drive: {name}={value!r}: it is a number, and not NaN")


class Asset(Protocol):
    """A robot and what is around it, made ready for engines by whoever reads its file."""

    @property
    def file(self) -> Path:
        """The file that it is from, for messages."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    def spec(self) -> Any:
        """Returns a new ``mujoco.MjSpec``, without actuators."""


@dataclass(frozen=True)
class SceneSpec:
    """One robot and what is around it, and the quantities its task reads."""

    asset: Path | Asset
    """MJCF file of the robot, its ground, furniture (bodies without joints) and objects, without
    actuators or sensors; or what makes such a model."""
    drives: Mapping[str, Drive]
    """Driven joints by name; the others are passive."""
    terrain: HeightField | None = None
    """Uneven ground in the place of the asset's plane."""
    root: str = ""
    """The robot's root body; empty: the first body of the file."""
    objects: Sequence[str | Sequence[str]] = ()
    """Bodies with a free joint of their own beside the robot, in the order of ``object_pos_w``. A
    list of names gives each environment one of them, cyclically; ``object_kind`` holds the index.
    All of them are in the asset."""
    force_bodies: tuple[str, ...] = ()
    """Bodies that the task pushes by ``Simulator.set_forces``, such as rotors, in its order."""
    wrench_bodies: tuple[str, ...] = ()
    """Bodies whose contact wrench is measured, in the order of ``contact_wrench_b``."""
    contact_forces: bool = False
    """Whether the net contact force on every body is measured."""
    jacobian_body: str = ""
    """Body whose Jacobian is computed, with the joints' mass matrix; empty: none. Needs
    ``body_states``."""
    drive_forces: bool = False
    """Whether the torques of the drives are measured."""
    body_states: bool = False
    """Whether poses and velocities of all bodies are kept current; costs a kinematics pass."""
    actuators: ActuatorSettings = field(default_factory=ActuatorSettings)
    """How drives make torques; those of ``task.actuators`` for a task's scene."""
    parameters: tuple[str, ...] = ()
    """Physical parameters, from ``PARAMETERS``, that have a separate value in every environment."""

    @property
    def file(self) -> Path:
        """The file that the robot is from."""
        return self.asset if isinstance(self.asset, Path) else self.asset.file

    @property
    def choices(self) -> list[tuple[str, ...]]:
        """The bodies that each object may be, usually a single one."""
        return [(entry,) if isinstance(entry, str) else tuple(entry) for entry in self.objects]

    @property
    def object_bodies(self) -> list[str]:
        """All bodies of objects, those of a list one after another."""
        return [name for bodies in self.choices for name in bodies]


@dataclass(frozen=True)
class Timing:
    """How control steps divide into physics steps."""

    physics_dt: float
    """Duration of a physics step [s]."""
    decimation: int
    """Physics steps per control step; the targets are held constant."""
    step_dt: float = field(init=False)
    """Duration of a control step [s]."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "step_dt", self.physics_dt * self.decimation)
