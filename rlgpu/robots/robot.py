"""A robot read from a file: one articulation, as a specification of MuJoCo."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import mujoco

from rlgpu.sim.mujoco.layout import SCALAR_JOINTS

RESERVED, STAND_IN = "world", "world_"
"""MuJoCo's own body, and what a link of that name is called in specifications."""
MAX_VELOCITY = 100.0
"""PhysX's own limit where a file states none [rad/s or m/s]."""

__all__ = [
    "MAX_VELOCITY",
    "RESERVED",
    "SCALAR_JOINTS",
    "STAND_IN",
    "Actuator",
    "Drive",
    "ReadOptions",
    "Robot",
]


@dataclass(frozen=True)
class ReadOptions:
    """How a robot's file is read."""

    armature: float = 0.0
    """Least armature of every joint [kg m^2 or kg]."""
    collapse_fixed_joints: bool = False
    """Whether links of a URDF file joined by fixed joints become one body; MJCF bodies stay."""
    density: float = 1000.0
    """For shapes of bodies whose mass the file does not state [kg/m^3]."""
    disable_gravity: bool = False
    fix_base_link: bool = False
    override_com: bool = False
    """Whether centres of mass follow from the shapes instead of the file."""
    override_inertia: bool = False
    """Whether inertia tensors follow from the shapes instead of the file; masses stay."""
    replace_cylinder_with_capsule: bool = False
    visuals: bool = False
    """Whether a URDF file's visual shapes are kept, which are drawn and neither touch nor weigh."""
    vhacd_enabled: bool = False
    """Whether meshes are to be decomposed into convex parts, which is reported as not done."""


class Actuator(NamedTuple):
    """An actuator of an MJCF file."""

    name: str
    joint: str
    kind: Literal["motor", "position", "velocity"]
    stiffness: float = 0.0
    """Force a radian or metre, of a position actuator."""
    damping: float = 0.0
    """Force a radian or metre a second, of a position or velocity actuator."""
    effort: float = 0.0
    """Force for a control of 1, of a motor [N m or N]."""
    control_range: tuple[float, float] | None = None
    force_range: tuple[float, float] | None = None
    gear: float = 1.0
    """Factor of the force on the joint, which is in ``effort`` already."""


class Drive(NamedTuple):
    """What a file says of a joint beyond what MuJoCo's model holds."""

    mode: Literal["position", "velocity"] | None = None
    """None if the file does not say."""
    stiffness: float | None = None
    effort: float = math.inf
    velocity: float = MAX_VELOCITY
    friction: float = 0.0


@dataclass
class Robot:
    """One articulation. Bodies and degrees of freedom are in depth-first order."""

    file: str
    """What it was read from, for messages."""
    spec: mujoco.MjSpec
    """One body under the world, without a free joint, actuators or sensors; inertia is explicit."""
    drives: dict[str, Drive] = field(default_factory=dict)
    """By joint."""
    actuators: tuple[Actuator, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    """Names of the joints that hold bodies to their parents, by body, where the file names them."""
    owners: dict[str, str] = field(default_factory=dict)
    """Names of the geoms that are the first convex parts of shapes, by names of further parts."""
