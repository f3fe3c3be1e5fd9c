"""What a script has created so far: a simulation, its environments and their actors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from rlgpu.device import num_usable_cores
from rlgpu.isaacgym.records.asset import Asset, TendonPath
from rlgpu.isaacgym.records.geometry import Transform, Vec3
from rlgpu.isaacgym.records.properties import (
    AttractorProperties,
    RigidBodyProperties,
    RigidShapeProperties,
    TendonProperties,
)
from rlgpu.isaacgym.records.structs import PlaneParams, SimParams
from rlgpu.isaacgym.records.timers import Stopwatch
from rlgpu.isaacgym.runner.notes import Notes
from rlgpu.sim.mujoco.worlds import Capabilities, Worlds, worlds_class


class RunningWorld(Protocol):
    """What records and calls ask of the running simulation, ``simulation.world.World``."""

    worlds: Worlds


class Counts(NamedTuple):
    """Numbers of what some environments hold."""

    actors: int
    bodies: int
    dofs: int


class Heights(NamedTuple):
    """A terrain: heights on a grid [m], shape [rows, columns], at x = row, y = column steps."""

    values: np.ndarray
    row_step: float
    column_step: float
    pose: Transform
    friction: float


@dataclass(eq=False)
class Start:
    """What a script sets of an actor before the simulation is prepared."""

    dofs: np.ndarray
    """Positions and velocities of its degrees of freedom, shape [D, 2]."""
    position_targets: np.ndarray
    velocity_targets: np.ndarray
    root_velocity: np.ndarray
    """Linear and angular velocity of its root, shape [6]."""


@dataclass(eq=False)
class Actor:
    """One articulation in one environment."""

    env: Env
    handle: int
    asset: Asset
    pose: Transform
    name: str
    group: int
    filter: int
    segmentation: int
    first_body: int
    """Index of its root among the environment's bodies."""
    first_dof: int
    """Index of its first degree of freedom among the environment's."""
    dof_properties: np.ndarray
    body_properties: list[RigidBodyProperties]
    shape_properties: list[RigidShapeProperties]
    tendon_properties: list[TendonProperties]
    tendon_paths: list[TendonPath]
    scale: float = 1.0
    measures_dof_forces: bool = False
    _start: Start | None = None
    colors: dict[int, Vec3] = field(default_factory=dict)
    """Colours of bodies, by index."""
    segments: dict[int, int] = field(default_factory=dict)
    """Segmentation numbers of bodies, where other than the actor's."""

    @property
    def start(self) -> Start:
        """What was set before the simulation is prepared; zeros at first."""
        if self._start is None:
            dofs = len(self.asset.dofs)
            zeros = (np.zeros(shape, np.float32) for shape in ((dofs, 2), dofs, dofs, 6))
            self._start = Start(*zeros)
        return self._start

    @property
    def starts_elsewhere(self) -> bool:
        """Whether anything was set."""
        return self._start is not None

    @property
    def recipe(self) -> tuple[object, ...]:
        """What must be the same in all environments of a kind."""
        return (id(self.asset), self.name, self.scale)


@dataclass(eq=False)
class Env:
    """One environment: a world of its own."""

    sim: Sim
    index: int
    lower: Vec3
    upper: Vec3
    num_per_row: int
    actors: list[Actor] = field(default_factory=list)
    attractors: list[AttractorProperties] = field(default_factory=list)
    cameras: list[Any] = field(default_factory=list)
    """``drawing.cameras.Camera``, None for one that was destroyed."""

    @property
    def origin(self) -> Vec3:
        """Where the environment is drawn; positions in tensors are relative to it."""
        row, column = divmod(self.index, max(self.num_per_row, 1))
        size = self.upper - self.lower
        return Vec3(column * size.x, row * size.y, 0.0)

    @property
    def num_bodies(self) -> int:
        """Bodies of all actors."""
        return sum(len(actor.asset.bodies) for actor in self.actors)

    @property
    def num_joints(self) -> int:
        """Joints of all actors, also those without degrees of freedom."""
        return sum(len(actor.asset.joints) for actor in self.actors)

    @property
    def num_dofs(self) -> int:
        """Degrees of freedom of all actors."""
        return sum(len(actor.asset.dofs) for actor in self.actors)


@dataclass(eq=False)
class Sim:
    """A simulation, from ``create_sim`` to ``destroy_sim``."""

    params: SimParams
    device: torch.device
    engine: str
    """``mujoco``, ``mujoco_warp`` or ``fused``."""
    num_threads: int
    notes: Notes
    """Remarks of the gym that created it."""
    may_change_engine: bool = False
    """Whether another engine may take the place of this one, which nobody named."""
    envs: list[Env] = field(default_factory=list)
    grounds: list[PlaneParams] = field(default_factory=list)
    terrains: list[Heights] = field(default_factory=list)
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    """What performance timers read."""
    frame_count: int = 0
    time: float = 0.0
    world: RunningWorld | None = None
    initial_poses: dict[tuple[object, ...], list[Transform]] = field(default_factory=dict)
    """Poses of the bodies of environments, by their recipes and actors' poses."""
    parking: Vec3 | None = None
    """Direction in which actors are parked that environments lack, chosen with their models."""
    prepared: bool = False
    """Whether nothing can be added any more."""
    renderers: Any = None
    """``drawing.cameras.Renderers``, once a camera is drawn."""
    _starts: list[Counts] = field(default_factory=lambda: [Counts(0, 0, 0)])
    """What the environments before each one hold, as far as was asked."""

    @property
    def capabilities(self) -> Capabilities:
        """What the engine offers."""
        return worlds_class(self.engine).capabilities

    @property
    def holds_armature_in_joints(self) -> bool:
        """Whether the engine's actuators have no armature."""
        return not self.capabilities.has_actuator_armature

    @property
    def usable_threads(self) -> int:
        """Threads that step worlds on a CPU: those asked for, or one a core."""
        return self.num_threads or num_usable_cores()

    @property
    def num_substeps(self) -> int:
        """Physics steps a ``simulate``."""
        return max(self.params.substeps, 1)

    @property
    def physics_dt(self) -> float:
        """Duration of a physics step [s]."""
        return self.params.dt / self.num_substeps

    def start(self, env: Env) -> Counts:
        """Returns how much the environments before this one hold.

        Each must be complete before the next gets its first actor, as in Isaac Gym.
        """
        while len(self._starts) <= env.index:
            last = self.envs[len(self._starts) - 1]
            before = self._starts[-1]
            own = len(last.actors), last.num_bodies, last.num_dofs
            self._starts.append(Counts(*(a + b for a, b in zip(before, own, strict=True))))
        return self._starts[env.index]

    def changed(self, env: Env) -> None:
        """Takes note that an environment holds something else now."""
        del self._starts[env.index + 1 :]
