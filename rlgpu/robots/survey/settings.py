"""What a task has to know of a walking robot, as values of its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from rlgpu.config import NonNegative, Positive
from rlgpu.robots.survey.gains import DAMPING_RATIO, NATURAL_FREQUENCY


@dataclass(frozen=True)
class RobotSettings:
    """A robot; ``task.robot.*``. What is not given is found in its file.

    Keys of mappings from joints are names, or parts of names: a part counts for every joint whose
    name contains it, and the last one that does counts.
    """

    file: str = ""
    """MJCF or URDF file, or a folder with one and ``robot.yaml``, or ``menagerie:NAME``."""
    base: str = ""
    """Body that floats."""
    joints: list[str] = field(default_factory=list)
    """Driven joints, in the order of actions and observations; others stay passive."""
    default_joint_pos: dict[str, float] = field(default_factory=dict)
    """Joint positions for an action of 0 [rad or m]: those of a keyframe that stands, or else of a
    search."""
    base_height: NonNegative = 0.0
    """Height of the base above the ground in that pose [m]."""
    feet: dict[str, list[float]] = field(default_factory=dict)
    """Bodies that stand on the ground, with the middle of the sole in the body's axes [m]."""
    failing_bodies: list[str] = field(default_factory=list)
    """Bodies whose contact is a failure: the base and what carries several limbs."""
    effort_limit: dict[str, Positive] = field(default_factory=dict)
    """Largest torques or forces [N m or N], by joint."""
    armature: dict[str, NonNegative] = field(default_factory=dict)
    """Inertia of the motors behind their gears [kg m^2 or kg], by joint."""
    stiffness: dict[str, Positive] = field(default_factory=dict)
    """Proportional gains [N m/rad or N/m], by joint."""
    damping: dict[str, NonNegative] = field(default_factory=dict)
    """Derivative gains [N m s/rad or N s/m], by joint."""
    natural_frequency: Positive = NATURAL_FREQUENCY
    """Of a drive against its armature [Hz], from which stiffness follows where it is not known."""
    damping_ratio: Positive = DAMPING_RATIO
    """Of a drive, from which damping follows."""
    action_scale: dict[str, Positive] = field(default_factory=dict)
    """Change of a joint's target for an action of 1 [rad or m]."""
    pose_width: dict[str, Positive] = field(default_factory=dict)
    """How far joints go from their default positions in a walk, for the term ``pose`` [rad]."""
    mirror: dict[str, str] = field(default_factory=dict)
    """The mirror image of each joint, with a minus sign if it turns the other way; empty if the
    robot is not symmetric."""
    self_collision: bool = False
    """Whether the robot touches itself; slower."""
    sources: dict[str, str] = field(default_factory=dict)
    """Where these values are from; for the reader."""
    digest: str = ""
    """SHA-256 of the file in which they were found, by which a change of it is noticed."""
