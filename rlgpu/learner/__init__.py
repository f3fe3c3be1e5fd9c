"""The learners, PPO and DQN, their storages and schedules, independent of engines and tasks."""

from rlgpu.learner.agent import Agent
from rlgpu.learner.dqn import Dqn
from rlgpu.learner.metrics import UpdateMetrics
from rlgpu.learner.ppo import Ppo
from rlgpu.learner.storage import RolloutStorage

__all__ = ["Agent", "Dqn", "Ppo", "RolloutStorage", "UpdateMetrics"]
