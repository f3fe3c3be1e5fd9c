"""Tasks that bring their own environments instead of a scene for our engines."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import torch

from rlgpu.envs import Environments, TaskConfig


class MakeEnv(Protocol):
    """Builds the environments of such a task."""

    def __call__(
        self, config: Any, *, num_envs: int, seed: int, device: torch.device, engine: str
    ) -> Environments:
        """Returns the environments.

        Args:
            config: An instance of the task's ``Config``.
            num_envs: Number of environments.
            seed: Seed of all random generators that they use.
            device: Device of the simulation.
            engine: Name of the engine.

        Raises:
            UsageError: They cannot be built; the message says why.
        """


UNUSED = (
    "task.physics_dt",
    "task.decimation",
    "task.clip_actions",
    "task.clip_observations",
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
