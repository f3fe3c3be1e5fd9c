"""Converts Isaac Gym's numbers to the conventions of ``Simulator``, and back.

Isaac Gym: quaternions (x, y, z, w) as here; positions within the environment; linear velocities are
those of centres of mass; joints and bodies in an order of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.device import host_may_read
from rlgpu.device.rows import ALL_ROWS, put_rows
from rlgpu.sim.frames import Frames, frames_of
from rlgpu.sim.mujoco.layout import Layout, index_of
from rlgpu.sim.mujoco.object_choices import ObjectChoices
from rlgpu.sim.mujoco.readout import XYZW, reset_positions
from rlgpu.sim.physx.actors import actors_of
from rlgpu.sim.physx.drives import Drives
from rlgpu.sim.physx.dynamics import Dynamics
from rlgpu.sim.physx.finite import FiniteGuard
from rlgpu.sim.physx.free_bodies import FreeBodies, read_frames
from rlgpu.sim.physx.kinematics import Kinematics
from rlgpu.sim.scene import SceneSpec
from rlgpu.sim.simulator import ResetState, SimState


class Readout:
    """Reads and writes the slots of one simulation."""

    def __init__(
        self,
        model: mujoco.MjModel,
        scene: SceneSpec,
        where: Layout,
        answer: Mapping[str, Any],
        slots: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
    ) -> None:
        """Finds actors, joints and bodies by name.

        Args:
            model: The scene's compiled model.
            scene: What is driven and measured.
            where: Its layout.
            answer: The worker's, with the names in Isaac Gym's order.
            slots: The exchanged tensors.
            parameters: All of ``Simulator.parameters``, also those that do not vary; live tensors.
        """
        com = parameters["body_com"]
        self._device = device = com.device
        self._slots, self._where, self._com = slots, where, com
        self._dofs = _index(answer["dof_names"], where.joint_names, device)
        self._bodies = _index(answer["body_names"], where.body_names, device)
        self._sensors = _index(answer["sensor_names"], scene.wrench_bodies, device)
        self._drives = Drives(scene, where.joint_names, self._dofs, slots, len(com), device)
        self._host_may_read = host_may_read(device)
        objects = [model.body(name).id for name in scene.object_bodies]
        self._root = FreeBodies(model, [where.root] if where.floating else [], com)
        self._objects = FreeBodies(model, objects, com)
        self._choices = ObjectChoices(model, scene, len(com), device)
        self.home = self._home(model, where.root, objects)
        """The asset's own pose, at rest, of every environment."""
        self._measures_bodies = scene.body_states
        actors = actors_of(model)
        self._num_actors = len(actors)
        self._reset_actors: dict[str, Tensor] = {}
        """Slots of the numbers of actors to reset: which actors of an environment."""
        for slot, wanted in (
            ("reset_root_ids", [actor.is_free for actor in actors]),
            ("reset_dof_ids", [bool(actor.joints) for actor in actors]),
        ):
            if slot in slots:
                numbers = [i for i, is_wanted in enumerate(wanted) if is_wanted]
                self._reset_actors[slot] = torch.tensor(numbers, dtype=torch.int32, device=device)
        # Isaac Gym may report the asset's origin for a root that is fixed.
        held = [a.bodies[0] - 1 for a in actors if not (a.is_free or a.base)]
        self._held = slice(held[0], held[0] + 1) if held else slice(0, 0)
        self._held_pos, self._held_quat = (x[:, self._held] for x in self._poses(model))
        self._kinematics = Kinematics(model, device)
        body = scene.jacobian_body
        self._dynamics = Dynamics(model, model.body(body).id, parameters) if body else None

    def _poses(self, model: mujoco.MjModel) -> tuple[Tensor, Tensor]:
        """Returns where the asset has bodies in their parents, shape [1, B, 3] and [1, B, 4]."""
        pos = torch.tensor(model.body_pos[None, 1:], dtype=torch.float32, device=self._device)
        quat = torch.tensor(model.body_quat[None, 1:, XYZW], device=self._device).float()
        return pos, quat

    def _home(self, model: mujoco.MjModel, root: int, objects: Sequence[int]) -> ResetState:
        num_envs, joints = len(self._com), len(self._where.joint_names)
        pos, quat = self._poses(model)
        at = [body - 1 for body in objects]
        zero = torch.zeros(num_envs, 3, device=self._device)
        still = torch.zeros(num_envs, joints, device=self._device)
        return ResetState(
            joint_pos=still,
            joint_vel=still,
            root_pos_w=pos[:, root - 1].expand(num_envs, 3),
            root_quat_w=quat[:, root - 1].expand(num_envs, 4),
            root_lin_vel_w=zero,
            root_ang_vel_w=zero,
            object_pos_w=pos[:, at].expand(num_envs, -1, 3),
            object_quat_w=quat[:, at].expand(num_envs, -1, 4),
            object_lin_vel_w=zero[:, None].expand(-1, len(at), 3),
            object_ang_vel_w=zero[:, None].expand(-1, len(at), 3),
        )

    def write_targets(self, targets: Tensor) -> None:
        """Writes drive targets [N m, N, rad or m], shape [N, J]."""
        self._drives.write(targets)

    def _free(self, state: SimState | ResetState) -> list[tuple[FreeBodies, Frames]]:
        """Returns the root and the objects, as far as they move freely, with their frames."""
        root = Frames(*(values[:, None] for values in frames_of(state, "root")))
        parts = ((self._root, root), (self._objects, frames_of(state, "object")))
        return [(free, frames) for free, frames in parts if free.ids]

    def read(self, state: SimState) -> None:
        """Writes the results of a step into ``state``."""
        slots = self._slots
        if "dof" in slots:
            dofs = slots["dof"][:, self._dofs]
            state.joint_pos.copy_(dofs[..., 0])
            state.joint_vel.copy_(dofs[..., 1])
        for free, frames in self._free(state):
            free.read(slots["root"], frames)
        if self._measures_bodies:
            read_frames(slots["bodies"][:, self._bodies], self._com, frames_of(state, "body"))
            state.body_pos_w[:, self._held] = self._held_pos
            state.body_quat_w[:, self._held] = self._held_quat
        if self._dynamics is not None:
            self._dynamics.write(state)
        if "contacts" in slots:
            state.contact_force_w.copy_(slots["contacts"][:, self._bodies])
        if "wrenches" in slots:
            state.contact_wrench_b.copy_(slots["wrenches"][:, self._sensors])

    def find_diverged(self, diverged: Tensor, forces: FiniteGuard | None) -> None:
        """Writes which environments have a state or inputs that are not finite.

        Args:
            diverged: Is written, shape [N], bool.
            forces: What looked at the task's forces, if it has any.
        """
        states = [self._slots[name] for name in ("dof", "root") if name in self._slots]
        # On the CPU one sum of each is a quick look: it is finite only if all are.
        guards = [guard for guard in (self._drives.guard, forces) if guard is not None]
        may_be_fine = self._host_may_read and not any(guard.any_bad for guard in guards)
        if may_be_fine and all(math.isfinite(float(rows.sum())) for rows in states):
            diverged.zero_()
            return
        diverged.zero_()
        for guard in guards:
            diverged.logical_or_(guard.bad)
        for rows in states:
            diverged.logical_or_(~rows.isfinite().flatten(1).all(dim=1))

    def write_reset(self, state: SimState, mask: Tensor, to: ResetState) -> None:
        """Writes masked environments' new states, for Isaac Gym and into ``state``."""
        given = {name: value for name, value in to._asdict().items() if value is not None}
        to = self.home._replace(**given)
        put_rows(state.joint_pos, mask, to.joint_pos)
        put_rows(state.joint_vel, mask, to.joint_vel)
        for (free, frames), (_, new) in zip(self._free(state), self._free(to), strict=True):
            unit = new._replace(quat_w=new.quat_w / new.quat_w.norm(dim=-1, keepdim=True))
            for field, values in zip(frames, unit, strict=True):
                put_rows(field, mask, values)
            free.write(self._slots["reset_root"], mask, unit)
        if "reset_dof" in self._slots:
            slot = self._slots["reset_dof"]
            values = torch.stack((to.joint_pos, to.joint_vel), dim=-1)
            slot[:, self._dofs] = torch.where(mask[:, None, None], values, slot[:, self._dofs])
        if self._measures_bodies:
            self._place_bodies(state, mask)

    def _place_bodies(self, state: SimState, mask: Tensor) -> None:
        """Writes the masked environments' bodies where root, objects and joints put them."""
        placed = {
            body - 1: Frames(*(values[:, i] for values in frames))
            for free, frames in self._free(state)
            for i, body in enumerate(free.ids)
        }
        found = self._kinematics(placed, state.joint_pos, state.joint_vel)
        for field, values in zip(frames_of(state, "body"), found, strict=True):
            put_rows(field, mask, values)
        if self._dynamics is not None:
            self._dynamics.write(state)

    def write_reset_ids(self, mask: Tensor) -> None:
        """Writes which environments Isaac Gym is to reset, by the numbers of their actors."""
        slots = self._slots
        if self._host_may_read:
            envs = mask.nonzero()[:, 0].int()
            count = len(envs)
            slots["reset_count"].fill_(count)
        else:
            envs = (~mask).int().argsort(stable=True).int()
            count = len(envs)
            slots["reset_count"].copy_(mask.sum())
        for name, offsets in self._reset_actors.items():
            slots[name][:count] = envs[:, None] * self._num_actors + offsets

    def qpos(self, state: SimState, env_id: int) -> np.ndarray:
        """Returns an environment's pose in MuJoCo's layout."""
        names = [name for name in ResetState._fields if "vel" not in name]
        pose = {name: getattr(state, name)[env_id : env_id + 1] for name in names}
        to = ResetState(**pose, joint_vel=pose["joint_pos"])
        row = reset_positions(self._where, to, self._choices, ALL_ROWS)
        return np.asarray(row[0].cpu().numpy())


def _index(found: Sequence[str], wanted: Sequence[str], device: torch.device) -> slice | Tensor:
    """Returns where Isaac Gym has what is wanted."""
    return index_of([list(found).index(name) for name in wanted], device)
