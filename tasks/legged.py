"""Walking robots that a class describes: Anymal, Go2 and G1.

A robot's own file names its asset, feet, default pose and observation columns; what it does is in
``tasks/locomotion.py``.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from rlgpu.envs import Columns
from rlgpu.sim import Drive
from rlgpu.tasks.legged_checks import effort_limit_of
from rlgpu.tasks.legged_config import Gains, LeggedConfig
from rlgpu.tasks.locomotion import Locomotion
from rlgpu.tasks.walker import Walker

QUADRUPED = Columns(
    lin_vel_b=3, ang_vel_b=3, gravity_b=3, commands=3, joint_pos=12, joint_vel=12, actions=12
)
"""What robots on four legs observe."""


class Legged(Locomotion):
    """Walk as commanded, a robot of ``tasks/assets``."""

    asset: ClassVar[str]
    """File of the robot in ``tasks/assets``."""
    default_joint_pos: ClassVar[dict[str, float]]
    """Joint positions for an action of 0 [rad], in the asset's order."""
    effort_limits: ClassVar[dict[str, float]]
    """Largest torques [N m] by parts of the joints' names."""
    feet: ClassVar[tuple[str, ...]]
    """Bodies that stand on the ground."""
    failing_bodies: ClassVar[tuple[str, ...]]
    """Bodies whose contact is a failure."""
    colliding_bodies: ClassVar[tuple[str, ...]] = ()
    """Bodies whose contact the term ``collision`` counts."""
    hip_joints: ClassVar[tuple[str, ...]] = ()
    """Joints that the term ``hip_pos`` keeps near 0."""
    config: LeggedConfig

    @cached_property
    def walker(self) -> Walker:
        """What the class says of its robot."""
        config = self.config
        return Walker(
            asset=Path(__file__).parent / "assets" / self.asset,
            drives={
                name: Drive(
                    "position",
                    stiffness=gain_of(config.stiffness, name),
                    damping=gain_of(config.damping, name),
                    effort_limit=effort_limit_of(self.effort_limits, name),
                )
                for name in self.default_joint_pos
            },
            default_joint_pos=self.default_joint_pos,
            action_scale=dict.fromkeys(self.default_joint_pos, config.action_scale),
            start_height=config.start_height,
            base_height=config.base_height_target,
            feet=dict.fromkeys(self.feet, (0.0, 0.0, 0.0)),
            failing_bodies=self.failing_bodies,
            colliding_bodies=self.colliding_bodies,
            hip_joints=self.hip_joints,
        )


def gain_of(gains: Gains, joint: str) -> float:
    """Returns a joint's gain: that of the last field whose name is part of it, or ``joint``'s.

    Args:
        gains: Gains by parts of joints' names.
        joint: Name of a joint.
    """
    values: dict[str, Any] = dataclasses.asdict(gains)
    named = [value for part, value in values.items() if part != "joint" and part in joint]
    return float(named[-1] if named else values["joint"])
