"""What pictures show: several environments side by side, and a task's marks."""

from __future__ import annotations

from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from rlgpu.envs import Mark
from rlgpu.playing import num_shown
from rlgpu.playing.camera import follow
from rlgpu.playing.picture import Picture, add_marks
from rlgpu.tasks.ant import Ant
from rlgpu.tasks.cartpole import Cartpole
from rlgpu.tasks.franka_cube_stack import FrankaCubeStack
from tests.tasks.placing import env_of


def scene_of(env) -> tuple[Picture, mujoco.MjvScene]:
    """Returns a picture and a scene that shows the first environment."""
    picture = Picture(env)
    scene = mujoco.MjvScene(picture.mirror.model, 1000)
    picture.mirror.show(0)
    camera = mujoco.MjvCamera()
    follow(picture.mirror.model, camera)
    mujoco.mjv_updateScene(
        picture.mirror.model,
        picture.mirror.data,
        mujoco.MjvOption(),
        None,
        camera,
        int(mujoco.mjtCatBit.mjCAT_ALL),
        scene,
    )
    return picture, scene


def test_few_environments_are_shown_together_and_many_not() -> None:
    """Up to 16."""
    assert [num_shown(n) for n in (1, 16, 17, 4096)] == [1, 16, 1, 1]


def test_environments_stand_side_by_side() -> None:
    """Four: the moving geoms of three more, at three other places, a row of two each."""
    picture, scene = scene_of(env_of(Cartpole, 4))
    model = picture.mirror.model
    moving = sum(int(model.body_weldid[body]) != 0 for body in model.geom_bodyid)
    before = scene.ngeom
    picture.add(scene, first=0)
    assert scene.ngeom == before + 3 * moving
    shifts = {picture._offset(number) for number in range(4)}
    assert len(shifts) == 4
    cart = scene.geoms[before].pos
    assert np.abs(cart[:2] - picture._offset(1)).max() < 1.0


@pytest.mark.parametrize("task", [Cartpole, Ant, FrankaCubeStack])
def test_no_environment_stands_between_the_camera_and_the_first(task) -> None:
    """Cameras that look along -x, along y and obliquely: all others are as far away, or farther."""
    picture, scene = scene_of(env_of(task, 16))
    forward = np.array(scene.camera[0].forward[:2])
    depths = [float(forward @ picture._offset(number)) for number in range(1, 16)]
    assert min(depths) > -1e-4
    assert max(depths) > 1.0


def test_an_environment_that_moves_before_the_lens_is_left_out(monkeypatch) -> None:
    """Half way from the Ant's camera, which is 3.5 m before it along -y; not one beside it."""
    picture, scene = scene_of(env_of(Ant, 2))
    renderer = SimpleNamespace(scene=scene, update_scene=lambda *_: None)
    before = scene.ngeom
    for offset, is_drawn in (((0.0, -1.8), False), ((3.0, -1.8), True), ((0.0, 3.0), True)):
        scene.ngeom = before
        monkeypatch.setattr(picture, "_offset", lambda number, offset=offset: offset)
        picture.draw(renderer, None)
        assert (scene.ngeom > before) == is_drawn


def test_carts_on_one_line_never_meet() -> None:
    """The rail is 8 m long, along y."""
    picture, _ = scene_of(env_of(Cartpole, 4))
    x, y = picture._offset(1)
    assert abs(x) < 1e-6
    assert abs(y) > 8.0


def test_marks_are_spheres_and_arrows() -> None:
    """At their place, shifted with their environment."""
    _, scene = scene_of(env_of(Cartpole, 1))
    before = scene.ngeom
    add_marks(
        scene,
        [Mark((1.0, 2.0, 3.0), size=0.1), Mark((0.0, 0.0, 1.0), (2.0, 0.0, 1.0), 0.02)],
        (10.0, 0.0),
    )
    sphere, arrow = scene.geoms[before], scene.geoms[before + 1]
    assert scene.ngeom == before + 2
    assert sphere.type == mujoco.mjtGeom.mjGEOM_SPHERE
    assert sphere.pos.tolist() == pytest.approx([11.0, 2.0, 3.0])
    assert arrow.type == mujoco.mjtGeom.mjGEOM_ARROW
    assert arrow.pos.tolist() == pytest.approx([10.0, 0.0, 1.0])
    assert arrow.size[2] == pytest.approx(2.0)
    scene.maxgeom = scene.ngeom
    add_marks(scene, [Mark((0.0, 0.0, 0.0))], (0.0, 0.0))
    assert scene.ngeom == before + 2
