"""Draws one world at a time: a MuJoCo model and data that hold its pose."""

from __future__ import annotations

import mujoco

from rlgpu.sim.mujoco.worlds import Worlds


class Mirror:
    """Shows one world of many; a viewer or renderer draws ``model`` and ``data``."""

    def __init__(self, worlds: Worlds) -> None:
        """Allocates a data object for the worlds' model."""
        self.model = worlds.model
        self.data = mujoco.MjData(worlds.model)
        self._state = {"qpos": worlds.array("qpos")}
        if worlds.model.nmocap:
            self._state |= {name: worlds.array(name) for name in ("mocap_pos", "mocap_quat")}

    def show(self, env_id: int) -> None:
        """Copies a world's pose into ``data``."""
        for name, values in self._state.items():
            getattr(self.data, name)[:] = values[env_id].cpu().numpy()
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
