"""Training: rollouts, updates, logging, checkpoints, and the run folder they are saved in."""

from rlgpu.training.assemble import make_agent, make_env, seed_everything
from rlgpu.training.checkpoint import (
    carry_best_over,
    check_compatible,
    check_resumable,
    find_checkpoint,
    load_checkpoint,
)
from rlgpu.training.console import Display
from rlgpu.training.run_folder import create_run_folder, task_folder
from rlgpu.training.trainer import Trainer, TrainingFailed

__all__ = [
    "Display",
    "Trainer",
    "TrainingFailed",
    "carry_best_over",
    "check_compatible",
    "check_resumable",
    "create_run_folder",
    "find_checkpoint",
    "load_checkpoint",
    "make_agent",
    "make_env",
    "seed_everything",
    "task_folder",
]
