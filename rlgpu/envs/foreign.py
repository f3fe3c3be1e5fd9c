"""Tasks that bring their own environments instead of a scene for our engines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch

from rlgpu.envs.task import TaskConfig
from rlgpu.envs.vec_env import VecEnv


class ForeignTask(ABC):
    """A task whose environments are built by other code, and only stepped by us."""

    Config: ClassVar[type[TaskConfig]]

    @classmethod
    @abstractmethod
    def make(
        cls, config: Any, *, num_envs: int, seed: int, device: torch.device, engine: str
    ) -> VecEnv:
        """Returns its environments.

        Args:
            config: An instance of ``Config``.
            num_envs: Number of environments.
            seed: Seed of all random generators that it uses.
            device: Device of the simulation.
            engine: Name of the engine.

        Raises:
            UsageError: They cannot be built; the message says why.
        """
