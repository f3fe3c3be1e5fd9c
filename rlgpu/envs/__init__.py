"""Environments: the task interface, and N parallel environments stepped by an engine."""

from rlgpu.envs.checks import explained, scene_of
from rlgpu.envs.columns import Columns
from rlgpu.envs.deployment import Deployment, ObservationTerm
from rlgpu.envs.environments import Environments, Step, WorldCounts
from rlgpu.envs.own_terms import Event, Moment, OwnFailures, any_of
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
from rlgpu.envs.vec_env import VecEnv

__all__ = [
    "Columns",
    "Deployment",
    "Environments",
    "Event",
    "Mark",
    "Moment",
    "ObservationTerm",
    "Outcome",
    "OwnFailures",
    "RewardTerms",
    "Step",
    "Task",
    "TaskConfig",
    "VecEnv",
    "WorldCounts",
    "any_of",
    "explained",
    "observation_space_of",
    "scene_of",
    "shown_space_of",
    "uniform",
]
