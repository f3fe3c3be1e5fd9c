"""Tiles of a height field in a scene, without OpenGL."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.drawing.terrain_tiles import Frustum, TerrainTiles


@pytest.mark.parametrize(("room", "fields"), [(15, [*range(1, 17)]), (14, [0]), (0, [0])])
def test_a_terrain_without_room_for_its_tiles_is_drawn_whole(room, fields):
    """128 x 128 cells are 4 x 4 tiles of 32 cells, fields 1 to 16; one replaces the field."""
    spec = mujoco.MjSpec()
    heights = np.zeros(129 * 129, dtype=np.float32)
    spec.add_hfield(name="ground", nrow=129, ncol=129, size=[8, 8, 1, 1], userdata=heights)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname="ground")
    model = spec.compile()
    tiles, data = TerrainTiles(model, spec), mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    scene = mujoco.MjvScene(model, maxgeom=1 + room)
    every = mujoco.mjtCatBit.mjCAT_ALL.value
    mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, mujoco.MjvCamera(), every, scene)
    above, down, north = gymapi.Vec3(0, 0, 50), gymapi.Vec3(0, 0, -1), gymapi.Vec3(0, 1, 0)
    tiles.show(scene, Frustum(above, down, north, far=100.0, across=1.0, along=1.0))
    assert sorted(scene.geoms[i].dataid for i in range(scene.ngeom)) == fields
