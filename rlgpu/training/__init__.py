"""Training: rollouts, updates, logging, checkpoints, and the run folder they are saved in."""

from rlgpu.training.assemble import build_env, load_trained, make_agent, seed_everything
from rlgpu.training.checkpoint import (
    Checkpoint,
    carry_best_over,
    check_compatible,
    check_resumable,
    find_checkpoint,
    load_checkpoint,
    misfit_of,
)
from rlgpu.training.console import Display
from rlgpu.training.episodes import EpisodeStatistics
from rlgpu.training.origin import origin_of
from rlgpu.training.resumed_schedules import describe_changed_schedules
from rlgpu.training.run_folder import (
    create_run_folder,
    newest_task,
    read_run_folder,
    remove_unused,
    task_folder,
    training_failed,
)
from rlgpu.training.tasks import Tasks
from rlgpu.training.trainer import Trainer

__all__ = [
    "Checkpoint",
    "Display",
    "EpisodeStatistics",
    "Tasks",
    "Trainer",
    "build_env",
    "carry_best_over",
    "check_compatible",
    "check_resumable",
    "create_run_folder",
    "describe_changed_schedules",
    "find_checkpoint",
    "load_checkpoint",
    "load_trained",
    "make_agent",
    "misfit_of",
    "newest_task",
    "origin_of",
    "read_run_folder",
    "remove_unused",
    "seed_everything",
    "task_folder",
    "training_failed",
]
