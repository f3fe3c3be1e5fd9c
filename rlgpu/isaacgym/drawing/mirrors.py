"""Poses of environments in MuJoCo's own objects, which renderers and windows draw."""

from __future__ import annotations

from rlgpu.isaacgym.simulation.world import World
from rlgpu.sim.mujoco.mirror import PoseMirror


class Mirrors:
    """One mirror for each kind of environment."""

    def __init__(self, world: World) -> None:
        """Makes mirrors as they are needed."""
        self._world = world
        self._mirrors: dict[int, PoseMirror] = {}

    def show(self, index: int) -> PoseMirror:
        """Returns the mirror of an environment's model, in the environment's pose now.

        Args:
            index: The environment's index in the simulation.
        """
        env = self._world.sim.envs[index]
        group, _ = self._world.group_of(env)
        model = group.worlds.model
        if id(model) not in self._mirrors:
            self._mirrors[id(model)] = PoseMirror(model, self._world.pose_of)
        mirror = self._mirrors[id(model)]
        mirror.show(index)
        return mirror
