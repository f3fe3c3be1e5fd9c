"""Poses of environments in MuJoCo's own objects, which renderers and windows draw."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import mujoco
import numpy as np

from rlgpu.isaacgym.simulation.world import World
from rlgpu.sim.mujoco.mirror import PoseMirror

_DRAWN = frozenset(
    {"body_pos", "body_quat", "geom_pos", "geom_quat", "geom_size", "jnt_axis", "jnt_pos"}
)
"""Fields of a model that decide where things are drawn, and how large."""


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
            drawn = model
            if self._varying or group.kind.roster is not None:
                # A copy to write to, without the shortcut for geoms that have their body's pose.
                drawn = copy.copy(model)
                drawn.geom_sameframe[:] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
            self._mirrors[id(model)] = PoseMirror(drawn, self._read)
        return self._mirrors[id(model)]

    def show(self, index: int) -> PoseMirror:
        """Returns the mirror of an environment's model, in the environment's pose and sizes.

        Args:
            index: The environment's index in the simulation.
        """
        mirror, env = self.mirror_of(index), self._world.sim.envs[index]
        for name in self._varying:
            values = self._world.varying_field(name, env)
            getattr(mirror.model, name)[:] = values.cpu().numpy()
        group, world = self._world.group_of(env)
        if group.kind.roster is not None:
            # MuJoCo does not draw what is transparent.
            mirror.model.geom_rgba[:] = group.worlds.model.geom_rgba
            mirror.model.geom_rgba[group.absent_geoms(world), 3] = 0.0
        mirror.show(index)
        return mirror

    @property
    def _varying(self) -> frozenset[str]:
        """Drawn fields in which environments of a kind differ."""
        return _DRAWN & self._world.fields
