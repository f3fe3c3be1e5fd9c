"""What surrounds a policy on a robot: joints, gains, scales, terms of the observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ObservationTerm(NamedTuple):
    """Neighbouring columns of an observation: ``scale * (value - offset)``."""

    name: str
    scale: tuple[float, ...]
    """Factor on each column."""
    offset: tuple[float, ...]
    """What is subtracted from each column first, such as default joint positions [rad]."""


class Deployment(NamedTuple):
    """How a robot is driven by a policy's actions; tuples are in the order of the actions.

    The target of a joint is ``default_joint_pos + action_scale * action``, its torque
    ``stiffness * (target - position) - damping * velocity`` within ``effort_limit``.
    """

    joints: tuple[str, ...]
    default_joint_pos: tuple[float, ...]
    """[rad or m]."""
    stiffness: tuple[float, ...]
    """[N m/rad or N/m]."""
    damping: tuple[float, ...]
    """[N m s/rad or N s/m]."""
    effort_limit: tuple[float, ...]
    """[N m or N]."""
    action_scale: tuple[float, ...]
    """[rad or m]."""
    observations: tuple[ObservationTerm, ...]
    """Terms of the task's whole observation, in order."""
    commands: Mapping[str, tuple[float, float]]
    """Ranges of the commands that it was trained with, by name [m/s, rad/s or rad]."""
    base: str
    """Body whose velocity, rates and gravity are observed, in its axes or those of ``imu``."""
    start_height: float
    """Height of the base above the ground at the start [m]."""
    start_joint_pos: Mapping[str, float]
    """Positions of all joints there, passive ones too, by name [rad or m]."""
    gait_period: float
    """Length of a foot's cycle [s], of which ``phase`` is sine and cosine."""
    imu: str = ""
    """Site in whose axes they are; empty: the base's."""
