"""Tasks that bring their own environments instead of a scene for our engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch

from rlgpu.envs import Environments, TaskConfig


class EnvRequest(NamedTuple):
    """The environments that a task is to build."""

    config: Any
    """An instance of the task's ``Config``."""
    num_envs: int
    seed: int
    """Seed of all random generators that they use."""
    device: torch.device
    """Device of the simulation."""
    engine: str
    """Name of the engine."""


MakeEnv = Callable[[EnvRequest], Environments]
"""Builds the environments of such a task; raises ``UsageError``, which says why, if it cannot."""

UNUSED = (
    "task.physics_dt",
    "task.decimation",
    "task.clip_actions",
    "task.clip_observations",
    "task.history",
    "task.actuators.",
    "task.own_rewards",
    "task.own_terminations",
    "task.own_events",
    "task.randomize",
    "task.randomization.",
    "task.hidden",
    "task.hidden_from",
)
"""Settings of tasks that such environments do not follow; refused on the command line."""


class ForeignTask:
    """A task whose environments are built by other code, and only stepped by us."""

    Config: ClassVar[type[TaskConfig]]
    make: ClassVar[MakeEnv]


def foreign_task(config: type[TaskConfig], make: MakeEnv) -> type[ForeignTask]:
    """Returns a task of the given settings, built by the given function."""
    members = {"Config": config, "make": staticmethod(make)}
    return type("ForeignTask", (ForeignTask,), members)
