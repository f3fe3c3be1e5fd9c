"""Keeps actors that environments lack at rest, out of reach; see ``rosters``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.simulation.build import Group
from rlgpu.isaacgym.simulation.rosters import way_out
from rlgpu.sim.mujoco.parking import parking_places

_DISTANCE = 1e4
"""Distance of parked actors from the scene [m], farther than anything that moves will go."""
_TURN = (1.0, 0.0, 0.0, 0.0)
_ARRAYS = ("qpos", "qvel", "mocap_pos", "mocap_quat")


class Parked:
    """Writes the states of absent actors into the rows of ``JoinedWorlds``."""

    def __init__(self, sim: Sim, groups: Sequence[Group]) -> None:
        """Finds which actors are absent from which environments, and their places.

        Args:
            sim: The simulation.
            groups: Its environments.
        """
        up, starts = way_out(sim), dict.fromkeys(_ARRAYS, 0)
        found: dict[str, list[tuple[int, Sequence[float]]]] = {name: [] for name in _ARRAYS}
        for group in groups:
            model, sizes = group.worlds.model, group.layout.sizes
            if group.kind.roster is not None and up is not None:
                roots = group.layout.places.bodies[group.layout.places.first_bodies]
                places = parking_places(model, roots.tolist(), distance=_DISTANCE, up=list(up))
                states = _states(group, places)
                for world, seats in enumerate(group.kind.seats):
                    for slot in set(states) - set(seats):
                        for name, first, values in states[slot]:
                            width = getattr(sizes, _LENGTHS[name])
                            found[name].append((starts[name] + world * width + first, values))
            for name in _ARRAYS:
                starts[name] += len(group.envs) * getattr(sizes, _LENGTHS[name])
        self._rest = {
            name: _Rest(entries, name.startswith("mocap"), sim.device)
            for name, entries in found.items()
            if entries
        }

    def write(self, row_of: Callable[[str], Tensor], *, moving_only: bool = False) -> None:
        """Puts absent actors to their places.

        Args:
            row_of: Returns the row of an array, shape [1, ...], by its name.
            moving_only: Whether those with fixed roots, which steps do not move, may be left out.
        """
        for name, rest in self._rest.items():
            if not (moving_only and name.startswith("mocap")):
                rest.write(row_of(name)[0])


_LENGTHS = {"qpos": "qpos", "qvel": "qvel", "mocap_pos": "mocaps", "mocap_quat": "mocaps"}
"""The field of ``Sizes`` that says how many entries of an array a world has."""


class _Rest:
    """Entries of an array and their values."""

    def __init__(
        self, entries: Sequence[tuple[int, Sequence[float]]], is_by_row: bool, device: torch.device
    ) -> None:
        """Moves them to a device.

        Args:
            entries: First entry and values; the values of one entry each if ``is_by_row``.
            is_by_row: Whether an entry holds several numbers.
            device: Where the array is.
        """
        values = np.array([values for _, values in entries])
        ids = np.array([first for first, _ in entries])
        if not is_by_row:
            ids = (ids[:, None] + np.arange(values.shape[1])).ravel()
            values = values.ravel()
        self._ids, self._values = (torch.from_numpy(x).to(device) for x in (ids, values))

    def write(self, row: Tensor) -> None:
        """Writes the values into an array of all worlds' entries."""
        self._values = self._values.to(row.dtype)
        row.index_copy_(0, self._ids, self._values)


def _states(group: Group, places: np.ndarray) -> dict[int, list[tuple[str, int, Sequence[float]]]]:
    """Returns what parks each slot's actor: arrays, first entries in a world, and values.

    Args:
        group: Worlds of one model.
        places: Position of each slot, shape [A, 3].
    """
    where = group.layout.places
    states: dict[int, list[tuple[str, int, Sequence[float]]]] = {}
    for slot, qpos, qvel in zip(where.free, where.free_qpos, where.free_qvel, strict=True):
        pose = (*places[slot], *_TURN)
        states[slot] = [("qpos", int(qpos[0]), pose), ("qvel", int(qvel[0]), (0.0,) * 6)]
    for slot, mocap in zip(where.held, where.held_mocap, strict=True):
        place = tuple(places[slot])
        states[slot] = [("mocap_pos", int(mocap), place), ("mocap_quat", int(mocap), _TURN)]
    return {int(slot): parts for slot, parts in states.items()}
