"""Settings of walking robots that follow a commanded velocity; see ``tasks/legged.py``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from rlgpu.config import Needs, NonNegative, Positive, Range
from rlgpu.envs import TaskConfig
from rlgpu.tasks.legged_rewards import RewardScales
from rlgpu.tasks.legged_terrain import TILES, TerrainSettings
from rlgpu.tasks.velocity_commands import Commands


@dataclass(frozen=True)
class Gains:
    """Gains of the drives: a field counts for every joint whose name contains the field's."""

    joint: NonNegative = 0.0
    """Gain of all joints."""


@dataclass(frozen=True)
class Pushes:
    """Random velocities given to the base; ``task.pushes.*``."""

    interval: NonNegative = 0.0
    """Time between pushes of all robots [s]; 0 is none."""
    max_speed: NonNegative = 1.0
    """Largest velocity given to the base along x and along y [m/s]."""
    per_robot: bool = False
    """Whether each robot is pushed at times of its own, instead of all at once."""


@dataclass(frozen=True)
class Noise:
    """Uniform noise in the observations, +- these values before scaling; ``task.noise.*``."""

    level: NonNegative = 0.0
    """Factor on all noise; 0 is none."""
    lin_vel: NonNegative = 0.1
    """Of the base's velocity [m/s]."""
    ang_vel: NonNegative = 0.2
    """Of the base's angular velocity [rad/s]."""
    gravity: NonNegative = 0.05
    """Of the direction of gravity."""
    joint_pos: NonNegative = 0.01
    """Of joint positions [rad]."""
    joint_vel: NonNegative = 1.5
    """Of joint velocities [rad/s]."""
    heights: NonNegative = 0.1
    """Of measured heights [m]."""


@dataclass(frozen=True)
class LocomotionConfig(TaskConfig):
    """Settings of any walking robot; values as in legged_gym unless a task's YAML has others."""

    start_max_speed: NonNegative = 0.0
    """Largest velocity of the base at reset, in each axis [m/s and rad/s]."""
    start_max_joint_speed: NonNegative = 0.0
    """Largest velocity of a joint at reset [rad/s]."""
    lin_vel_scale: float = 2.0
    """Factor on the base's velocity and its command that are observed."""
    ang_vel_scale: float = 0.25
    """Factor on the base's angular velocity and its command that are observed."""
    joint_vel_scale: float = 0.05
    """Factor on the joint velocities that are observed."""
    only_positive_rewards: bool = True
    """Whether a negative sum of terms becomes 0."""
    tracking_sigma: Positive = 0.25
    """Squared error at which the tracking terms have fallen to 1/e."""
    soft_joint_limit: Annotated[float, Range(0.0, 1.0)] = 1.0
    """Share of a joint's range beyond which ``dof_pos_limits`` counts."""
    max_contact_force: NonNegative = 100.0
    """Force on a foot beyond which ``feet_contact_forces`` counts [N]."""
    max_pitch: Annotated[float, Range(0.0, above=True, infinite=True)] = math.inf
    """Pitch beyond which an episode fails [rad]."""
    max_roll: Annotated[float, Range(0.0, above=True, infinite=True)] = math.inf
    """Roll beyond which an episode fails [rad]."""
    swing_height: Positive = 0.08
    """Height of feet that swing, for ``foot_clearance`` [m]."""
    rewards: RewardScales = field(default_factory=RewardScales)
    commands: Commands = field(default_factory=Commands)
    pushes: Pushes = field(default_factory=Pushes)
    noise: Noise = field(default_factory=Noise)
    terrain: TerrainSettings = field(default_factory=TerrainSettings)

    needs: ClassVar[tuple[Needs, ...]] = (
        Needs("task.pushes.max_speed", "task.pushes.interval"),
        Needs("task.pushes.per_robot", "task.pushes.interval"),
        *(
            Needs(f"task.noise.{name}", "task.noise.level")
            for name in ("lin_vel", "ang_vel", "gravity", "joint_pos", "joint_vel", "heights")
        ),
        *(
            Needs(f"task.terrain.{name}", "task.terrain.kind", tuple(TILES))
            for name in (
                *("num_levels", "tile_size", "border", "curriculum"),
                *("demotion", "max_start_level"),
            )
        ),
        Needs("task.commands.heading", "task.commands.follow_heading"),
        Needs("task.commands.ang_vel_yaw", "task.commands.follow_heading", (False,)),
        Needs("task.soft_joint_limit", "task.rewards.dof_pos_limits"),
        Needs("task.swing_height", "task.rewards.foot_clearance"),
        Needs("task.max_contact_force", "task.rewards.feet_contact_forces"),
    )
    """Settings that count only with others."""


@dataclass(frozen=True)
class LeggedConfig(LocomotionConfig):
    """Settings of a walking robot that a class describes."""

    action_scale: Positive = 0.25
    """Change of a joint's target for an action of 1 [rad]."""
    stiffness: Gains = field(default_factory=Gains)
    """Proportional gains of the drives [N m/rad]."""
    damping: Gains = field(default_factory=Gains)
    """Derivative gains of the drives [N m s/rad]."""
    start_height: Positive = 0.5
    """Height of the base above the ground at reset [m]."""
    base_height_target: NonNegative = 0.0
    """Height that ``base_height`` wants [m]."""

    needs: ClassVar[tuple[Needs, ...]] = (
        *LocomotionConfig.needs,
        Needs("task.base_height_target", "task.rewards.base_height"),
    )
    """Settings that count only with others."""
