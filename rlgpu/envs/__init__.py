"""Environments: the task interface, and N parallel environments stepped by an engine."""

from rlgpu.envs.checks import explained, scene_of
from rlgpu.envs.columns import Columns
from rlgpu.envs.foreign import ForeignSettings, ForeignTask, Stepped, foreign_task
from rlgpu.envs.reward_terms import RewardTerms
from rlgpu.envs.task import (
    Mark,
    Outcome,
    Task,
    TaskConfig,
    observation_space_of,
    shown_space_of,
    uniform,
)
from rlgpu.envs.vec_env import Step, VecEnv, WorldCounts

__all__ = [
    "Columns",
    "ForeignSettings",
    "ForeignTask",
    "Mark",
    "Outcome",
    "RewardTerms",
    "Step",
    "Stepped",
    "Task",
    "TaskConfig",
    "VecEnv",
    "WorldCounts",
    "explained",
    "foreign_task",
    "observation_space_of",
    "scene_of",
    "shown_space_of",
    "uniform",
]
