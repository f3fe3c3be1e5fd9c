"""The task that a word such as ``gym:CartPole-v1`` names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rlgpu.config import Count
from rlgpu.envs import Environments, TaskConfig
from rlgpu.errors import Unavailable
from rlgpu.foreign.task import UNUSED, EnvRequest, ForeignTask, foreign_task


@dataclass(frozen=True)
class GymTaskConfig(TaskConfig):
    """Settings of an environment of Gymnasium."""

    unused: ClassVar[tuple[str, ...]] = UNUSED
    num_envs: Count = 64
    """Default number of environments, in as many processes as there are cores to use."""
    kwargs: tuple[str, ...] = ()
    """``key=value`` for the environment's constructor; ``env.gravity=-5`` says the same."""
    episode_length: Count = 1000
    """Time limit that other libraries are told of if the environment has none. Only the environment
    ends episodes, in training and in playing back."""


def gym_task(word: str) -> type[ForeignTask]:
    """Returns the task of an environment of Gymnasium, or of a class that has its interface.

    Args:
        word: ``gym:`` and a registered name or ``path/to/file.py:Class``.

    Raises:
        Unavailable: Gymnasium is not installed.
    """
    try:
        from rlgpu.foreign.gymnasium.env import GymEnv  # noqa: PLC0415
    except ImportError as error:
        remedy = "pip install gymnasium"
        raise Unavailable(str(error), remedy, key="task", value=word) from error
    name = word.partition(":")[2]

    def make(request: EnvRequest) -> Environments:
        return GymEnv(name, request.config, request.num_envs, request.seed)

    return foreign_task(GymTaskConfig, make)
