"""Implements ``Simulator`` on any ``Worlds``: one robot per world, drives, sensors, resets."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rlgpu.device import host_may_branch
from rlgpu.device.rows import ALL_ROWS, Rows, per_row, write_rows
from rlgpu.sim.frames import frames_of
from rlgpu.sim.mujoco import readout
from rlgpu.sim.mujoco.dynamics import Reader, joint_jacobian, joint_mass_matrix
from rlgpu.sim.mujoco.layout import layout
from rlgpu.sim.mujoco.mirror import Mirror
from rlgpu.sim.mujoco.object_choices import ObjectChoices
from rlgpu.sim.mujoco.parameters import Parameters, fields_of
from rlgpu.sim.mujoco.worlds import Worlds, check_saved
from rlgpu.sim.scene import SceneSpec, Timing
from rlgpu.sim.simulator import ResetState, SimState

_BODY_ARRAYS = ("subtree_com", "xpos", "xquat", "cvel")


class MujocoSimulator:
    """``Simulator`` on the worlds of any MuJoCo engine.

    Contact quantities are read with the poses at which their contacts were solved, at the start of
    the last physics step; poses are brought up to date only afterwards.
    """

    def __init__(self, worlds: Worlds, scene: SceneSpec, timing: Timing) -> None:
        """Binds a scene to worlds built from its model.

        Args:
            worlds: Built from ``build_model(scene, timing)`` with ``fields_of(scene.parameters)``.
            scene: What to simulate and measure.
            timing: Physics and control steps.
        """
        self.worlds, self.timing = worlds, timing
        self.num_envs, self.device = worlds.num_worlds, worlds.device
        self._host_may_branch = partial(host_may_branch, self.device)
        self.capturable, self.description = worlds.capturable, worlds.description
        self.traceable = worlds.capabilities.traceable
        self._body_states = scene.body_states
        self._where = where = layout(worlds.model, scene, self.device)
        self.joint_names, self.body_names = where.joint_names, where.body_names
        self.joint_lower, self.joint_upper = where.joint_lower, where.joint_upper
        self._qpos, self._qvel = worlds.array("qpos"), worlds.array("qvel")
        self._ctrl = worlds.array("ctrl")
        self._forces = worlds.array("xfrc_applied") if scene.force_bodies else None
        self._parameters = Parameters(worlds, scene.parameters, where)
        self.parameters: Mapping[str, Tensor] = self._parameters.values
        self._drive_forces = worlds.array("qfrc_actuator") if scene.drive_forces else None
        self._choices = ObjectChoices(worlds.model, scene, self.num_envs, self.device)
        self._bind_state(scene)
        worlds.prepare(timing.decimation)
        self._choices.hold(where, self._qpos, self._qvel)
        self._read_joints_and_root()
        self._refresh_bodies()

    def _bind_state(self, scene: SceneSpec) -> None:
        """Looks up the arrays to read; those of the right dtype are used directly as the state."""
        arrays: set[str] = set()
        if scene.body_states:
            arrays |= set(_BODY_ARRAYS)
        self._derived = {name: self.worlds.array(name) for name in sorted(arrays)}
        self._contacts = self.worlds.contact_forces() if scene.contact_forces else None
        self._dynamics: dict[str, Reader] = {}
        if scene.jacobian_body:
            self._bind_dynamics(self.worlds.model.body(scene.jacobian_body).id)
        state = readout.empty_state(self.worlds.model, scene, self.num_envs, self.device)
        aliases = {"diverged": self.worlds.diverged, "overflowed": self.worlds.overflowed}
        aliases["object_kind"] = self._choices.kind
        if scene.wrench_bodies:
            bodies = [self.worlds.model.body(name).id for name in scene.wrench_bodies]
            aliases["contact_wrench_b"] = self.worlds.wrenches(bodies)
        where, is_float32 = self._where, self._qpos.dtype == torch.float32
        self._copies_joints = not (is_float32 and isinstance(where.qpos, slice))
        if not self._copies_joints:
            aliases["joint_pos"] = self._qpos[:, where.qpos]
            aliases["joint_vel"] = self._qvel[:, where.dofs]
        if is_float32 and where.floating:
            aliases["root_pos_w"] = self._qpos[:, where.root_qpos][:, :3]
            aliases["root_lin_vel_w"] = self._qvel[:, where.root_dofs][:, :3]
        self.state: SimState = state._replace(**aliases)

    def _bind_dynamics(self, body: int) -> None:
        """Prepares the Jacobian of a body, and the mass matrix of its tree's joints."""
        worlds, model = self.worlds, self.worlds.model
        names = list(self.joint_names)
        dofs = [int(model.joint(name).dofadr[0]) for name in names]
        root = model.body_rootid[body]
        bodies = [b for b in range(1, model.nbody) if model.body_rootid[b] == root]
        of_body = joint_jacobian(worlds, [body], dofs, at="xpos")
        fields = fields_of(self.parameters)

        def jacobian(rows: Rows = ALL_ROWS) -> Tensor:
            return of_body(rows)[:, 0]

        self._dynamics = {
            "jacobian_w": jacobian,
            "mass_matrix": joint_mass_matrix(worlds, bodies, dofs, fields=fields),
        }

    def set_targets(self, targets: Tensor) -> None:
        """Sets every joint's drive target, shape [N, J]."""
        self._ctrl.copy_(targets.index_select(1, self._where.driven))

    def set_forces(self, forces_w: Tensor) -> None:
        """Sets the forces on the scene's ``force_bodies``, shape [N, F, 3]."""
        assert self._forces is not None, "the scene has no force_bodies"
        self._forces[:, self._where.force_bodies, :3] = forces_w.to(self._forces.dtype)

    def set_root_velocity(self, mask: Tensor, lin_vel_w: Tensor, ang_vel_w: Tensor) -> None:
        """Gives the floating root of some environments another velocity."""
        where, before = self._where, self._qvel[:, self._where.root_dofs]
        new = readout.velocity_rows(self._qpos[:, where.root_qpos], lin_vel_w, ang_vel_w)
        before.copy_(torch.where(mask[:, None], new, before))
        self._read_joints_and_root()

    def step(self) -> None:
        """Advances all environments by one control step; ``refresh`` then reads the result."""
        self.worlds.step(self.timing.decimation)

    def refresh(self) -> None:
        """Brings ``state`` up to date after ``step``."""
        self.worlds.check()
        self._choices.hold(self._where, self._qpos, self._qvel)
        diverged = self.state.diverged[:, None, None]
        if self._contacts is not None:
            self.state.contact_force_w.copy_(self._contacts.masked_fill(diverged, 0.0))
        if self.state.contact_wrench_b.shape[1] > 0:
            self.state.contact_wrench_b.masked_fill_(diverged, 0.0)
        self._read_joints_and_root()
        if self._drive_forces is not None:
            forces = self._drive_forces[:, self._where.dofs]
            self.state.drive_force.copy_(forces.masked_fill(diverged[:, 0], 0.0))
        self._refresh_bodies()

    def refresh_joints(self) -> None:
        """Brings joint positions and velocities up to date after ``step``."""
        self.worlds.check()
        self._choices.hold(self._where, self._qpos, self._qvel)
        if self._copies_joints:
            self._read_joints()

    def _read_joints(self, rows: Rows = ALL_ROWS) -> None:
        where, state = self._where, self.state
        write_rows(state.joint_pos, rows, self._qpos[rows][:, where.qpos])
        write_rows(state.joint_vel, rows, self._qvel[rows][:, where.dofs])

    def _read_joints_and_root(self, rows: Rows = ALL_ROWS) -> None:
        where, state = self._where, self.state
        qpos, qvel = self._qpos[rows], self._qvel[rows]
        if self._copies_joints:
            self._read_joints(rows)
        if where.floating:
            frames = frames_of(state, "root")
            readout.read_free(frames, qpos[:, where.root_qpos], qvel[:, where.root_dofs], rows)
        if state.object_pos_w.shape[1]:
            poses = qpos[:, where.object_qpos].unflatten(1, (-1, 7))
            velocities = qvel[:, where.object_dofs].unflatten(1, (-1, 6))
            poses, velocities = (self._choices.select(x, rows) for x in (poses, velocities))
            readout.read_free(frames_of(state, "object"), poses, velocities, rows)

    def _refresh_bodies(self, mask: Tensor | None = None, rows: Rows = ALL_ROWS) -> None:
        if self._body_states:
            self.worlds.forward(mask)
            readout.read_bodies(self.state, self._derived, self._where.roots, rows)
        for name, read in self._dynamics.items():
            write_rows(getattr(self.state, name), rows, read(rows))

    def reset(self, mask: Tensor, to: ResetState) -> None:
        """Puts the masked environments into the given state, without contacts or history."""
        rows: Rows = ALL_ROWS
        # Only these are computed, unless shapes must not depend on values.
        if self._host_may_branch():
            rows = mask.nonzero()[:, 0]
        to = to.to(self._qpos.dtype, rows)
        choices = self._choices
        qpos = readout.reset_positions(self._where, to, choices, rows)
        width = self._qvel.shape[1]
        qvel = readout.reset_velocities(self._where, to, qpos, width, choices, rows)
        if isinstance(rows, Tensor):
            self.worlds.reset_rows(rows, qpos, qvel)
        else:
            self.worlds.reset(mask, qpos, qvel)
        for value in self._measured().values():
            if value.numel():
                value.masked_fill_(per_row(mask, value), 0.0)
        self._read_joints_and_root(rows)
        self._refresh_bodies(mask, rows)

    def set_parameter(self, name: str, values: Tensor) -> None:
        """Gives every environment its own value of a physical parameter."""
        self._parameters.write(name, values)

    def set_parameters(self, values: Mapping[str, Tensor], rows: Rows) -> None:
        """Gives some environments new values of parameters."""
        self._parameters.write_rows(values, rows)

    def mirror(self) -> Mirror:
        """Returns a mirror that shows one environment at a time."""
        return Mirror(self.worlds)

    def capturing(self) -> AbstractContextManager[None]:
        """Returns a context that lets ``step`` join the CUDA graph torch is capturing."""
        return self.worlds.capturing()

    def _measured(self) -> dict[str, Tensor]:
        return {
            "contact_wrench_b": self.state.contact_wrench_b,
            "contact_force_w": self.state.contact_force_w,
            "drive_force": self.state.drive_force,
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the worlds' state, their parameters, and the forces measured."""
        measured = {name: value.clone() for name, value in self._measured().items()}
        return {**self.worlds.state_dict(), **measured, **self._parameters.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state belongs to another scene, engine or number of environments;
                nothing has been changed.
        """
        check_saved(state, self.state_dict())
        self._parameters.load_state_dict(state)
        self.worlds.load_state_dict(state)
        self._read_joints_and_root()
        self._refresh_bodies()
        for name, value in self._measured().items():
            value.copy_(state[name])

    def close(self) -> None:
        """Frees the engine's memory and threads."""
        self.worlds.close()
