"""What training, playing and exports need of parallel environments, whoever steps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from rlgpu.envs.task import Mark
from rlgpu.errors import UsageError
from rlgpu.spaces import ActionSpace, ObservationSpace

Number = TypeVar("Number")


class Step(NamedTuple):
    """Results of one control step of all environments; the next step overwrites the tensors."""

    observations: Tensor
    """Observations for the next action; after a reset, of the new episode, shape [N, O]."""
    rewards: Tensor
    """Rewards, shape [N]."""
    terminated: Tensor
    """Whether the episode ended in failure, shape [N], bool."""
    truncated: Tensor
    """Whether it reached the time limit without failing, shape [N], bool."""
    final_observations: Tensor
    """Observations before any reset; they differ where an episode ended, shape [N, O]."""


class WorldCounts(NamedTuple, Generic[Number]):
    """Counts of simulation errors so far; on the device, every field has shape [], int64."""

    diverged: Number
    """Number of times a world was restarted because its state was not finite."""
    overflowed: Number
    """World steps that dropped contacts or constraints because a buffer overflowed."""


class Environments(Protocol):
    """N environments that reset ended episodes within the step in which they end.

    Classes that derive from it inherit what suits environments that other code steps.
    """

    num_envs: int
    device: torch.device
    num_observations: int
    """Number of the task's own columns."""
    num_actions: int
    observation_space: ObservationSpace
    """What the columns of ``observations`` are."""
    action_space: ActionSpace
    action_limit: float = 1.0
    """Largest absolute value of continuous actions: they are clamped to +- this."""
    observations: Tensor
    """Observations for the next action, shape [N, O]; overwritten in place."""
    generator: torch.Generator
    counts: WorldCounts[Tensor]
    reported: Mapping[str, Tensor] = MappingProxyType({})
    """Numbers that the task reports: sums over steps of their means over environments, since they
    were last zeroed, each of shape []."""
    warnings: Sequence[str] = ()
    """What looks like a mistake in the task or its scene, a sentence each."""
    notes: Sequence[str] = ()
    """What is right but easily taken for something else, a sentence each."""
    continues_episodes: bool = True
    """Whether a state that is restored goes on with its episodes."""
    capturable: bool = False
    """Whether a CUDA graph may hold whole steps."""
    joint_names: tuple[str, ...] = ()
    config: Any
    """The task's configuration."""
    sim: Any
    """What steps them: an engine, processes, a script's worlds; has ``close()``."""
    description: str
    """What steps them, for the console."""
    step_dt: float
    """Time between two steps of an environment [s]."""
    source_file: Path | None = None
    """The user's file that defines the task, whose lines explain its errors."""

    @property
    def episode_length(self) -> int:
        """The time limit of an episode, in steps."""

    @property
    def episode_step(self) -> Tensor:
        """Steps since each environment's reset, shape [N], int64."""

    def step(self, actions: Tensor) -> Step:
        """Applies actions for one control step and resets the environments that ended.

        Args:
            actions: Actions before clamping, shape [N, A].
        """

    def reset(self, seed: int | None = None) -> Tensor:
        """Begins new episodes in all environments; returns their first observations, [N, O].

        Args:
            seed: Seed of all random numbers from now on; None goes on with the generators.
        """

    def step_physics(self) -> None:
        """Steps the engine alone, to measure it.

        Raises:
            UsageError: The environments cannot.
        """
        raise self._one_part()

    def evaluate_step(self, actions: Tensor) -> Step:
        """Does everything that ``step`` does except the physics, to measure the task's cost.

        Raises:
            UsageError: The environments cannot.
        """
        raise self._one_part()

    def _one_part(self) -> UsageError:
        said = f"{self.description} cannot be profiled in parts"
        return UsageError(said, key="profile", value=self.description)

    def randomize_ages(self) -> None:
        """Spreads out the ends of the first episodes over the time limit."""

    def set_ages(self, values: Tensor) -> None:
        """Sets the episode step counts, shape [N].

        Raises:
            UsageError: The environments count their steps themselves.
        """
        self.episode_step.copy_(values)

    def nan_source(self, *, rewards: bool = False) -> str:
        """Returns where a NaN came from, as far as it is known; an empty string if it is not.

        Args:
            rewards: Whether rewards count.
        """

    def capturing(self) -> AbstractContextManager[Any]:
        """Returns the context in which a CUDA graph captures steps."""
        return nullcontext()

    def mirrored_scene(self) -> Any:
        """Returns a model of MuJoCo that shows one environment at a time.

        Raises:
            UsageError: The environments cannot be drawn.
        """
        said = f"headless=False: rlgpu does not draw {self.description}; use headless=True"
        raise UsageError(said, key="headless", value=False, allowed=[True])

    def marks(self, env_id: int) -> list[Mark]:
        """Returns what is drawn into the picture of an environment."""
        return []

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of everything needed to continue."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state is from other environments.
        """

    def close(self) -> None:
        """Frees what the environments hold."""
