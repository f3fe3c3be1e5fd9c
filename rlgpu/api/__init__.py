"""The Python API: ``rlgpu.train``, ``rlgpu.make_env``, ``rlgpu.PPOAgent``."""

from rlgpu.api.agent import Action, PPOAgent
from rlgpu.api.running import Result, make_env, train

__all__ = ["Action", "PPOAgent", "Result", "make_env", "train"]
