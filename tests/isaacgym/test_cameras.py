"""What cameras draw on terrains and in many environments, in processes with OpenGL."""

from __future__ import annotations

import json

import pytest
from scenes import GYM, new_env, new_sim
from test_runner import run_script

from rlgpu.isaacgym.api import gymapi
from tests.refusals import names

SCENE = """
import json
import numpy as np
from isaacgym import gymapi, gymtorch
gym = gymapi.acquire_gym()
params = gymapi.SimParams()
params.gravity = gymapi.Vec3(0, 0, 0)
sim = gym.create_sim(0, 0, gymapi.SIM_PHYSX, params)

def add_terrain(samples, scale):
    terrain = gymapi.HeightFieldParams()
    terrain.nbColumns, terrain.nbRows = samples.shape
    terrain.row_scale = terrain.column_scale = scale
    terrain.vertical_scale = 0.01
    terrain.transform.p = gymapi.Vec3(*(-scale * (n - 1) / 2 for n in samples.shape), 0)
    gym.add_heightfield(sim, samples.astype(np.int16), terrain)

def add_camera(env, position, target, size=32, near=None):
    properties = gymapi.CameraProperties()
    properties.width = properties.height = size
    properties.near_plane = near or properties.near_plane
    camera = gym.create_camera_sensor(env, properties)
    gym.set_camera_location(camera, env, gymapi.Vec3(*position), gymapi.Vec3(*target))
    return camera
"""


def images(tmp_path, text):
    """Returns what a script prints, as JSON; skips the test without OpenGL."""
    done = run_script(tmp_path, SCENE + text)
    if "no camera image can be drawn here" in done.stderr:
        pytest.skip("no OpenGL")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


NEAR = """
add_terrain(np.zeros((401, 401)), 1.0)
env = gym.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 1)
ball = gym.create_sphere(sim, 0.1, gymapi.AssetOptions())
gym.create_actor(env, ball, gymapi.Transform(gymapi.Vec3(0.3, 0, 1)), "ball", 0, 0, 7)
cameras = [
    add_camera(env, (0, 0, 1), (1, 0, 1)),
    add_camera(env, (0, 0, 0.05), (0, 0.001, 0)),
    add_camera(env, (0, 0, 1), (1, 0, 1), near=0.45),
]
gym.prepare_sim(sim)
gym.render_all_camera_sensors(sim)
depths = [gym.get_camera_image(sim, env, c, gymapi.IMAGE_DEPTH)[16, 16] for c in cameras]
segment = gym.get_camera_image(sim, env, cameras[0], gymapi.IMAGE_SEGMENTATION)[16, 16]
print(json.dumps([int(segment), *(float(d) for d in depths)]))
"""


@pytest.mark.slow
def test_a_large_terrain_does_not_clip_what_is_near(tmp_path):
    """On 400 m of ground: a ball's surface at 0.2 m and the ground at 0.05 m.

    A near plane of 0.45 m, asked for, leaves the ball out, whose far side is at 0.4 m.
    """
    segment, ball, ground, behind = images(tmp_path, NEAR)
    assert segment == 7
    assert ball == pytest.approx(-0.2, abs=2e-3)
    assert ground == pytest.approx(-0.05, abs=2e-3)
    assert behind < -1


@pytest.mark.parametrize(("near", "far"), [(0.0, 1.0), (-0.1, 1.0), (2.0, 1.0)])
def test_a_near_plane_must_be_before_the_camera_and_the_far_plane(near, far):
    """Zero, behind the camera, and beyond the far plane."""
    properties = gymapi.CameraProperties()
    properties.near_plane, properties.far_plane = near, far
    with pytest.raises(ValueError, match="near_plane") as refusal:
        GYM.create_camera_sensor(new_env(new_sim("mujoco")), properties)
    assert names(refusal.value, near, far)
