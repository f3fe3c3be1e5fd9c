"""What a task must define. One file in ``tasks/`` (or anywhere) implements this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rlgpu.sim import ResetState, SceneSpec, SimState, Simulator, Timing


@dataclass
class TaskConfig:
    """Values every task has; a task's own ``Config`` extends it. SI units."""

    name: str = "???"
    """Name of the task, as in ``task=``."""
    num_envs: int = 4096
    """Environments where neither the engine nor the command line says otherwise."""
    episode_length: int = 1000
    """Control steps after which an episode is truncated."""
    physics_dt: float = 1 / 120
    """Seconds a physics step advances."""
    decimation: int = 2
    """Physics steps a control step takes."""
    clip_actions: float = 1.0
    """Actions are clamped to +- this before the task sees them."""
    clip_observations: float = float("inf")
    """Observations are clamped to +- this."""

    def timing(self) -> Timing:
        """Returns the division of control steps into physics steps."""
        return Timing(self.physics_dt, self.decimation)


class Outcome(NamedTuple):
    """What a control step led to, before any reset."""

    rewards: Tensor
    """Rewards, shape [N]."""
    terminated: Tensor
    """Whether the episode failed (not: ran out of time), shape [N], bool."""


class Task(ABC):
    """Observations, rewards, failures and resets of one robot, on tensors alone.

    A task never steps the engine and never asks which one it is.
    """

    Config: ClassVar[type[TaskConfig]]
    """The task's configuration; its values come from ``cfg/task/<Task>.yaml``."""
    num_observations: ClassVar[int]
    num_actions: ClassVar[int]

    def __init__(self, config: Any) -> None:
        """Keeps the configuration, an instance of ``Config``."""
        self.config = config

    @abstractmethod
    def scene(self) -> SceneSpec:
        """Returns the robot, its drives and its sensors."""

    def bind(self, sim: Simulator) -> None:
        """Looks up joints by name and allocates the task's own tensors.

        Tensors that must survive a checkpoint go into ``state``.
        """
        self.num_envs = sim.num_envs
        self.state: dict[str, Tensor] = {}

    @abstractmethod
    def targets(self, actions: Tensor) -> Tensor:
        """Returns the drive targets of clamped actions, [N, A] -> [N, J]."""

    @abstractmethod
    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the observations, shape [N, O].

        Args:
            state: The engine's tensors.
            actions: The clamped actions just applied, zero after a reset, shape [N, A].
        """

    @abstractmethod
    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns rewards and failures of the step just taken, before any reset."""

    @abstractmethod
    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns a start state for every environment; only those being reset take it."""

    def after_reset(  # noqa: B027  (most tasks keep nothing)
        self, state: SimState, mask: Tensor
    ) -> None:
        """Brings the task's own tensors in line with freshly reset environments.

        Args:
            state: The engine's tensors, the reset done.
            mask: Environments that were reset, shape [N], bool.
        """


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Returns uniform random numbers in [low, high) on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low
