"""Draws one world at a time: a MuJoCo model and data that hold its pose."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mujoco
import numpy as np

from rlgpu.sim.mujoco.worlds import Worlds


class PoseMirror:
    """Shows one world of many; a viewer or renderer draws ``model`` and ``data``."""

    def __init__(
        self, model: mujoco.MjModel, read: Callable[[int], Mapping[str, np.ndarray]]
    ) -> None:
        """Allocates a data object.

        Args:
            model: The model to draw.
            read: Returns a world's ``qpos``, and mocap poses if the model has any.
        """
        self.model, self.data, self._read = model, mujoco.MjData(model), read

    def show(self, env_id: int) -> None:
        """Copies a world's pose into ``data``."""
        for name, values in self._read(env_id).items():
            getattr(self.data, name)[:] = values
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)


class Mirror(PoseMirror):
    """Shows one of ``Worlds``."""

    def __init__(self, worlds: Worlds) -> None:
        """Allocates a data object for the worlds' model."""
        names = ["qpos", *(("mocap_pos", "mocap_quat") if worlds.model.nmocap else ())]
        state = {name: worlds.array(name) for name in names}
        super().__init__(
            worlds.model, lambda env: {name: v[env].cpu().numpy() for name, v in state.items()}
        )
