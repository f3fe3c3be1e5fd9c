"""Environments: the task interface, and N parallel environments stepped by an engine."""

from rlgpu.envs.checks import explained, scene_of
from rlgpu.envs.columns import Columns
from rlgpu.envs.foreign import ForeignTask
from rlgpu.envs.task import Outcome, Task, TaskConfig, uniform
from rlgpu.envs.vec_env import Step, VecEnv, WorldCounts

__all__ = [
    "Columns",
    "ForeignTask",
    "Outcome",
    "Step",
    "Task",
    "TaskConfig",
    "VecEnv",
    "WorldCounts",
    "explained",
    "scene_of",
    "uniform",
]
