"""Keeps actors that environments lack at rest, out of reach; see ``rosters``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.simulation.build import Group
from rlgpu.isaacgym.simulation.layout import Places
from rlgpu.sim.mujoco.parking import parking_places

_DISTANCE = 1e4
"""Distance of parked actors from the scene [m], farther than anything that moves will go."""
_TURN = (1.0, 0.0, 0.0, 0.0)
_LENGTHS = {"qpos": "qpos", "qvel": "qvel", "mocap_pos": "mocaps", "mocap_quat": "mocaps"}
"""The field of ``Sizes`` that says how many entries of an array a world has."""


class Parked:
    """Writes the states of absent actors into the rows of ``JoinedWorlds``."""

    def __init__(self, sim: Sim, groups: Sequence[Group], row_of: Callable[[str], Tensor]) -> None:
        """Finds which actors are absent from which environments, and puts them to their places.

        Args:
            sim: The simulation.
            groups: Its environments.
            row_of: Returns the live row of an array, shape [1, ...], by its name.
        """
        rests = []
        for name, entries in _entries(sim, groups).items():
            if entries:
                rests.append((name, _Rest(row_of(name)[0], entries)))
        for _, rest in rests:
            rest.write()
        self._moving = [rest for name, rest in rests if not name.startswith("mocap")]

    def write(self) -> None:
        """Puts absent actors back to their places, except those with fixed roots, which stay."""
        for rest in self._moving:
            rest.write()


class _Entry(NamedTuple):
    """An entry of an array and the values of it and, in arrays of numbers, of the next ones."""

    first: int
    values: Sequence[float]


class _Rest:
    """Entries of a row at rest."""

    def __init__(self, row: Tensor, entries: Sequence[_Entry]) -> None:
        """Takes the row of all worlds, shape [entries, ...]."""
        ids = np.array([entry.first for entry in entries])
        values = np.array([entry.values for entry in entries])
        if row.dim() == 1:
            ids = (ids[:, None] + np.arange(values.shape[1])).ravel()
            values = values.ravel()
        self._row = row
        self._ids, self._values = torch.from_numpy(ids).to(row.device), torch.from_numpy(values)
        self._values = self._values.to(row)

    def write(self) -> None:
        """Writes the entries."""
        self._row.index_copy_(0, self._ids, self._values)


def _entries(sim: Sim, groups: Sequence[Group]) -> dict[str, list[_Entry]]:
    """Returns the entries of absent actors in the rows of all worlds, by array."""
    found: dict[str, list[_Entry]] = {name: [] for name in _LENGTHS}
    starts, up = dict.fromkeys(_LENGTHS, 0), sim.parking
    for group in groups:
        where, sizes = group.layout.places, group.layout.sizes
        widths = {name: getattr(sizes, length) for name, length in _LENGTHS.items()}
        if group.kind.roster is not None and up is not None:
            roots = where.bodies[where.first_bodies].tolist()
            places = parking_places(group.worlds.model, roots, distance=_DISTANCE, up=list(up))
            states = _states(where, places)
            for world, seats in enumerate(group.kind.seats):
                for slot in sorted(set(states) - set(seats)):
                    for name, (first, values) in states[slot].items():
                        start = starts[name] + world * widths[name]
                        found[name].append(_Entry(start + first, values))
        for name, width in widths.items():
            starts[name] += len(group.envs) * width
    return found


def _states(where: Places, positions: np.ndarray) -> dict[int, dict[str, _Entry]]:
    """Returns the entries of a world that park each actor, by array.

    Args:
        where: The places of all actors of a model.
        positions: Where each of them is parked [m], shape [A, 3].
    """
    states: dict[int, dict[str, _Entry]] = {}
    for slot, qpos, qvel in zip(where.free, where.free_qpos, where.free_qvel, strict=True):
        pose = (*positions[slot], *_TURN)
        states[int(slot)] = {
            "qpos": _Entry(int(qpos[0]), pose),
            "qvel": _Entry(int(qvel[0]), (0.0,) * 6),
        }
    for slot, mocap in zip(where.held, where.held_mocap, strict=True):
        states[int(slot)] = {
            "mocap_pos": _Entry(int(mocap), tuple(positions[slot])),
            "mocap_quat": _Entry(int(mocap), _TURN),
        }
    return states
