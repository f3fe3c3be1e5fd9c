"""The layer below the MuJoCo simulator: N worlds of one model, with their arrays as tensors.

Uses MuJoCo's names and layouts and is independent of robots, drives and tasks. ``BatchWorlds`` runs
on MuJoCo C, ``WarpWorlds`` on MuJoCo Warp, ``FusedWorlds`` on rlgpu's own kernels; code written
against this protocol runs on all of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import mujoco
import torch
from torch import Tensor

from rlgpu.device.rows import ALL_ROWS, Rows
from rlgpu.errors import WrongShape

DERIVING_FIELDS = frozenset(mujoco.MjModel._setconst_inputs)
"""Model fields from which MuJoCo derives constants of the model, such as the masses of subtrees."""


class Capabilities(NamedTuple):
    """What an engine offers beside stepping; it is known before worlds are built."""

    has_contact_sensors: bool = True
    """Whether MuJoCo's contact sensors work; otherwise only ``wrenches`` measures contacts."""
    wrenches_need_sensors: bool = False
    """Whether ``wrenches`` reads sensors, which the model must then have."""
    stacks_on_terrain: bool = True
    """Whether every shape rests reliably on a height field."""
    restarts_in_check: bool = False
    """Whether ``check``, not ``step``, restarts diverged worlds."""
    varying_fields: frozenset[str] | None = None
    """Model fields that can differ between worlds; None: all."""
    traceable: bool = False
    """Whether reading and resetting worlds are operations of torch only, which can be recorded."""
    has_bounding_volumes: bool = False
    """Whether contacts are found by the model's bounding volumes, which then can differ."""
    varies_tendon_paths: bool = False
    """Whether the coefficients of tendons can differ between worlds."""
    has_actuator_armature: bool = True
    """Whether actuators can have armature; otherwise their joints must have it."""
    threads_share_calls: bool = False
    """Whether calls take long enough for several threads to make them."""
    worlds_together: int = 1
    """Worlds of a model that a thread steps in about the time of one."""
    bodies_per_call: float = 30.0
    """What stepping a further model costs, in bodies of ``worlds_together`` worlds."""


class WorldsRequest(NamedTuple):
    """What worlds of a model are wanted; each engine reads what concerns it."""

    num_worlds: int
    device: torch.device
    fields: tuple[str, ...] = ()
    """Model fields that differ between worlds."""
    deterministic: bool = False
    """Whether repeated runs must agree bit for bit, at some cost in speed."""
    num_threads: int = 0
    """On a CPU; 0 is one per core that this process may use."""
    lanes: int = 0
    """Of ``fused``: worlds per vector, or lanes per world; 0 chooses."""
    hull_vertices: int = 0
    """Of ``fused``: the most vertices of a mesh's convex hull; 0 keeps all."""
    nconmax: int = 0
    """Of ``mujoco_warp``: contact budget per world; 0 derives it from the model."""
    njmax: int = 0
    """Of ``mujoco_warp``: constraint rows per world; 0 derives it from the model."""


class Worlds(Protocol):
    """N copies of one ``MjModel``, stepped together.

    Arrays keep MuJoCo's own layout: quaternions (w, x, y, z), body 0 is the world, a free joint's
    velocity is (linear in world axes, angular in body axes). Their dtype is the engine's: float64
    on MuJoCo C, else float32.
    """

    capabilities: ClassVar[Capabilities]
    num_worlds: int
    device: torch.device
    model: mujoco.MjModel
    """The compiled model that every world is a copy of."""
    description: str
    """The engine, its version and its sizes, for the console."""
    capturable: bool
    """Whether ``step``, ``check`` and ``reset`` may run inside a CUDA graph."""
    has_mass_matrix: bool
    """Whether ``forward`` brings MuJoCo's own mass matrix, ``M``, up to date too."""
    diverged: Tensor
    """Whether the last step reached a non-finite state, shape [N], bool. Such a world restarts in
    the model's own pose."""
    overflowed: Tensor
    """Whether the last step dropped contacts or constraints for lack of space, shape [N], bool."""

    @classmethod
    def build(cls, model: mujoco.MjModel, request: WorldsRequest) -> Self:
        """Returns worlds of a model, at its own pose."""

    def array(self, name: str) -> Tensor:
        """Returns a live tensor of an ``MjData`` field, such as ``qpos``, shape [N, ...].

        State fields (``qpos``, ``qvel``, ``ctrl``, ``mocap_pos``, ...) may be written; resets and
        restarts leave ``ctrl`` and the poses of mocap bodies as they are. Derived fields (``xpos``,
        ``cvel``, ...) hold values from the start of the last physics step, when contacts were
        solved, until ``forward`` brings poses and velocities up to date. Call this before the first
        step; every call returns the same tensor.
        """

    def field(self, name: str) -> Tensor:
        """Returns a live tensor of a model field that differs between worlds, shape [N, ...].

        Args:
            name: One of the ``fields`` the worlds were built with; options are ``opt.<name>``.
        """

    def wrenches(self, bodies: Sequence[int]) -> Tensor:
        """Returns a live tensor of contact wrenches on bodies, shape [N, S, 6], float32.

        Force [N] and torque about the body's origin [N m], in the body's axes, at the start of the
        last physics step. ``check`` updates it. Call this once, before the first step.

        Args:
            bodies: Ids of the bodies, S of them.
        """

    def contact_forces(self) -> Tensor:
        """Returns a live tensor of net contact forces on all bodies, shape [N, nbody - 1, 3].

        In world axes [N], without the world's body, at the start of the last physics step.
        ``check`` updates it. Call this once, before the first step.
        """

    def prepare(self, num_steps: int) -> None:
        """Compiles and captures what ``step(num_steps)`` runs, so that no later call has to."""

    def step(self, num_steps: int) -> None:
        """Advances every world by physics steps under one held ``ctrl``.

        Args:
            num_steps: Physics steps.
        """

    def check(self) -> None:
        """Updates flags and wrenches after a ``step`` and restarts diverged worlds.

        Uses tensor operations only, so that they compile together with the code that follows.
        """

    def forward(self, mask: Tensor | None = None) -> None:
        """Brings poses and velocities of bodies in line with ``qpos`` and ``qvel``.

        Args:
            mask: Worlds that must be brought up to date, shape [N], bool; all if None. Engines may
                update more.
        """

    def reset(self, mask: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Gives worlds a state without history: no contacts, no warm start.

        Args:
            mask: Worlds to reset, shape [N], bool.
            qpos: Positions, shape [N, nq]; rows outside the mask are ignored.
            qvel: Velocities, shape [N, nv]; likewise.
        """

    def reset_rows(self, rows: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Does the same for worlds by their numbers, where the host may read these.

        Args:
            rows: Worlds to reset, R of them, shape [R], int64.
            qpos: Their positions, shape [R, nq].
            qvel: Their velocities, shape [R, nv].
        """

    def fields_written(self, names: Collection[str], rows: Rows = ALL_ROWS) -> None:
        """Takes up what was written to model fields, with all that MuJoCo derives from them.

        Args:
            names: The fields that were written.
            rows: The worlds, all of them or shape [R], int64. Engines may update more.
        """

    def capturing(self) -> AbstractContextManager[None]:
        """Returns a context that lets ``step`` join the CUDA graph torch is capturing."""

    def state_dict(self) -> dict[str, Tensor]:
        """Returns all state that carries over from step to step, as copies."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state belongs to another model, engine or number of worlds; nothing has
                been changed.
        """

    def close(self) -> None:
        """Frees the engine's memory and threads."""


def check_saved(saved: Mapping[str, Any], current: Mapping[str, Tensor]) -> None:
    """Rejects a saved state that does not fit, before anything is overwritten.

    Args:
        saved: What a checkpoint holds.
        current: What this simulation would save now.

    Raises:
        WrongShape: A tensor is missing or has another shape.
    """
    for name, tensor in current.items():
        shape = tuple(saved[name].shape) if name in saved else None
        if shape != tuple(tensor.shape):
            raise WrongShape(
                f"the saved engine state has {name} of shape {shape}, but this "
                f"simulation has {tuple(tensor.shape)}; use the same task, sim and num_envs",
                name=name,
                found=shape,
                wanted=tuple(tensor.shape),
            )


def worlds_class(engine: str) -> type[Worlds]:
    """Returns the class of an engine's worlds; imports only that engine.

    Args:
        engine: ``mujoco``, ``mujoco_warp`` or ``fused``.

    Raises:
        ImportError: The engine is not installed.
    """
    module, name = {
        "mujoco": ("batch", "BatchWorlds"),
        "mujoco_warp": ("warp", "WarpWorlds"),
        "fused": ("fused.worlds", "FusedWorlds"),
    }[engine]
    found: type[Worlds] = getattr(importlib.import_module(f"rlgpu.sim.mujoco.{module}"), name)
    return found
