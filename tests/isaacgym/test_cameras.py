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


TILES = """
plane = gymapi.PlaneParams()
plane.normal = gymapi.Vec3(0, 0, 1)
gym.add_ground(sim, plane)
ball = gym.create_sphere(sim, 0.1, gymapi.AssetOptions())
cameras = []
for i in range(6):
    env = gym.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 6)
    gym.create_actor(env, ball, gymapi.Transform(gymapi.Vec3(1 + i, 0, 1)), "ball", i, 0, 10 + i)
    cameras.append((env, add_camera(env, (0, 0, 1), (1, 0, 1), size=400)))
    if i == 2:
        cameras.append((env, add_camera(env, (0, 0, 1), (-1, 0, 4), size=20)))
        cameras.append((env, add_camera(env, (3.5, 3, 1), (3.5, 0, 1), size=400)))
gym.prepare_sim(sim)
DEPTH, SEGMENT = gymapi.IMAGE_DEPTH, gymapi.IMAGE_SEGMENTATION
first = gymtorch.wrap_tensor(gym.get_camera_image_gpu_tensor(sim, *cameras[0], DEPTH))
before = float(first[200, 200])
for env, _ in cameras:
    gym.set_rigid_transform(env, 0, gymapi.Transform(gymapi.Vec3(1.5 + env.index, 0, 1)))
unchanged = float(first[200, 200])
gym.render_all_camera_sensors(sim)
gym.set_rigid_transform(cameras[1][0], 0, gymapi.Transform(gymapi.Vec3(0, 9, 1)))
found = []
for env, camera in cameras:
    depth, segment = (gym.get_camera_image(sim, env, camera, k) for k in (DEPTH, SEGMENT))
    middle = len(depth) // 2
    value = float(depth[middle, middle])
    found.append([len(depth), value if value > -np.inf else None, int(segment[middle, middle])])
print(json.dumps([before, unchanged, float(first[200, 200]), found]))
"""


@pytest.mark.slow
def test_every_camera_of_many_gets_its_own_view(tmp_path):
    """Balls at 1.5 m to 6.5 m, more large images than one buffer holds, and one that sees the sky.

    Images show the scene of ``render_all_camera_sensors``: a ball moved after it is still there.
    """
    before, unchanged, after, found = images(tmp_path, TILES)
    assert [before, unchanged, after] == pytest.approx([-0.9, -0.9, -1.4], abs=5e-3)
    sizes, depths, segments = zip(*found, strict=True)
    assert list(sizes) == [400, 400, 400, 20, 400, 400, 400, 400]
    seen = [depth for depth in depths if depth is not None]
    # The ball's surface is 0.1 m before its centre; the second camera sees it from the side.
    assert seen == pytest.approx([-1.4, -2.4, -3.4, -2.9, -4.4, -5.4, -6.4], abs=0.02)
    assert depths[3] is None
    assert list(segments) == [10, 11, 12, 0, 12, 13, 14, 15]


ROLLED = """
ball = gym.create_sphere(sim, 0.1, gymapi.AssetOptions())
env = gym.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 1)
gym.create_actor(env, ball, gymapi.Transform(gymapi.Vec3(1, 0.3, 1)), "ball", 0, 0, 7)
camera = add_camera(env, (0, 0, 1), (1, 0, 1))
found = []
gym.prepare_sim(sim)
for roll in (0.0, np.pi / 2, np.pi):
    turn = gymapi.Quat.from_axis_angle(gymapi.Vec3(1, 0, 0), roll)
    gym.set_camera_transform(camera, env, gymapi.Transform(gymapi.Vec3(0, 0, 1), turn))
    gym.set_rigid_transform(env, 0, gymapi.Transform(gymapi.Vec3(1, 0.3, 1)))
    gym.render_all_camera_sensors(sim)
    gym.set_rigid_transform(env, 0, gymapi.Transform(gymapi.Vec3(0, 9, 1)))
    segments = gym.get_camera_image(sim, env, camera, gymapi.IMAGE_SEGMENTATION)
    found.append([float(np.mean(where)) for where in np.nonzero(segments == 7)])
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_camera_rolls_about_its_line_of_sight(tmp_path):
    """A ball at the left is left in the image, at the bottom with the top turned right, then right.

    0.3 m beside a distance of 1 m is tan = 0.3: with 90 degrees on 32 pixels, 16 * 0.3 = 4.8
    pixels from the middle at 15.5. The ball leaves before its images are drawn, which show it.
    """
    rows_and_columns = images(tmp_path, ROLLED)
    expected = [[15.5, 10.7], [20.3, 15.5], [15.5, 20.3]]
    for place, where in zip(rows_and_columns, expected, strict=True):
        assert place == pytest.approx(where, abs=0.6)


SLOPE = """
add_terrain(np.repeat(np.arange(41)[:, None] * 10, 41, axis=1), 0.5)
cameras = []
for i in range(3):
    env = gym.create_env(sim, gymapi.Vec3(-1, -1, 0), gymapi.Vec3(1, 1, 0), 3)
    ball = gym.create_sphere(sim, 0.1 * (1 + i), gymapi.AssetOptions())
    gym.create_actor(env, ball, gymapi.Transform(gymapi.Vec3(0, 1, 7)), "ball", i, 0)
    cameras.append((env, add_camera(env, (0, 0, 6), (0, 0.0001, 0), size=401)))
    cameras.append((env, add_camera(env, (0, 0, 7), (0, 1, 7), size=401)))
gym.prepare_sim(sim)
assert len(sim.world.groups) == 1
models = [np.array(sim.world.groups[0].worlds.model.geom_size)]
gym.render_all_camera_sensors(sim)
depths = [gym.get_camera_image(sim, e, c, gymapi.IMAGE_DEPTH)[200, 200] for e, c in cameras]
models.append(sim.world.groups[0].worlds.model.geom_size)
print(json.dumps([[float(d) for d in depths], bool((models[0] == models[1]).all())]))
"""


@pytest.mark.slow
def test_environments_of_one_model_are_drawn_as_they_differ(tmp_path):
    """A slope of 0.2 under environments 2 m apart, and balls of 0.1 m to 0.3 m.

    The slope is 2 m high at the first environment, 4 m under its camera, and 0.4 m higher at each
    next one. Each ball's centre is 1 m before the other camera. The engine's model stays.
    """
    depths, is_same = images(tmp_path, SLOPE)
    assert depths[::2] == pytest.approx([-4.0, -3.6, -3.2], abs=0.01)
    assert depths[1::2] == pytest.approx([-0.9, -0.8, -0.7], abs=0.01)
    assert is_same


@pytest.mark.parametrize(("near", "far"), [(0.0, 1.0), (-0.1, 1.0), (2.0, 1.0)])
def test_a_near_plane_must_be_before_the_camera_and_the_far_plane(near, far):
    """Zero, behind the camera, and beyond the far plane."""
    properties = gymapi.CameraProperties()
    properties.near_plane, properties.far_plane = near, far
    with pytest.raises(ValueError, match="near_plane") as refusal:
        GYM.create_camera_sensor(new_env(new_sim("mujoco")), properties)
    assert names(refusal.value, near, far)


ROUGH = """
import mujoco
heights = np.random.default_rng(0).integers(-2, 3, (150, 220)).cumsum(0)
heights[60:90, 100:140] += 200
add_terrain(heights, 1.0)
env = gym.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 1)
ball = gym.create_sphere(sim, 0.1, gymapi.AssetOptions())
gym.create_actor(env, ball, gymapi.Transform(gymapi.Vec3(0, 0, 50)), "ball", 0, 0)
SIZE, places = 64, [
    ((0, 0, 4), (5, 1, 3)),
    ((-40, -60, 5), (0, 0, 3)),
    ((0, 0, 12), (0.1, 0, 0)),
    ((-90, 0, 20), (0, 10, 0)),
    ((30, 40, 6), (-30, -20, 1)),
]
cameras = [add_camera(env, *place, size=SIZE) for place in places]
gym.prepare_sim(sim)
gym.render_all_camera_sensors(sim)
model = sim.world.groups[0].worlds.model
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
found = []
for camera, (position, target) in zip(cameras, places):
    drawn = -gym.get_camera_image(sim, env, camera, gymapi.IMAGE_DEPTH)
    forward = np.subtract(target, position) / np.linalg.norm(np.subtract(target, position))
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    pixels = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1  # the angle of view is 90 degrees
    rays = forward + pixels[None, :, None] * right - pixels[:, None, None] * up
    at, geom = np.array(position, float), np.zeros(1, np.int32)
    hits = [mujoco.mj_ray(model, data, at, ray, None, 1, -1, geom) for ray in rays.reshape(-1, 3)]
    hits = np.reshape(hits, (SIZE, SIZE))
    hits[hits < 0] = np.inf
    same = np.isclose(drawn, hits, rtol=0.02) | (np.isinf(drawn) & np.isinf(hits))
    found.append([float(same.mean()), float(np.isfinite(hits).mean())])
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_terrain_of_many_tiles_is_where_rays_meet_it(tmp_path):
    """Seen from above, from beside it and along it; pixels on edges may show what is behind."""
    for same, ground in images(tmp_path, ROUGH):
        assert 0.3 < ground < 1.01
        assert same > 0.95
