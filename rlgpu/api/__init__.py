"""The Python API: ``train``, ``make_env``, ``load_policy`` and ``PPOAgent`` of ``rlgpu``."""

from rlgpu.api.agent import Action, PPOAgent
from rlgpu.api.running import Policy, Result, load_policy, make_env, train

__all__ = ["Action", "PPOAgent", "Policy", "Result", "load_policy", "make_env", "train"]
