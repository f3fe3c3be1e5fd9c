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
from rlgpu.rotations import quat_rotate
from rlgpu.sim.isaacgym.drives import Drives
from rlgpu.sim.isaacgym.kinematics import Frames, Kinematics
from rlgpu.sim.mujoco.layout import Layout, index_of
from rlgpu.sim.mujoco.readout import WXYZ, XYZW
from rlgpu.sim.scene import SceneSpec
from rlgpu.sim.simulator import ResetState, SimState


class Readout:
    """Reads and writes the slots of one simulation."""

    def __init__(
        self, model: mujoco.MjModel, scene: SceneSpec, where: Layout, answer: Mapping[str, Any],
        slots: Mapping[str, Tensor],
    ) -> None:  # fmt: skip
        """Finds joints and bodies by name.

        Args:
            model: The scene's compiled model.
            scene: What is driven and measured.
            where: Its layout.
            answer: The worker's, with the names in Isaac Gym's order.
            slots: The exchanged tensors.
        """
        device = where.joint_lower.device
        self._slots = slots

        def constant(values: Any) -> Tensor:
            return torch.tensor(np.asarray(values), dtype=torch.float32, device=device)

        self._dofs = _index(answer["dof_names"], where.joint_names, device)
        self._bodies = _index(answer["body_names"], where.body_names, device)
        self._drives = Drives(scene, where.joint_names, self._dofs, slots, device)
        self._host_may_read = host_may_read(device)
        self._floating = where.floating
        self._com = constant(model.body_ipos[1:])  # [B, 3]
        self._root_is_com = not model.body_ipos[1].any()
        self._root_pos = constant(model.body_pos[1])
        self._root_quat = constant(model.body_quat[1][XYZW])
        num_envs = slots["reset_ids"].shape[0]
        joints = torch.zeros(num_envs, len(where.joint_names), device=device)
        zero = torch.zeros(num_envs, 3, device=device)
        self.home = ResetState(
            joint_pos=joints,
            joint_vel=joints,
            root_pos_w=self._root_pos.expand(num_envs, 3),
            root_quat_w=self._root_quat.expand(num_envs, 4),
            root_lin_vel_w=zero,
            root_ang_vel_w=zero,
        )
        """The asset's own pose, at rest, of every environment."""
        self._root_is_fixed = not where.floating and not model.body_jntnum[1]
        self._measures_bodies = scene.body_states
        self._kinematics = Kinematics(model, device)

    def write_targets(self, targets: Tensor) -> None:
        """Writes drive targets [N m, N, rad or m], shape [N, J]."""
        self._drives.write(targets)

    def read(self, state: SimState) -> None:
        """Writes the results of a step into ``state``."""
        slots = self._slots
        if "dof" in slots:
            dofs = slots["dof"][:, self._dofs]
            state.joint_pos.copy_(dofs[..., 0])
            state.joint_vel.copy_(dofs[..., 1])
        if self._floating:
            com = None if self._root_is_com else self._com[0]
            _read_frames(slots["root"], com, _root_of(state))
        if self._measures_bodies:
            _read_frames(slots["bodies"][:, self._bodies], self._com, _bodies_of(state))
            if self._root_is_fixed:  # Isaac Gym may report the asset's origin for it
                state.body_pos_w[:, 0] = self._root_pos
                state.body_quat_w[:, 0] = self._root_quat
        if "contacts" in slots:
            state.contact_force_w.copy_(slots["contacts"][:, self._bodies])
        if "wrenches" in slots:
            state.contact_wrench_b.copy_(slots["wrenches"])
        self._find_diverged(state.diverged)

    def _find_diverged(self, diverged: Tensor) -> None:
        """Writes which environments have a state or targets that are not finite."""
        states = [self._slots[name] for name in ("dof", "root") if name in self._slots]
        # On the CPU one sum of each is a quick look: it is finite only if all are.
        may_be_fine = self._host_may_read and not self._drives.any_bad
        if may_be_fine and all(math.isfinite(float(rows.sum())) for rows in states):
            diverged.zero_()
            return
        diverged.copy_(self._drives.bad)
        for rows in states:
            diverged.logical_or_(~rows.isfinite().flatten(1).all(dim=1))

    def write_reset(self, state: SimState, mask: Tensor, to: ResetState) -> None:
        """Writes masked environments' new states, for Isaac Gym and into ``state``."""
        given = {name: value for name, value in to._asdict().items() if value is not None}
        to = self.home._replace(**given)
        _put(state.joint_pos, mask, to.joint_pos)
        _put(state.joint_vel, mask, to.joint_vel)
        if self._floating:
            assert to.root_quat_w is not None
            quat_w = to.root_quat_w / to.root_quat_w.norm(dim=-1, keepdim=True)
            new = Frames(to.root_pos_w, quat_w, to.root_lin_vel_w, to.root_ang_vel_w)  # type: ignore[arg-type]
            for field, value in zip(_root_of(state), new, strict=True):
                _put(field, mask, value)
            arm_w = quat_rotate(new.quat_w, self._com[0].expand_as(new.ang_vel_w))
            of_com_w = new.lin_vel_w + torch.linalg.cross(new.ang_vel_w, arm_w)
            row = torch.cat((new.pos_w, new.quat_w, of_com_w, new.ang_vel_w), dim=-1)
            _put(self._slots["reset_root"], mask, row)
        if "reset_dof" in self._slots:
            slot = self._slots["reset_dof"]
            values = torch.stack((to.joint_pos, to.joint_vel), dim=-1)
            slot[:, self._dofs] = torch.where(mask[:, None, None], values, slot[:, self._dofs])
        if self._measures_bodies:
            frames = self._kinematics(_root_of(state), state.joint_pos, state.joint_vel)
            for field, value in zip(_bodies_of(state), frames, strict=True):
                _put(field, mask, value)

    def write_reset_ids(self, mask: Tensor) -> None:
        """Writes which environments Isaac Gym is to reset; actors are numbered as these are."""
        slots = self._slots
        if self._host_may_read:
            ids = mask.nonzero()[:, 0]
            slots["reset_ids"][: len(ids)] = ids.int()
            slots["reset_count"].fill_(len(ids))
        else:
            slots["reset_ids"].copy_((~mask).int().argsort(stable=True))
            slots["reset_count"].copy_(mask.sum())

    def qpos(self, state: SimState, env_id: int) -> np.ndarray:
        """Returns an environment's pose in MuJoCo's layout."""
        joints = state.joint_pos[env_id].cpu().numpy()
        if not self._floating:
            return joints
        pos, quat = (x[env_id].cpu().numpy() for x in (state.root_pos_w, state.root_quat_w))
        return np.concatenate((pos, quat[WXYZ], joints))


def _read_frames(rows: Tensor, com: Tensor | None, frames: Frames) -> None:
    """Reads positions, quaternions, linear and angular velocities, shape [..., 13].

    Args:
        rows: As Isaac Gym has them.
        com: Centres of mass in the bodies' frames [m]; None if they are the origins.
        frames: Where to write them.
    """
    quat_w, lin_vel_w, ang_vel_w = rows[..., 3:7], rows[..., 7:10], rows[..., 10:13]
    if com is not None:
        arm_w = quat_rotate(quat_w, com.expand_as(ang_vel_w))
        lin_vel_w = lin_vel_w - torch.linalg.cross(ang_vel_w, arm_w)
    for field, values in zip(frames, (rows[..., :3], quat_w, lin_vel_w, ang_vel_w), strict=True):
        field.copy_(values)


def _index(found: Sequence[str], wanted: Sequence[str], device: torch.device) -> slice | Tensor:
    """Returns where Isaac Gym has what is wanted."""
    return index_of([list(found).index(name) for name in wanted], device)


def _root_of(state: SimState) -> Frames:
    return Frames(state.root_pos_w, state.root_quat_w, state.root_lin_vel_w, state.root_ang_vel_w)


def _bodies_of(state: SimState) -> Frames:
    return Frames(state.body_pos_w, state.body_quat_w, state.body_lin_vel_w, state.body_ang_vel_w)


def _put(into: Tensor, mask: Tensor, values: Tensor) -> None:
    """Writes the masked environments' values, without reading the mask on the host."""
    where = mask.view(-1, *[1] * (into.ndim - 1))
    into.copy_(torch.where(where, values, into))
