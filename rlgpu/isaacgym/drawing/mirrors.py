"""Poses of environments in MuJoCo's own objects, which renderers and windows draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rlgpu.isaacgym.simulation.world import World
from rlgpu.sim.mujoco.mirror import PoseMirror


class Mirrors:
    """One mirror for each kind of environment."""

    def __init__(
        self, world: World, read: Callable[[int], Mapping[str, np.ndarray]] | None = None
    ) -> None:
        """Makes mirrors as they are needed.

        Args:
            world: The environments.
            read: Returns what places the bodies of an environment; ``world.pose_of`` by default.
        """
        self._world, self._read = world, read or world.pose_of
        self._mirrors: dict[int, PoseMirror] = {}

    def mirror_of(self, index: int) -> PoseMirror:
        """Returns the mirror of an environment's model, in any pose.

        Args:
            index: The environment's index in the simulation.
        """
        group, _ = self._world.group_of(self._world.sim.envs[index])
        model = group.worlds.model
        if id(model) not in self._mirrors:
            self._mirrors[id(model)] = PoseMirror(model, self._read)
        return self._mirrors[id(model)]

    def show(self, index: int) -> PoseMirror:
        """Returns the mirror of an environment's model, in the environment's pose.

        Args:
            index: The environment's index in the simulation.
        """
        mirror = self.mirror_of(index)
        mirror.show(index)
        return mirror
