"""Objects that are one of several bodies, by environment; the others wait out of reach.

All worlds share a model, so that each has all bodies. Those that an environment does not have are
put back to their places high above the scene after every step, before they fall far.
"""

from __future__ import annotations

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.device.rows import Rows
from rlgpu.sim.mujoco.layout import Layout
from rlgpu.sim.mujoco.parking import parking_places
from rlgpu.sim.scene import SceneSpec

_HEIGHT = 100.0
"""Distance of the bodies that wait from the highest shape of the scene [m]."""


class ObjectChoices:
    """Which body is which object in each environment, and the places of the others.

    Environments take the bodies cyclically, and all combinations of several objects.
    """

    def __init__(
        self, model: mujoco.MjModel, scene: SceneSpec, num_envs: int, device: torch.device
    ) -> None:
        """Hands out the bodies.

        Args:
            model: The scene's model.
            scene: The scene.
            num_envs: Number of environments, N.
            device: Where tensors are.
        """
        counts = [len(bodies) for bodies in scene.choices]
        self.is_trivial = all(count == 1 for count in counts)
        """Whether every environment has all bodies."""
        envs, first = torch.arange(num_envs, device=device), 0
        self.kind = torch.zeros(num_envs, len(counts), dtype=torch.int64, device=device)
        """Index of each object's body in its list, shape [N, K], int64."""
        self._chosen = torch.zeros_like(self.kind)  # among all bodies of objects
        for i, count in enumerate(counts):
            self.kind[:, i] = envs % count
            self._chosen[:, i] = first + self.kind[:, i]
            envs, first = envs.div(count, rounding_mode="floor"), first + count
        if self.is_trivial:
            return
        waits = torch.ones(num_envs, first, device=device).scatter_(1, self._chosen, 0.0)
        self._waits = waits.bool()[..., None]  # [N, M, 1]
        self._places = torch.from_numpy(_places(model, scene)).float().to(device)  # [M, 7]

    def select(self, values: Tensor, rows: Rows) -> Tensor:
        """Returns the values of the objects, shape [R, K, C], among those of all bodies.

        Args:
            values: Values of the bodies, shape [R, M, C].
            rows: The environments.
        """
        if self.is_trivial:
            return values
        chosen = self._chosen[rows][..., None]
        return values.gather(1, chosen.expand(-1, -1, values.shape[2]))

    def spread(self, values: Tensor, rows: Rows) -> Tensor:
        """Returns poses or velocities of all bodies, shape [R, M, C], from those of the objects.

        Args:
            values: Poses or velocities of the objects, shape [R, K, 7 or 6].
            rows: The environments.
        """
        if self.is_trivial:
            return values
        rest = self._rest(values)
        chosen = self._chosen[rows][..., None]
        return rest.expand(len(values), -1, -1).scatter(
            1, chosen.expand(-1, -1, values.shape[2]), values
        )

    def hold(self, where: Layout, qpos: Tensor, qvel: Tensor) -> None:
        """Puts the bodies that wait back to their places.

        Args:
            where: The scene's layout.
            qpos: Positions, shape [N, nq]; updated in place.
            qvel: Velocities, shape [N, nv]; updated in place.
        """
        if self.is_trivial:
            return
        for array, at, width in ((qpos, where.object_qpos, 7), (qvel, where.object_dofs, 6)):
            now = array[:, at].unflatten(1, (-1, width))
            array[:, at] = torch.where(self._waits, self._rest(now), now).flatten(1)

    def _rest(self, values: Tensor) -> Tensor:
        """Returns poses, or velocities, of bodies that wait, shape [M, 7 or 6]."""
        places = self._places.to(values.dtype)
        return places if values.shape[-1] == 7 else torch.zeros_like(places[:, :6])


def _places(model: mujoco.MjModel, scene: SceneSpec) -> np.ndarray:
    """Returns poses in which the bodies of objects touch nothing, shape [M, 7]."""
    ids = [model.body(name).id for name in scene.object_bodies]
    positions = parking_places(model, ids, distance=_HEIGHT)
    return np.hstack([positions, np.tile([1.0, 0.0, 0.0, 0.0], (len(ids), 1))])
