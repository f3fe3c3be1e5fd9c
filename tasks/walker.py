"""What walking tasks know of a robot, whoever says it: a task's class or a robot's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rlgpu.sim import Asset, Drive

GAIT_PERIOD = 0.8
"""Length of a foot's cycle [s]; the second foot is half a cycle behind."""


@dataclass(frozen=True)
class Walker:
    """A robot that walks."""

    asset: Path | Asset
    drives: Mapping[str, Drive]
    """Position drives by joint, in the order of actions; other joints are passive."""
    default_joint_pos: Mapping[str, float]
    """Joint positions for an action of 0 [rad or m]; of all joints."""
    action_scale: Mapping[str, float]
    """Change of a driven joint's target for an action of 1 [rad or m]."""
    start_height: float
    """Height of the base above the ground at reset [m]."""
    base_height: float
    """Height that the term ``base_height`` wants [m]."""
    feet: Mapping[str, tuple[float, float, float]]
    """Bodies that stand on the ground, with the middle of the sole in the body's axes [m]."""
    failing_bodies: tuple[str, ...]
    """Bodies whose contact is a failure."""
    colliding_bodies: tuple[str, ...] = ()
    """Bodies whose contact the term ``collision`` counts."""
    hip_joints: tuple[str, ...] = ()
    """Joints that the term ``hip_pos`` keeps near 0."""
    pose_width: Mapping[str, float] | None = None
    """How far joints go from their default positions in a walk [rad or m]; None: 0.3 for each."""
    root: str = ""
    """Body that floats; empty: the first body of the file."""
