"""The learner: PPO, its rollout storage and schedules, independent of engines and tasks."""

from rlgpu.learner.ppo import Ppo, UpdateMetrics
from rlgpu.learner.storage import RolloutStorage

__all__ = ["Ppo", "RolloutStorage", "UpdateMetrics"]
