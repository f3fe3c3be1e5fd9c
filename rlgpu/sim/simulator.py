"""The interface between tasks and engines. Defines units, frames and orders for both.

SI units. Every tensor is float32 on ``device`` unless noted. World axes ``_w`` have z up; every
environment has its own world, so positions are relative to the environment's own origin. Body axes
``_b``. Quaternions are (x, y, z, w). Linear velocities are those of a body frame's origin (not of
its centre of mass). Joints and bodies are listed in the asset's order and addressed by name.

Isaac Gym is the limiting engine: this interface omits whatever it cannot provide.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from rlgpu.device import host_may_read
from rlgpu.device.rows import Rows
from rlgpu.errors import WrongShape
from rlgpu.sim.scene import SIGNED_PARAMETERS, Timing

SHARED_WITH_THE_ENGINE = (
    "root_pos_w",
    "root_lin_vel_w",
    "joint_pos",
    "joint_vel",
    "contact_wrench_b",
    "diverged",
    "overflowed",
)
"""Fields of ``SimState`` that may be the engine's own memory, if that has their dtype and layout.
All others are copies on every engine."""


class SimState(NamedTuple):
    """Live tensors: an engine overwrites them in place and never replaces them.

    They are read, never written: what is written to one changes the simulation on an engine that
    shares its memory (``SHARED_WITH_THE_ENGINE``), and nothing on another. To change a state there
    are ``reset``, ``set_root_velocity`` and ``set_parameters``.
    """

    root_pos_w: Tensor
    """Position of the root body [m], shape [N, 3]."""
    root_quat_w: Tensor
    """Orientation of the root body, (x, y, z, w), shape [N, 4]."""
    root_lin_vel_w: Tensor
    """Velocity of the root body's origin [m/s], shape [N, 3]."""
    root_ang_vel_w: Tensor
    """Angular velocity of the root body [rad/s], shape [N, 3]."""
    joint_pos: Tensor
    """Joint positions [rad or m], shape [N, J]."""
    joint_vel: Tensor
    """Joint velocities [rad/s or m/s], shape [N, J]."""
    contact_wrench_b: Tensor
    """Contact force [N] and torque about the body's origin [N m] on each of the scene's
    ``wrench_bodies``, in body axes, from the last physics step, shape [N, S, 6]."""
    contact_force_w: Tensor
    """Net contact force on each body [N], from the last physics step, shape [N, B, 3]; B is 0
    without the scene's ``contact_forces``."""
    body_pos_w: Tensor
    """Positions of all bodies [m], shape [N, B, 3]; B is 0 without the scene's ``body_states``."""
    body_quat_w: Tensor
    """Orientations of all bodies, (x, y, z, w), shape [N, B, 4]."""
    body_lin_vel_w: Tensor
    """Velocities of the bodies' origins [m/s], shape [N, B, 3]."""
    body_ang_vel_w: Tensor
    """Angular velocities of all bodies [rad/s], shape [N, B, 3]."""
    drive_force: Tensor
    """Torque [N m] or force [N] of each joint's drive after all limits, from the last physics step,
    0 for passive joints, shape [N, J]; J is 0 without the scene's ``drive_forces``."""
    jacobian_w: Tensor
    """Jacobian of the scene's ``jacobian_body`` by joint velocities, of its origin's velocity
    [m/s] and its angular velocity [rad/s] in world axes, shape [N, 6, J]; J is 0 without it."""
    mass_matrix: Tensor
    """Mass matrix of the joints [kg m^2 or kg], shape [N, J, J]; J is 0 without a Jacobian."""
    object_pos_w: Tensor
    """Positions of the scene's ``objects`` [m], shape [N, K, 3]."""
    object_quat_w: Tensor
    """Orientations of the objects, (x, y, z, w), shape [N, K, 4]."""
    object_lin_vel_w: Tensor
    """Velocities of the objects' origins [m/s], shape [N, K, 3]."""
    object_ang_vel_w: Tensor
    """Angular velocities of the objects [rad/s], shape [N, K, 3]."""
    object_kind: Tensor
    """Index of each object's body in its list, shape [N, K], int64; 0 for a single body."""
    diverged: Tensor
    """Whether the last step hit a non-finite state and restarted that world, shape [N], bool."""
    overflowed: Tensor
    """Whether the last step exceeded the capacity for contacts or constraints and dropped some,
    shape [N], bool."""


class ResetState(NamedTuple):
    """State that a reset gives environments; rows outside the mask are ignored."""

    joint_pos: Tensor
    """Joint positions [rad or m], shape [N, J]."""
    joint_vel: Tensor
    """Joint velocities [rad/s or m/s], shape [N, J]."""
    root_pos_w: Tensor | None = None
    """Root position [m], shape [N, 3]; None keeps the asset's. Ignored for a fixed base."""
    root_quat_w: Tensor | None = None
    """Root orientation (x, y, z, w), shape [N, 4]; None keeps the asset's."""
    root_lin_vel_w: Tensor | None = None
    """Velocity of the root's origin [m/s], shape [N, 3]; None is zero."""
    root_ang_vel_w: Tensor | None = None
    """Angular velocity of the root [rad/s], shape [N, 3]; None is zero."""
    object_pos_w: Tensor | None = None
    """Positions of the objects [m], shape [N, K, 3]; None keeps the asset's."""
    object_quat_w: Tensor | None = None
    """Orientations of the objects (x, y, z, w), shape [N, K, 4]; None keeps the asset's."""
    object_lin_vel_w: Tensor | None = None
    """Velocities of the objects' origins [m/s], shape [N, K, 3]; None is zero."""
    object_ang_vel_w: Tensor | None = None
    """Angular velocities of the objects [rad/s], shape [N, K, 3]; None is zero."""

    def to(self, dtype: torch.dtype, rows: Rows) -> ResetState:
        """Returns the states of some environments in another dtype."""
        return ResetState(*(None if value is None else value[rows].to(dtype) for value in self))  # type: ignore[arg-type]


class Mirror(Protocol):
    """Shows one environment at a time to MuJoCo's viewer and renderer."""

    model: Any
    """A ``mujoco.MjModel`` of the scene."""
    data: Any
    """A ``mujoco.MjData`` with the pose last shown."""

    def show(self, env_id: int) -> None:
        """Copies an environment's pose into ``data``."""


class Simulator(Protocol):
    """N copies of one scene, stepped together."""

    num_envs: int
    device: torch.device
    timing: Timing
    state: SimState
    joint_names: tuple[str, ...]
    """Hinge and slide joints in the asset's order."""
    body_names: tuple[str, ...]
    """Bodies in the asset's order, the world excluded."""
    joint_lower: Tensor
    """Lower joint limits [rad or m], -inf where unlimited, shape [J]."""
    joint_upper: Tensor
    """Upper joint limits [rad or m], inf where unlimited, shape [J]."""
    capturable: bool
    """Whether ``step`` and ``reset`` may run inside a CUDA graph."""
    traceable: bool
    """Whether ``refresh`` and ``reset`` are operations of torch only, which can be recorded."""

    description: str
    """The engine, its version and its sizes, for the console."""
    parameters: Mapping[str, Tensor]
    """Current values of the parameters that the scene lets vary, float32; read-only:
    ``body_mass`` [kg] of each body, with its inertia scaled in proportion, shape [N, B];
    ``body_com``, the centre of mass in the body's axes [m], shape [N, B, 3]; sliding
    ``friction`` of each geom, the larger of two in contact applies, shape [N, G]; ``joint_damping``
    [N m s/rad] and ``joint_armature`` [kg m^2], shape [N, J]; ``drive_stiffness`` [N m/rad] and
    ``drive_damping`` [N m s/rad] of ``position`` drives, 0 for every other joint, shape [N, J];
    ``gravity`` [m/s^2], shape [N, 3]."""

    def set_targets(self, targets: Tensor) -> None:
        """Sets every joint's drive target; read by the next ``step``.

        Args:
            targets: Torque [N m], force [N], angle [rad] or displacement [m] as each joint's drive
                defines; ignored for passive joints, shape [N, J].
        """

    def set_forces(self, forces_w: Tensor) -> None:
        """Sets the forces on the scene's ``force_bodies``, held until they are set again.

        Args:
            forces_w: Force at each body's centre of mass, in world axes [N], shape [N, F, 3].
        """

    def set_root_velocity(self, mask: Tensor, lin_vel_w: Tensor, ang_vel_w: Tensor) -> None:
        """Gives the floating root of some environments another velocity, as a push would.

        Args:
            mask: Environments that are pushed, shape [N], bool.
            lin_vel_w: Velocity of the root's origin [m/s], shape [N, 3].
            ang_vel_w: Angular velocity of the root [rad/s], shape [N, 3].
        """

    def step(self) -> None:
        """Advances all environments by one control step; call ``refresh`` to read the result."""

    def refresh(self) -> None:
        """Brings ``state`` up to date after ``step``, using tensor operations only.

        Separate from ``step`` so that it can be compiled together with a task's own operations.
        """

    def refresh_joints(self) -> None:
        """Brings ``joint_pos``, ``joint_vel`` and ``diverged`` up to date after ``step``.

        Quicker than ``refresh``, for what acts between physics steps; other tensors may change,
        too.
        """

    def capturing(self) -> AbstractContextManager[None]:
        """Returns a context that lets ``step`` join the CUDA graph torch is capturing.

        Valid only if ``capturable``.
        """

    def reset(self, mask: Tensor, to: ResetState) -> None:
        """Puts the masked environments into the given state, without contacts or history.

        Args:
            mask: Environments to reset, shape [N], bool.
            to: Their new state. Contact quantities become zero.
        """

    def set_parameter(self, name: str, values: Tensor) -> None:
        """Gives every environment its own value of a physical parameter.

        Args:
            name: One of the scene's ``parameters``.
            values: Values in the shape of ``parameters[name]``. Gains of joints without a
                ``position`` drive are ignored.

        Raises:
            ValueError: ``values`` has the wrong shape, or is negative (on a CPU only).
        """

    def set_parameters(self, values: Mapping[str, Tensor], rows: Rows) -> None:
        """Gives some environments new values of parameters, quickly enough for every reset.

        Args:
            values: Values of these environments by name, R rows of ``parameters``' shapes.
            rows: The environments, all of them or shape [R], int64.
        """

    def mirror(self) -> Mirror:
        """Returns a mirror that shows one environment at a time."""

    def state_dict(self) -> dict[str, Tensor]:
        """Returns everything needed to continue the simulation, as copies."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state belongs to another scene, engine or number of environments;
                nothing has been changed.
        """

    def close(self) -> None:
        """Frees the engine's memory and threads."""


def checked_parameter(name: str, values: Tensor, current: Mapping[str, Tensor]) -> Tensor:
    """Returns a parameter's current values, for new ones to be written over them.

    Args:
        name: Name of the parameter.
        values: The new values.
        current: Current values of all that vary.

    Raises:
        ValueError: The new values do not have the parameter's shape, or are negative.
    """
    if values.shape != current[name].shape:
        found, wanted = tuple(values.shape), tuple(current[name].shape)
        said = f"parameter {name} has shape {wanted}, got {found}"
        raise WrongShape(said, name=name, found=found, wanted=wanted)
    if name not in SIGNED_PARAMETERS and host_may_read(values.device) and bool((values < 0).any()):
        raise ValueError(f"parameter {name} is {float(values.min()):g}; it must be at least zero")
    return current[name]
