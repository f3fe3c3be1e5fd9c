"""Implements ``Simulator`` on NVIDIA's Isaac Gym in a worker process.

The worker copies Isaac Gym's tensors into slots as they are; what differs from ``Simulator``'s
conventions is put right here, by tensor operations: orders, velocities of centres of mass, and what
is stale after a reset. Resets are collected and handed over with the next step, once.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rlgpu.device import host_may_read, is_gpu
from rlgpu.device.rows import Rows, per_row
from rlgpu.errors import UnsupportedModel
from rlgpu.sim.drive_forces import DriveForces
from rlgpu.sim.mujoco.layout import layout
from rlgpu.sim.mujoco.mirror import PoseMirror
from rlgpu.sim.mujoco.model import build_model
from rlgpu.sim.mujoco.readout import empty_state
from rlgpu.sim.mujoco.worlds import check_saved
from rlgpu.sim.physx.actor_parameters import Parameters
from rlgpu.sim.physx.coverage import refusals
from rlgpu.sim.physx.description import describe
from rlgpu.sim.physx.exchange import (
    ArenaExchange,
    DriverError,
    Exchange,
    HostExchange,
    StagedExchange,
)
from rlgpu.sim.physx.forces import BodyForces
from rlgpu.sim.physx.interpreter import find_python
from rlgpu.sim.physx.process import WorkerProcess
from rlgpu.sim.physx.readout import Readout
from rlgpu.sim.physx.slots import slots_of
from rlgpu.sim.physx.worker import protocol
from rlgpu.sim.scene import SceneSpec, Timing
from rlgpu.sim.simulator import Mirror, ResetState, SimState

_START = 900.0
"""Longest start [s]: thousands of actors, and kernels compiled for a new GPU."""
_LOOK_EVERY = 256
"""Steps between looks at what the worker has printed."""


class IsaacGymSimulator:
    """``Simulator`` on Isaac Gym's PhysX."""

    capturable = False
    traceable = False

    def __init__(
        self,
        scene: SceneSpec,
        timing: Timing,
        num_envs: int,
        *,
        device: torch.device,
        settings: Any,
        viewer: bool = False,
    ) -> None:
        """Starts the worker and creates the simulation in it.

        Args:
            scene: What to simulate and measure.
            timing: Physics and control steps.
            num_envs: Number of environments.
            device: Where PhysX runs and the tensors are.
            settings: ``IsaacGymSettings``.
            viewer: Whether to open Isaac Gym's viewer.

        Raises:
            UnsupportedModel: Isaac Gym cannot simulate the scene.
            NoInterpreter: No interpreter has it.
            EngineFailed: It does not start.
        """
        model = build_model(scene, timing)
        if reasons := refusals(model, scene):
            said = f"Isaac Gym cannot simulate {scene.file.name}: {'; '.join(reasons)}"
            raise UnsupportedModel(said, reasons)
        self.num_envs, self.device, self.timing = num_envs, device, timing
        self._settings, self._model = settings, model
        self._host_may_read = host_may_read(device)
        where = layout(model, scene, device)
        self.joint_names, self.body_names = where.joint_names, where.body_names
        self.joint_lower, self.joint_upper = where.joint_lower, where.joint_upper
        slots = slots_of(model, scene, num_envs)
        num_bytes = protocol.size_of(protocol.places(slots))
        self._worker = WorkerProcess(find_python(settings.python), num_bytes)
        gpu = (device.index or 0) if is_gpu(device) else -1
        described = describe(model, scene, timing, num_envs, settings, gpu=gpu, viewer=viewer)
        answer = self._start(described, slots)
        self.state: SimState = empty_state(model, scene, num_envs, device)
        self._forces = self._body_forces(scene, answer)
        # Not a method of this object: a cycle would keep the worker when the object is dropped.
        write = partial(self._worker.ask, settings.timeout, command="set_parameter")
        self._parameters = Parameters(
            model, scene, where, answer, num_envs, self._host.tensors, self._forces, write
        )
        self._readout = Readout(
            model, scene, where, answer, self._exchange.tensors, self._parameters.current
        )
        self.parameters: Mapping[str, Tensor] = self._parameters.values
        self._drive_forces = DriveForces(scene, self.joint_names, num_envs, self.parameters, device)
        self._steps, self._told_to_quit = 0, False
        self._pending = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self._may_be_pending = True
        self.reset(torch.ones_like(self._pending), self._readout.home)

    def _start(self, described: Mapping[str, Any], slots: list[protocol.Slot]) -> protocol.Message:
        """Has the worker create the simulation, and settles how numbers are exchanged."""
        arena, notes = self._share(slots)
        answer = self._worker.ask(
            _START,
            command="start",
            protocol=protocol.VERSION,
            scene=described,
            slots=[list(slot) for slot in slots],
            arena=dict(arena.handles) if arena else None,
        )
        self._worker.look()
        self._host = HostExchange(self._worker.memory, slots)
        self._exchange: Exchange = self._host
        if arena and answer["arena"]:
            self._exchange = arena
        elif is_gpu(self.device):
            self._exchange = StagedExchange(self._host, protocol.INPUTS, self.device)
        self.description = "\n  ".join(
            [
                f"Isaac Gym of {answer['isaacgym']}, Python {answer['python']}, physics on "
                f"{self.device}, numbers {self._exchange.way}",
                *notes,
                *answer["notes"],
            ]
        )
        return answer

    def _share(self, slots: list[protocol.Slot]) -> tuple[ArenaExchange | None, list[str]]:
        """Returns memory on the GPU for the worker to open, or none and why there is none."""
        if not is_gpu(self.device) or self._settings.exchange == "host":
            return None, []
        try:
            return ArenaExchange(slots, self.device), []
        except DriverError as error:
            return None, [f"numbers go by the host's memory, not the GPU's: {error}"]

    def _body_forces(self, scene: SceneSpec, answer: Mapping[str, Any]) -> BodyForces | None:
        """Returns what adds up the forces on bodies, if the scene has any."""
        slot = self._exchange.tensors.get("forces")
        if slot is None:
            return None
        bodies = [answer["body_names"].index(name) for name in self.body_names]
        pushed = [self.body_names.index(name) for name in scene.force_bodies]
        return BodyForces(slot, bodies, pushed)

    def set_targets(self, targets: Tensor) -> None:
        """Sets every joint's drive target, shape [N, J]."""
        self._readout.write_targets(targets)
        self._drive_forces.targets(targets)

    def set_forces(self, forces_w: Tensor) -> None:
        """Sets the forces on the scene's ``force_bodies``, shape [N, F, 3]."""
        assert self._forces is not None, "the scene has no force_bodies"
        self._forces.set_applied(forces_w)

    def set_root_velocity(self, mask: Tensor, lin_vel_w: Tensor, ang_vel_w: Tensor) -> None:
        """Gives the floating root of some environments another velocity."""
        now = {name: getattr(self.state, name) for name in ResetState._fields}
        pushed = ResetState(**now)._replace(root_lin_vel_w=lin_vel_w, root_ang_vel_w=ang_vel_w)
        self._put(mask, pushed)

    def step(self) -> None:
        """Advances all environments by one control step; ``refresh`` then reads the result."""
        if self._may_be_pending:
            self._readout.write_reset_ids(self._pending)
        self._exchange.begin()
        answer = self._ask(command="step", resets=self._may_be_pending)
        self._exchange.end()
        if self._may_be_pending:
            self._pending.fill_(False)
        # A world that leaves the numbers is reset by ``refresh``, which the host does not see.
        self._may_be_pending = not self._host_may_read
        self._steps += 1
        if self._steps % _LOOK_EVERY == 0:
            self._worker.look()
        if answer["quit"] and not self._told_to_quit:
            self._told_to_quit = True
            signal.raise_signal(signal.SIGINT)  # closing the viewer is asking to stop

    def _ask(self, **message: Any) -> protocol.Message:
        return self._worker.ask(self._settings.timeout, **message)

    def refresh(self) -> None:
        """Brings ``state`` up to date after ``step``."""
        self._readout.read(self.state)
        self._drive_forces.write(self.state)
        diverged, forces = self.state.diverged, self._forces
        self._readout.find_diverged(diverged, forces.guard if forces else None)
        if self._host_may_read and not bool(diverged.any()):
            return
        self.reset(diverged, self._readout.home)

    def refresh_joints(self) -> None:
        """Brings ``state`` up to date after ``step``: its tensors come together."""
        self.refresh()

    def reset(self, mask: Tensor, to: ResetState) -> None:
        """Puts the masked environments into the given state, without contacts or history."""
        self._put(mask, to)
        for value in self._measured().values():
            if value.numel():
                value.masked_fill_(per_row(mask, value), 0.0)

    def _put(self, mask: Tensor, to: ResetState) -> None:
        """Gives the masked environments a state, which the worker learns with the next step."""
        self._readout.write_reset(self.state, mask, to)
        self._pending |= mask
        self._may_be_pending = True

    def _measured(self) -> dict[str, Tensor]:
        """Returns the forces measured in the last step."""
        names = ("contact_wrench_b", "contact_force_w", "drive_force")
        return {name: getattr(self.state, name) for name in names}

    def set_parameter(self, name: str, values: Tensor) -> None:
        """Gives every environment its own value of a physical parameter."""
        self._parameters.write(name, values)

    def set_parameters(self, values: Mapping[str, Tensor], rows: Rows) -> None:
        """Gives some environments new values of parameters."""
        for name, new in values.items():
            changed = self.parameters[name].clone()
            changed[rows] = new
            self.set_parameter(name, changed)

    def mirror(self) -> Mirror:
        """Returns a mirror that shows one environment at a time."""
        return PoseMirror(self._model, lambda env: {"qpos": self._readout.qpos(self.state, env)})

    def capturing(self) -> AbstractContextManager[None]:
        """Refuses: another process cannot join a CUDA graph."""
        raise RuntimeError("Isaac Gym cannot be captured")

    def _saved(self) -> dict[str, Tensor]:
        """Returns what carries over from step to step, as far as Isaac Gym lets it be set."""
        state = {name: getattr(self.state, name) for name in ResetState._fields} | self._measured()
        return {**state, **{f"parameter.{n}": v for n, v in self.parameters.items()}}

    def state_dict(self) -> dict[str, Tensor]:
        """Returns states, contact quantities and parameters."""
        return {name: value.clone() for name, value in self._saved().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned, except what PhysX remembers of contacts.

        Raises:
            ValueError: The state belongs to another scene, engine or number of environments;
                nothing has been changed.
        """
        check_saved(state, self._saved())
        for name in self.parameters:
            self.set_parameter(name, state[f"parameter.{name}"].to(self.device))
        fields = {name: state[name].to(self.device) for name in ResetState._fields}
        self.reset(torch.ones_like(self._pending), ResetState(**fields))
        for name, value in self._measured().items():
            value.copy_(state[name])

    def close(self) -> None:
        """Ends the worker and frees what it shared."""
        self._worker.close()
        self._exchange.close()
