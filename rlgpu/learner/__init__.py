"""The learner: PPO, its rollout storage and schedules, independent of engines and tasks."""

from rlgpu.learner.metrics import UpdateMetrics
from rlgpu.learner.ppo import Ppo
from rlgpu.learner.storage import RolloutStorage

__all__ = ["Ppo", "RolloutStorage", "UpdateMetrics"]
