"""Worlds of several models as one row: what every group holds, one after another.

Code written for N worlds of one model also runs on one world that holds everything. An array of
``JoinedWorlds`` has a single row with the entries of all worlds, group by group. The row is what
callers read and write; it is copied to the groups before they step and back after.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgpu.device import host_may_read
from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.simulation.build import Group
from rlgpu.isaacgym.simulation.layout import Places, Sizes, joined
from rlgpu.isaacgym.simulation.parked import Parked
from rlgpu.isaacgym.simulation.sharing import Shares
from rlgpu.sim.mujoco.worlds import Worlds

_CONTROLS = ("ctrl", "xfrc_applied")
_POSES = ("mocap_pos", "mocap_quat")
_STATE = ("qpos", "qvel")
_LARGE = 4
"""Worlds a group, on average, from which on copying groups is faster than worlds one by one."""


class JoinedModel:
    """The model fields of all worlds, one world after another."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups
        self.opt = groups[0].worlds.model.opt
        self.nmocap = sum(len(g.envs) * g.worlds.model.nmocap for g in groups)

    def __getattr__(self, name: str) -> np.ndarray:
        """Returns a field of the worlds' models, repeated for each of them."""
        if name.startswith("_"):
            raise AttributeError(name)
        parts = [getattr(g.worlds.model, name) for g in self._groups for _ in g.envs]
        return np.concatenate(parts)


class _Copies:
    """Tensors of groups and the rows that show them."""

    def __init__(self) -> None:
        self._own: list[Tensor] = []
        self._pieces: list[Tensor] = []
        self._rows: list[tuple[list[Tensor], Tensor]] = []
        self._large: tuple[list[Tensor], list[Tensor]] = [], []

    def add(self, parts: Sequence[Tensor], row: Tensor, pieces: Sequence[Tensor]) -> None:
        """Adds an array.

        Args:
            parts: Tensors of groups, each of shape [worlds, entries, ...].
            row: Their entries one after another, shape [1, ...].
            pieces: Each tensor's part of the row, in its shape.
        """
        if sum(map(len, parts)) >= _LARGE * len(parts):
            self._large[0].extend(pieces)
            self._large[1].extend(parts)
        else:
            self._rows.append(([world for part in parts for world in part], row[0]))
        for part, piece in zip(parts, pieces, strict=True):
            if part.numel():
                self._own.append(part)
                self._pieces.append(piece)

    def to_rows(self) -> None:
        """Copies the groups' tensors to the rows."""
        for worlds, row in self._rows:
            torch.cat(worlds, out=row)
        if self._large[0]:
            torch._foreach_copy_(*self._large)

    def to_groups(self) -> None:
        """Copies the rows to the groups' tensors."""
        if self._own:
            torch._foreach_copy_(self._own, self._pieces)


class JoinedWorlds:
    """Groups of worlds with the interface of one world that holds everything."""

    def __init__(self, sim: Sim, groups: Sequence[Group]) -> None:
        """Joins groups that have rows for the same model fields.

        Args:
            sim: The simulation.
            groups: Its environments.
        """
        self.groups = groups
        self._worlds: list[Worlds] = [group.worlds for group in groups]
        self.num_worlds, self.device = len(sim.envs), sim.device
        self.model = JoinedModel(groups)
        self.description = f"{len(groups)} groups of environments, {self._worlds[0].description}"
        self._ids = torch.tensor([e.index for g in groups for e in g.envs], device=sim.device)
        self._arrays: dict[str, Tensor] = {}
        self._parts: dict[tuple[str, int], Tensor] = {}
        self._fields: dict[str, tuple[Tensor, list[Tensor]]] = {}
        self._states, self._poses = _Copies(), _Copies()
        self._controls, self._outputs = _Copies(), _Copies()
        # Calls of MuJoCo C take long enough for threads to share them.
        threads = sim.usable_threads if sim.capabilities.threads_share_calls else 1
        self._shares = Shares([worlds.num_worlds for worlds in self._worlds], threads)
        self._restarts = any(worlds.capabilities.restarts_in_check for worlds in self._worlds)
        self._wrenches: tuple[Tensor, Tensor] | None = None
        self._parked = Parked(sim, groups, self.array)

    @property
    def diverged(self) -> Tensor:
        """Whether the last step reached a non-finite state, shape [N], bool."""
        return self._in_order([worlds.diverged for worlds in self._worlds])

    @property
    def overflowed(self) -> Tensor:
        """Whether the last step dropped contacts or constraints, shape [N], bool."""
        return self._in_order([worlds.overflowed for worlds in self._worlds])

    def _in_order(self, parts: Sequence[Tensor]) -> Tensor:
        """Returns values of the groups' worlds in the order of the environments."""
        every = torch.cat(list(parts))
        ordered = torch.empty_like(every)
        ordered[self._ids] = every
        return ordered

    def array(self, name: str) -> Tensor:
        """Returns a live tensor of an ``MjData`` field of all worlds, shape [1, ...]."""
        if name not in self._arrays:
            copies = self._copies_of(name)
            # Not every engine has arrays of mocap bodies for models without any.
            able = [w.model.nmocap > 0 or not name.startswith("mocap") for w in self._worlds]
            chosen = [i for i, on in enumerate(able) if on]
            parts = [self._worlds[i].array(name) for i in chosen]
            self._arrays[name], pieces = _row_of(parts)
            copies.add(parts, self._arrays[name], pieces)
            self._parts |= {(name, i): piece for i, piece in zip(chosen, pieces, strict=True)}
        return self._arrays[name]

    def _copies_of(self, name: str) -> _Copies:
        for names, copies in (
            (_STATE, self._states),
            (_POSES, self._poses),
            (_CONTROLS, self._controls),
        ):
            if name in names:
                return copies
        return self._outputs

    def array_of(self, name: str, group: int) -> Tensor:
        """Returns a group's part of an array, shape [N of the group, ...]."""
        self.array(name)
        return self._parts[name, group]

    def field(self, name: str) -> Tensor:
        """Returns a model field of all worlds, shape [1, ...]; see ``fields_written``."""
        return self._field(name)[0]

    def field_of(self, name: str, group: int) -> Tensor:
        """Returns a group's part of a model field, shape [N of the group, ...]."""
        return self._field(name)[1][group]

    def _field(self, name: str) -> tuple[Tensor, list[Tensor]]:
        if name not in self._fields:
            self._fields[name] = _row_of([worlds.field(name) for worlds in self._worlds])
        return self._fields[name]

    def fields_written(self, names: Collection[str]) -> None:
        """Hands what was written to model fields to the groups."""
        for i, worlds in enumerate(self._worlds):
            for name in names:
                worlds.field(name).copy_(self.field_of(name, i))
            worlds.fields_written(names)

    def wrenches(self, bodies: Sequence[int]) -> Tensor:
        """Returns a live tensor of contact wrenches on bodies, shape [1, bodies, 6].

        Args:
            bodies: Ids of the bodies, all of each environment's in the order of its layout.
        """
        own = [g.layout.places.bodies for g in self.groups]
        parts = [w.wrenches(ids.tolist()) for w, ids in zip(self._worlds, own, strict=True)]
        row, pieces = _row_of(parts)
        self._outputs.add(parts, row, pieces)
        starts = accumulate((w.num_worlds * w.model.nbody for w in self._worlds), initial=0)
        every = np.concatenate(
            [
                (start + np.arange(w.num_worlds)[:, None] * w.model.nbody + ids).ravel()
                for start, w, ids in zip(starts, self._worlds, own, strict=False)
            ]
        )
        sorter = np.argsort(every)
        found = sorter[np.searchsorted(every, bodies, sorter=sorter)]
        order = torch.from_numpy(found).to(self.device)
        ordered = row[:, order]
        self._wrenches = row[0], order
        self._arrays["wrenches"] = ordered
        return ordered

    def step(self, num_steps: int) -> None:
        """Advances every world by physics steps under one held ``ctrl``."""
        self._write()
        self._controls.to_groups()
        self._shares.each(lambda i: self._worlds[i].step(num_steps))
        self._states.to_rows()

    def check(self) -> None:
        """Updates flags and all that follows from the last step; engines may restart worlds."""
        if self._restarts:
            self._states.to_groups()
        self._shares.each(lambda i: self._worlds[i].check())
        if self._restarts:
            self._states.to_rows()
        self._parked.write()  # before they fall far
        self._outputs.to_rows()
        if self._wrenches is not None:
            row, order = self._wrenches
            self._arrays["wrenches"][0].copy_(row[order])

    def forward(self, mask: Tensor | None = None) -> None:
        """Brings poses and velocities of bodies in line with ``qpos`` and ``qvel``.

        Args:
            mask: Environments that must be brought up to date, shape [N], bool; all if None.
        """
        self._write()
        parts: Sequence[Tensor | None] = [None] * len(self._worlds)
        if mask is not None:
            parts = mask[self._ids].split([worlds.num_worlds for worlds in self._worlds])
        may_read = host_may_read(self.device)

        def forward(i: int) -> None:
            part = parts[i]
            if part is None or not may_read or bool(part.any()):
                self._worlds[i].forward(part)

        self._shares.each(forward)
        self._outputs.to_rows()

    def _write(self) -> None:
        self._states.to_groups()
        self._poses.to_groups()

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the groups' states, as copies."""
        self._write()
        self._controls.to_groups()
        return {
            f"{i}.{name}": tensor
            for i, worlds in enumerate(self._worlds)
            for name, tensor in worlds.state_dict().items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        for i, worlds in enumerate(self._worlds):
            start = f"{i}."
            own = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            worlds.load_state_dict(own)
        for copies in (self._states, self._poses, self._controls):
            copies.to_rows()

    def close(self) -> None:
        """Frees the engines' memory and threads."""
        self._shares.close()
        for worlds in self._worlds:
            worlds.close()


def _row_of(parts: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Returns a row of the entries of tensors, shape [1, ...], and each tensor's part of it.

    Args:
        parts: Tensors of groups, each of shape [worlds, entries, ...].
    """
    row = torch.cat([part.flatten(0, 1) for part in parts])
    pieces = row.split([len(part) * part.shape[1] for part in parts])
    own = [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]
    return row[None], own


def joined_places(groups: Sequence[Group], sim: Sim) -> Places:
    """Returns where the parts of all environments are in rows of ``JoinedWorlds``."""
    found: dict[int, Places] = {}
    start = Sizes()
    for group in groups:
        own = group.layout.sizes
        for world, env in enumerate(group.envs):
            shift = Sizes(*(s + world * n for s, n in zip(start, own, strict=True)))
            before = sim.start(env)
            shift = shift._replace(actors=before.actors, api_bodies=before.bodies)
            places = group.layouts[world].places._replace(actors=tuple(env.actors))
            found[env.index] = places.shifted(shift)
        start = Sizes(*(s + len(group.envs) * n for s, n in zip(start, own, strict=True)))
    return joined([found[env.index] for env in sim.envs])
