"""The Python API: ``train``, ``make_env``, ``load_policy`` and ``PPOAgent`` of ``rlgpu``."""

from rlgpu.api.agent import Action, PPOAgent
from rlgpu.api.running import Result, load_policy, make_env, train
from rlgpu.errors import TrainingFailed, UsageError
from rlgpu.playing import Policy

__all__ = [
    "Action",
    "PPOAgent",
    "Policy",
    "Result",
    "TrainingFailed",
    "UsageError",
    "load_policy",
    "make_env",
    "train",
]
