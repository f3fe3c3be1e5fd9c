"""What a walking robot's file says, and what follows from it: pose, feet, gains, symmetry."""

from rlgpu.robots.survey.asset import RobotAsset
from rlgpu.robots.survey.derive import complete, digest_of
from rlgpu.robots.survey.settings import RobotSettings

__all__ = ["RobotAsset", "RobotSettings", "complete", "digest_of"]
