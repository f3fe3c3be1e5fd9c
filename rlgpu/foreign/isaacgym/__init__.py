"""Training tasks written for Isaac Gym, as they are, with rlgpu's learner."""

from rlgpu.foreign.isaacgym.sources import script_task

__all__ = ["script_task"]
