"""The learner: PPO on tensors, its schedules. Knows nothing of engines or tasks."""

from rlgpu.learner.ppo import Ppo, UpdateMetrics

__all__ = ["Ppo", "UpdateMetrics"]
