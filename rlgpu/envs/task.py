"""The interface that every task implements, in one file in ``tasks/`` or anywhere else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from rlgpu.config import Count, Range
from rlgpu.envs.columns import Columns
from rlgpu.envs.deployment import Deployment
from rlgpu.envs.own_functions import with_absolute_paths
from rlgpu.envs.randomization_config import Randomization
from rlgpu.errors import UsageError, usable_path
from rlgpu.sim import (
    ActuatorSettings,
    ResetState,
    SceneSpec,
    SimState,
    Simulator,
    Timing,
)
from rlgpu.spaces import (
    ObservationSpace,
    Part,
    Seen,
    numbers,
    with_history,
    with_true_values,
)


@dataclass(frozen=True)
class TaskConfig:
    """Settings common to all tasks; a task's ``Config``, also frozen, extends it. SI units."""

    name: str = "???"
    """Name of the task, as in ``task=``."""
    num_envs: Count = 4096
    """Default number of environments; ``num_envs`` on the command line overrides it."""
    episode_length: Count = 1000
    """Control steps after which an episode is truncated."""
    physics_dt: Annotated[float, Range(1e-6, 1.0)] = 1 / 120
    """Duration of a physics step in seconds."""
    decimation: Annotated[int, Range(1, 1000)] = 2
    """Physics steps per control step."""
    clip_actions: Annotated[float, Range(0.0, above=True, infinite=True)] = 1.0
    """Limit of the actions: they are clamped to +- this before the task sees them."""
    clip_observations: Annotated[float, Range(0.0, above=True, infinite=True)] = float("inf")
    """Limit of the observations: they are clamped to +- this for the policy and the critic."""

    history: Annotated[int, Range(1, 100)] = 1
    """Observations that are shown at once, newest first: of this step and the steps before. After a
    reset the first one counts for all."""

    actuators: ActuatorSettings = field(default_factory=ActuatorSettings)

    own_rewards: dict[str, float] = field(default_factory=dict)
    """Scales of terms of your own, per second, by path/to/file.py:function: a function of a Moment
    (rlgpu/envs/own_terms.py; of walking tasks tasks/legged_rewards.py) that returns a tensor of
    shape [N]. In walking tasks one with the name of a term takes its place."""
    own_terminations: dict[str, float] = field(default_factory=dict)
    """Limits of functions of your own, likewise: an episode fails where one is above its limit."""
    own_events: dict[str, float] = field(default_factory=dict)
    """Seconds between events of your own, by path/to/file.py:function: a function of an Event
    (rlgpu/envs/own_terms.py) that changes some environments, such as by a push, or the task's
    difficulty; 0 is at each reset."""

    randomize: bool = False
    """Whether what ``randomization`` names is randomised."""
    randomization: Randomization = field(default_factory=Randomization)

    hidden: list[str] = field(default_factory=list)
    """Names of observation columns that are hidden, such as the velocities, to study partial
    observation; a task names its columns in ``columns``."""
    hidden_from: Literal["everyone", "policy"] = "everyone"
    """Whom they are hidden from: with ``policy`` the critic still sees them."""

    def timing(self) -> Timing:
        """Returns the length and number of physics steps in a control step."""
        return Timing(self.physics_dt, self.decimation)


class Outcome(NamedTuple):
    """Result of a control step, before any reset."""

    rewards: Tensor
    """Rewards, shape [N]."""
    terminated: Tensor
    """Whether the episode ended in failure (not by the time limit), shape [N], bool."""
    reported: dict[str, Tensor] | None = None
    """Further numbers to log by name, such as the terms of the reward; their means over
    environments and steps are columns of ``metrics.csv``; each of shape [N] or []."""


class Mark(NamedTuple):
    """What is drawn in videos and viewers beside the scene; positions in the world [m]."""

    at: tuple[float, ...]
    """Centre of a sphere, or start of an arrow."""
    to: tuple[float, ...] | None = None
    """End of an arrow; None is a sphere."""
    size: float = 0.05
    """Radius of a sphere or of an arrow's shaft [m]."""
    rgba: tuple[float, float, float, float] = (0.9, 0.2, 0.15, 1.0)


def observation_space_of(task: Task) -> ObservationSpace:
    """Returns what actor and critic see of a task's observations.

    Raises:
        UsageError: A column that is to be hidden does not exist, or the task's columns are none.
    """
    config = task.config
    columns: Any = task.columns  # a user's class may have anything
    if not isinstance(columns, Columns | None):
        said = f"{type(task).__name__}.columns: got {type(columns).__name__}, wanted Columns"
        raise UsageError(said, key="columns", value=type(columns), allowed=[Columns])
    names = columns.parts() if columns else {}
    if unknown := [name for name in (*config.hidden, *task.privileged) if name not in names]:
        known = f"the columns are {', '.join(names)}" if names else "the task names no columns"
        said = f"task.hidden: there is no column {unknown[0]}; {known}"
        raise UsageError(said, key="task.hidden", value=unknown[0], allowed=names)
    if columns is None or not (config.hidden or task.privileged):
        return numbers(task.num_observations)
    hidden: Seen = "critic" if config.hidden_from == "policy" else "nobody"

    def seen_by(name: str) -> Seen:
        if name in config.hidden:
            return hidden
        return "critic" if name in task.privileged else "both"

    return ObservationSpace(
        tuple(Part(name, (size,), seen_by=seen_by(name)) for name, size in names.items())
    )


def shown_space_of(task: Task, *, separate_critic: bool) -> ObservationSpace:
    """Returns what actor and critic see of a task's observations, with noise or without.

    Args:
        task: The task.
        separate_critic: Whether the critic is a separate network whatever it sees.
    """
    space, config = observation_space_of(task), task.config
    noise = config.randomization.observations
    randomized = config.randomize and bool(noise.range or noise.range_correlated)
    is_noisy = task.adds_noise or randomized
    is_apart = separate_critic or space.is_asymmetric
    shown = with_true_values(space) if is_noisy and is_apart else space
    return with_history(shown, config.history)


class Task(ABC):
    """Observations, rewards, failures and resets of one robot, computed from tensors only.

    A task never steps the engine and does not depend on which engine is used. Its methods are
    called in this order:

    - once: ``scene``, ``bind``, then a reset (below) of every environment;
    - in each control step: ``targets``, ``forces``, the physics, ``draw``, ``advance``,
      ``observe``, ``evaluate``, ``add_noise``, then a reset if episodes have ended;
    - in a reset: ``reset_state``, ``after_reset``, and ``observe`` and ``add_noise`` for the first
      observations of new episodes. On a GPU, ``reset_state`` is called in every step, and follows
      ``draw``.

    Before the first step all of them are called a few times more, to be checked and, on a CPU, to
    be recorded and compiled; the task's tensors and attributes are put back. What is recorded is
    repeated without Python: tensors are written in place (``copy_``) instead of being replaced.
    """

    Config: ClassVar[type[TaskConfig]]
    """The task's configuration; its values come from ``cfg/task/<Task>.yaml``."""
    num_observations: int
    """Columns of the observations, O; a class says it, or ``__init__`` where it depends."""
    num_actions: int
    """Columns of the actions, A; likewise."""
    columns: Columns | None = None
    """Names of the observation's columns, if the task says."""
    privileged: ClassVar[tuple[str, ...]] = ()
    """Names of columns that only the critic sees, such as what a simulation knows and a robot does
    not."""

    def __init__(self, config: Any) -> None:
        """Stores the configuration, an instance of ``Config``."""
        self.config = config

    @classmethod
    def completed(cls, config: Any) -> Any:
        """Returns a configuration with values that follow from others, such as from a file.

        Called once, before anything else; what it returns is what a run records. Values that are
        given stay, so that a recorded configuration is complete.

        Raises:
            UsageError: They cannot be found.
        """
        config = with_absolute_paths(config)
        if not (file := config.actuators.network.file):
            return config
        key = "task.actuators.network.file"
        network = replace(config.actuators.network, file=str(usable_path(key, file).resolve()))
        return replace(config, actuators=replace(config.actuators, network=network))

    @property
    def judges_own_terms(self) -> bool:
        """Whether ``evaluate`` counts ``own_rewards`` and ``own_terminations`` among its own."""
        return False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the task with these settings, for the console."""
        return ()

    @abstractmethod
    def scene(self) -> SceneSpec:
        """Returns the robot, its drives and its sensors."""

    def bind(self, sim: Simulator) -> None:
        """Looks up joints by name and allocates the task's tensors.

        Tensors that must be saved in checkpoints go into ``buffers``.
        """
        self.num_envs = sim.num_envs
        self.buffers: dict[str, Tensor] = {}

    @abstractmethod
    def targets(self, actions: Tensor) -> Tensor:
        """Returns the drive targets for clamped actions, [N, A] -> [N, J]."""

    def forces(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the forces on the scene's ``force_bodies`` [N], in world axes, shape [N, F, 3].

        Called with every action if the scene has such bodies; the forces are held until the next.
        """
        raise NotImplementedError(f"{type(self).__name__} has force_bodies, but no forces")

    @property
    def pushes_bodies(self) -> bool:
        """Whether the task has ``forces``."""
        return type(self).forces is not Task.forces

    def draw(self, generator: torch.Generator) -> None:  # noqa: B027  (most tasks need none)
        """Draws the random numbers of a step into tensors made in ``bind``.

        Called before ``advance`` in every step, and before the first observations, outside
        compiled code.
        """

    def advance(self, state: SimState) -> None:  # noqa: B027  (most tasks have nothing to change)
        """Changes what changes along an episode, such as commands, or pushes the robot.

        Called after every step, before it is observed and evaluated.
        """

    @abstractmethod
    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Returns the observations, shape [N, O], without noise; that is for ``add_noise``.

        Args:
            state: The engine's tensors.
            actions: The clamped actions just applied, zero after a reset, shape [N, A].
        """

    @abstractmethod
    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Returns the rewards and failures of the step just taken, before any reset.

        Args:
            state: The engine's tensors.
            actions: The clamped actions just applied, shape [N, A].
            observations: What ``observe`` returned: without noise and not clamped, shape [N, O].
        """

    def add_noise(self, observations: Tensor) -> Tensor:
        """Returns observations with the noise of the robot's sensors, shape [N, O].

        Only the policy sees it, and a critic that shares its network. Random numbers come from
        ``draw``.
        """
        return observations

    @property
    def adds_noise(self) -> bool:
        """Whether the task's ``add_noise`` adds any."""
        return type(self).add_noise is not Task.add_noise

    def deployment(self) -> Deployment | None:
        """Returns what surrounds a policy on a robot, for exported policies; None if unknown."""
        return None

    @abstractmethod
    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns an initial state for every environment; only those being reset use it."""

    def marks(self, state: SimState, env_id: int) -> list[Mark]:
        """Returns what to draw in an environment beside its scene, such as a target or a command.

        Only called for pictures, so it may read values on the host.
        """
        return []

    def mirror(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor] | None:
        """Returns rows of observations and actions as they look in a mirror; None if unknown.

        Args:
            observations: Shape [B, O].
            actions: Unclamped, shape [B, A].
        """
        return None

    def after_reset(  # noqa: B027  (most tasks keep no state)
        self, state: SimState, mask: Tensor
    ) -> None:
        """Updates the task's tensors for environments that have just been reset.

        Args:
            state: The engine's tensors after the reset.
            mask: Environments that were reset, shape [N], bool.
        """


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Returns uniform random numbers in [low, high) on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low
