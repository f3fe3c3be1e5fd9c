"""A simulator whose drives are actuators: it steps an engine one physics step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rlgpu.device.rows import Rows
from rlgpu.errors import UsageError, WrongShape
from rlgpu.sim.actuator_settings import ActuatorSettings
from rlgpu.sim.actuators.delay import Delay
from rlgpu.sim.actuators.motors import DcMotors, Gains, Motors
from rlgpu.sim.actuators.network import NetworkMotors
from rlgpu.sim.scene import SceneSpec, Timing
from rlgpu.sim.simulator import Mirror, ResetState, SimState, Simulator, checked_parameter

_GAINS = ("drive_stiffness", "drive_damping")
_SAVED = "actuators."
"""Begins the names of what is saved of actuators."""


def behind_actuators(scene: SceneSpec, timing: Timing) -> tuple[SceneSpec, Timing]:
    """Returns what an engine is built from: drives that take torques, single physics steps."""
    settings, one = scene.actuators, Timing(timing.physics_dt, 1)
    if settings.model == "drive":
        return scene, one
    drives = {
        name: replace(drive, mode="effort", stiffness=0.0, damping=0.0)
        for name, drive in scene.drives.items()
    }
    parameters = tuple(name for name in scene.parameters if name not in _GAINS)
    return replace(scene, drives=drives, parameters=parameters), one


class ActuatedSimulator:
    """``Simulator`` on that of an engine."""

    def __init__(self, engine: Simulator, scene: SceneSpec, timing: Timing) -> None:
        """Puts a scene's actuators in front of an engine.

        Args:
            engine: Built from ``behind_actuators(scene, timing)``.
            scene: What to simulate.
            timing: Physics and control steps.

        Raises:
            UsageError: The actuators' settings do not fit the scene.
        """
        if not scene.drives:
            said = (
                "task.actuators: the scene has no drives, so there is nothing to put them in front"
            )
            raise UsageError(f"{said} of; leave them out", key="task.actuators")
        self._engine, self.timing = engine, timing
        self.num_envs, self.device = engine.num_envs, engine.device
        self.joint_names, self.body_names = engine.joint_names, engine.body_names
        self.joint_lower, self.joint_upper = engine.joint_lower, engine.joint_upper
        self.capturable, self.traceable = engine.capturable, engine.traceable
        settings, joints = scene.actuators, len(engine.joint_names)
        self.description = (
            f"{engine.description}; actuators: {_in_words(settings, timing.physics_dt)}"
        )
        gains = Gains(scene, engine.joint_names, self.num_envs, self.device)
        self._motors = self._make_motors(gains, scene)
        self._delay = Delay(settings.delay, self.num_envs, joints, self.device)
        self._own_parameters = gains.varied if self._motors else {}
        self.parameters: Mapping[str, Tensor] = {**engine.parameters, **self._own_parameters}
        # An engine's flags are of a physics step.
        self._diverged = torch.zeros_like(engine.state.diverged)
        self._overflowed = torch.zeros_like(self._diverged)
        self.state: SimState = engine.state._replace(
            diverged=self._diverged.clone(), overflowed=self._overflowed.clone()
        )

    def _make_motors(self, gains: Gains, scene: SceneSpec) -> Motors | None:
        """Returns the model of the motors; None if the engine's own drives follow targets."""
        settings = scene.actuators
        if settings.model == "pd":
            return gains
        if settings.model == "dc_motor":
            return DcMotors(gains, settings, scene, self.joint_names, self.device)
        if settings.model == "network":
            return NetworkMotors(gains, settings.network, self.num_envs, self.device)
        return None

    def set_targets(self, targets: Tensor) -> None:
        """Sets every joint's drive target, shape [N, J]."""
        self._delay.set(targets)

    def step(self) -> None:
        """Advances all environments by one control step; ``refresh`` then reads the result."""
        engine, state = self._engine, self._engine.state
        self._diverged.fill_(False)
        self._overflowed.fill_(False)
        for count in range(self.timing.decimation):
            if count:
                engine.refresh_joints()
                self._note_flags()
            wanted = self._delay.next()
            if self._motors:
                wanted = self._motors.torques(wanted, state.joint_pos, state.joint_vel)
                self._diverged |= ~wanted.isfinite().all(-1)
                wanted = wanted.nan_to_num(0.0, 0.0, 0.0)
            engine.set_targets(wanted)
            engine.step()

    def _note_flags(self) -> None:
        self._diverged |= self._engine.state.diverged
        self._overflowed |= self._engine.state.overflowed

    def refresh(self) -> None:
        """Brings ``state`` up to date after ``step``."""
        self._engine.refresh()
        self._note_flags()
        self.state.diverged.copy_(self._diverged)
        self.state.overflowed.copy_(self._overflowed)

    def refresh_joints(self) -> None:
        """Brings joint positions and velocities up to date after ``step``."""
        self._engine.refresh_joints()

    def reset(self, mask: Tensor, to: ResetState) -> None:
        """Puts the masked environments into the given state, without contacts or history."""
        self._engine.reset(mask, to)
        self._delay.reset(mask)
        if self._motors:
            self._motors.reset(mask)

    def set_forces(self, forces_w: Tensor) -> None:
        """Sets the forces on the scene's ``force_bodies``, shape [N, F, 3]."""
        self._engine.set_forces(forces_w)

    def set_root_velocity(self, mask: Tensor, lin_vel_w: Tensor, ang_vel_w: Tensor) -> None:
        """Gives the floating root of some environments another velocity."""
        self._engine.set_root_velocity(mask, lin_vel_w, ang_vel_w)

    def set_parameter(self, name: str, values: Tensor) -> None:
        """Gives every environment its own value of a physical parameter."""
        if name in self._own_parameters:
            checked_parameter(name, values, self._own_parameters).copy_(values)
        else:
            self._engine.set_parameter(name, values)

    def set_parameters(self, values: Mapping[str, Tensor], rows: Rows) -> None:
        """Gives some environments new values of parameters."""
        others = {name: new for name, new in values.items() if name not in self._own_parameters}
        for name in values.keys() - others.keys():
            self._own_parameters[name][rows] = values[name]
        if others:
            self._engine.set_parameters(others, rows)

    def mirror(self) -> Mirror:
        """Returns a mirror that shows one environment at a time."""
        return self._engine.mirror()

    def capturing(self) -> AbstractContextManager[None]:
        """Returns a context that lets ``step`` join the CUDA graph torch is capturing."""
        return self._engine.capturing()

    def _saved(self) -> dict[str, Tensor]:
        """Returns what lasts beside the engine's own."""
        saved = {**self._delay.buffers, **self._own_parameters}
        saved |= self._motors.buffers if self._motors else {}
        return {f"{_SAVED}{name}": value for name, value in saved.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the engine's state, delayed targets, and what motors remember."""
        own = {name: value.clone() for name, value in self._saved().items()}
        return {**self._engine.state_dict(), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state belongs to another scene, engine or number of environments, or to
                other actuators; nothing has been changed.
        """
        own = self._saved()
        for name, value in own.items():
            found = state[name].shape if name in state else None
            if found != value.shape:
                said = f"its {name} is {found or 'missing'}, here it is {tuple(value.shape)}"
                raise WrongShape(said, name=name, found=found, wanted=tuple(value.shape))
        others = {name: value for name, value in state.items() if not name.startswith(_SAVED)}
        self._engine.load_state_dict(others)
        for name, value in own.items():
            value.copy_(state[name])

    def close(self) -> None:
        """Frees the engine's memory and threads."""
        self._engine.close()


def _in_words(settings: ActuatorSettings, dt: float) -> str:
    """Returns what the actuators are, for the console."""
    least, most = (1e3 * dt * steps for steps in settings.delay or (0, 0))
    late = f", targets {least:g} to {most:g} ms late" if most else ""
    return settings.model.replace("_", " ") + late
