"""Poses of environments in MuJoCo's own objects, which renderers and windows draw."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import mujoco
import numpy as np

from rlgpu.isaacgym.records.scene import Env
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
            drawn = copy.copy(model)
            if self._varying:
                # Without the shortcut for geoms that have their body's pose.
                drawn.geom_sameframe[:] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
            self._mirrors[id(model)] = PoseMirror(drawn, self._read)
        return self._mirrors[id(model)]

    def show(self, index: int) -> PoseMirror:
        """Returns the mirror of an environment's model, with its pose, sizes and colours.

        Actors that the model has and the environment lacks are not drawn.

        Args:
            index: The environment's index in the simulation.
        """
        mirror, env = self.mirror_of(index), self._world.sim.envs[index]
        for name in self._varying:
            values = self._world.varying_field(name, env)
            getattr(mirror.model, name)[:] = values.cpu().numpy()
        _paint(mirror.model, env, self._world.layout_of(env).places.bodies)
        mirror.show(index)
        return mirror

    @property
    def _varying(self) -> frozenset[str]:
        """Drawn fields in which environments of a kind differ."""
        return _DRAWN & self._world.fields


def _paint(model: mujoco.MjModel, env: Env, bodies: np.ndarray) -> None:
    """Gives geoms the colours of an environment's actors, or none if it lacks their actor.

    Args:
        model: The model that is drawn.
        env: The environment.
        bodies: The model's body of each of the environment's bodies.
    """
    model.geom_rgba[model.geom_bodyid > 0, 3] = 0.0  # MuJoCo does not draw what is transparent
    for actor in env.actors:
        own, first = actor.asset.model, actor.first_body
        for i, body in enumerate(bodies[first : first + len(actor.asset.bodies)]):
            start, number = model.body_geomadr[body], model.body_geomnum[body]
            of_asset = own.body_geomadr[1 + i]
            colors = own.geom_rgba[of_asset : of_asset + number]
            if i in actor.colors:
                colors = np.array([*actor.colors[i], 1.0])
            model.geom_rgba[start : start + number] = colors
