"""The runner, old code on new Python, and placeholders, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from running import ROOT, run_script


def test_a_script_runs_as_it_would_with_isaac_gym(tmp_path):
    """Imports of every style, its own arguments, and modules beside the script."""
    (tmp_path / "beside.py").write_text("VALUE = 4")
    text = """
import isaacgym
from isaacgym import gymapi, gymutil, gymtorch
from isaacgym.torch_utils import *
import sys, torch, beside
import numpy as np
args = gymutil.parse_arguments(custom_parameters=[{"name": "--task", "type": str, "default": "a"}])
gym = gymapi.acquire_gym()
sim = gym.create_sim(args.compute_device_id, 0, args.physics_engine, gymapi.SimParams())
print(args.task, args.use_gpu_pipeline, beside.VALUE, np.float(2), to_torch([1], device="cpu"))
print(__name__, sys.argv[0].endswith("script.py"))
"""
    done = run_script(tmp_path, text, "--task", "ant", "--sim_device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "ant False 4 2.0 tensor([1.])" in done.stdout
    assert "__main__ True" in done.stdout


def test_recurrent_layers_take_numpys_integers(tmp_path):
    """Old torch took them as sizes."""
    text = """
import numpy as np, isaacgym, torch
layers = (
    torch.nn.LSTM(np.int64(3), np.int32(4)),
    torch.nn.GRU(np.prod((3,)), hidden_size=np.int64(4), num_layers=np.int64(2)),
    torch.nn.RNN(3, 4, np.int64(1)),
)
print([tuple(layer(torch.zeros(2, 1, 3))[0].shape) for layer in layers])
"""
    done = run_script(tmp_path, text)
    assert done.returncode == 0, done.stderr
    assert "[(2, 1, 4), (2, 1, 4), (2, 1, 4)]" in done.stdout


SINGULAR = """
import isaacgym, torch
# The second matrix is singular; the first is not and keeps its inverse.
both = torch.stack((torch.diag(torch.tensor([3.0, 1e-6])), torch.tensor([[1.0, 1.0], [1.0, 1.0]])))
found = torch.inverse(input=both)
assert torch.equal(found[0], torch.linalg.inv(both[0])), found
assert torch.isfinite(found).all() and found[1].abs().max() > 1e5, found
assert torch.equal(torch.inverse(both[:1]), torch.linalg.inv(both[:1]))
for wrong in (both.double(), torch.zeros(2, 2), torch.zeros(2, 3), torch.ones(1, 3), torch.ones(3)):
    try:
        torch.inverse(wrong)
    except RuntimeError:
        continue
    raise SystemExit(f"{wrong} was inverted")

@torch.jit.script
def scripted(x):
    return torch.inverse(x)
assert torch.equal(scripted(both[:1]), torch.linalg.inv(both[:1]))
"""


def test_singular_matrices_of_single_precision_are_inverted_with_rounding(tmp_path):
    """A straight arm's Jacobian is singular here, and only nearly so in PhysX."""
    done = run_script(tmp_path, SINGULAR)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_gpu_script_without_a_gpu_ends_in_one_line(tmp_path):
    """If told to stop, whether the script asks the simulation or torch, it says what to pass."""
    asks = """
from isaacgym import gymapi
params = gymapi.SimParams()
params.use_gpu_pipeline = True
gymapi.acquire_gym().create_sim(0, 0, gymapi.SIM_PHYSX, params)
"""
    for text in (asks, "import isaacgym, torch\ntorch.zeros(1, device='cuda:0')"):
        done = run_script(tmp_path, text, runner=("--without-gpu", "error"))
        assert done.returncode == 2
        assert done.stderr.strip().splitlines()[-1].startswith("rlgpu.isaacgym: the script uses a")
        assert "--sim_device cpu" in done.stderr


@pytest.mark.slow
def test_missing_modules_fail_or_wait_until_they_are_used(tmp_path):
    """By default the import fails; with placeholders, only use does, and libraries see none."""
    text = """
import isaacgym
import not_there
from not_there.inside import Thing
class Own(Thing): pass
import importlib.util
print("imported", isinstance(Thing, type))
try:
    Own()
except ModuleNotFoundError as error:
    print(error)
"""
    assert run_script(tmp_path, text).returncode == 1
    done = run_script(tmp_path, text, runner=("--missing", "placeholder"))
    assert done.returncode == 0, done.stderr
    assert "imported True" in done.stdout
    assert "not_there.inside.Thing is used here, and not_there is not installed" in done.stdout
    assert done.stderr.count("not_there is not installed") == 1


def test_gym_comes_from_gymnasium_where_it_is_not_installed(tmp_path):
    """Old imports of gym give gymnasium's classes, once."""
    pytest.importorskip("gymnasium")
    text = """
import isaacgym, gym, gymnasium
from gym import spaces
from gym.spaces import Box
print(Box is gymnasium.spaces.Box, spaces.Box is Box, issubclass(gym.Env, gymnasium.Env))
"""
    done = run_script(tmp_path, text)
    assert "True True True" in done.stdout, done.stderr


CAMERA = """
from isaacgym import gymapi
gym = gymapi.acquire_gym()
sim = gym.create_sim(0, 0, gymapi.SIM_PHYSX, gymapi.SimParams())
env = gym.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 1)
ball = gym.create_sphere(sim, 0.5, gymapi.AssetOptions())
pose = gymapi.Transform(gymapi.Vec3(2.5, 0, 1))
gym.create_actor(env, ball, pose, "ball", 0, 0, 7)
gym.set_rigid_body_color(env, 0, 0, gymapi.MESH_VISUAL, gymapi.Vec3(1, 0, 0))
gym.prepare_sim(sim)
properties = gymapi.CameraProperties()
properties.width, properties.height, properties.horizontal_fov = 64, 48, 60.0
camera = gym.create_camera_sensor(env, properties)
gym.set_camera_location(camera, env, gymapi.Vec3(0, 0, 1), gymapi.Vec3(2.5, 0, 1))
gym.render_all_camera_sensors(sim)
color = gym.get_camera_image(sim, env, camera, gymapi.IMAGE_COLOR).reshape(48, 64, 4)
depth = gym.get_camera_image(sim, env, camera, gymapi.IMAGE_DEPTH)
segments = gym.get_camera_image(sim, env, camera, gymapi.IMAGE_SEGMENTATION)
print(color[24, 32, 0] > 3 * color[24, 32, 1], abs(depth[24, 32] + 2.0) < 0.02)
print(segments[24, 32], segments[0, 0])
gym.write_camera_image_to_file(sim, env, camera, gymapi.IMAGE_COLOR, "seen.png")
"""


@pytest.mark.slow
def test_a_camera_sees_what_is_before_it(tmp_path):
    """A red ball, its surface 2 m away: colour, depth and number in the middle of the images."""
    done = run_script(tmp_path, CAMERA)
    if "no camera image can be drawn here" in done.stderr:
        pytest.skip("no OpenGL")
    assert done.stdout.split() == ["True", "True", "7", "0"], done.stderr
    assert (tmp_path / "seen.png").stat().st_size > 100


MANY_CAMERAS = """
from isaacgym import gymapi
gym = gymapi.acquire_gym()
params = gymapi.SimParams()
params.gravity = gymapi.Vec3(0, 0, 0)
sim = gym.create_sim(0, 0, gymapi.SIM_PHYSX, params)
box = gym.create_box(sim, 1, 1, 1, gymapi.AssetOptions())
properties = gymapi.CameraProperties()
properties.width = properties.height = 32
cameras = []
for number in (0, 1, 2, 0, 1):
    env = gym.create_env(sim, gymapi.Vec3(-1, -1, 0), gymapi.Vec3(1, 1, 1), 2)
    for i in range(number):
        pose = gymapi.Transform(gymapi.Vec3(3.0 - i, 0, 1))
        gym.create_actor(env, box, pose, f"box{i}", 0, 0, 10 * number + i)
    cameras.append((env, gym.create_camera_sensor(env, properties)))
for env, camera in cameras:
    gym.set_camera_location(camera, env, gymapi.Vec3(0, 0, 1), gymapi.Vec3(1, 0, 1))
gym.prepare_sim(sim)
gym.set_rigid_transform(cameras[4][0], 0, gymapi.Transform(gymapi.Vec3(0, 9, 0)))
gym.render_all_camera_sensors(sim)
for env, camera in cameras:
    print(gym.get_camera_image(sim, env, camera, gymapi.IMAGE_SEGMENTATION)[16, 16])
"""


@pytest.mark.slow
def test_cameras_draw_what_their_environment_holds(tmp_path):
    """None, one or two boxes: the nearest one's number, and nothing where it was moved away."""
    done = run_script(tmp_path, MANY_CAMERAS)
    if "no camera image can be drawn here" in done.stderr:
        pytest.skip("no OpenGL")
    assert done.stdout.split() == ["0", "10", "21", "0", "0"], done.stderr


@pytest.mark.slow
def test_bad_command_lines_are_refused(tmp_path):
    """No script, a missing script and an unknown engine: one line and exit code 2."""
    for words in ([], ["nowhere.py"], ["--sim", "physx", "x.py"]):
        done = subprocess.run(
            [sys.executable, "-m", "rlgpu.isaacgym", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    table = subprocess.run(
        [sys.executable, "-m", "rlgpu.isaacgym", "--coverage"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert "313 calls:" in table.stdout


def test_all_scripts_of_a_process_share_one_gym(tmp_path):
    """Its remarks are made once, and another ``install`` changes the engine of the same gym."""
    text = """
import rlgpu.isaacgym
from isaacgym import gymapi
from isaacgym.gymapi import acquire_gym
import isaacgym
gym, params = gymapi.acquire_gym(), gymapi.SimParams()
print(gym is acquire_gym() is isaacgym.gymapi.acquire_gym(0), end=" ")
print(gym.create_sim(0, 0, gymapi.SIM_PHYSX, params).engine, end=" ")
print(rlgpu.isaacgym.install(engine="mujoco") is gym, end=" ")
sim = gymapi.acquire_gym().create_sim(0, 0, gymapi.SIM_PHYSX, params)
print(sim.engine, sim.num_threads)
for one in (gym, acquire_gym()):
    one.create_texture_from_file(sim, "no.png")
"""
    done = run_script(tmp_path, text, runner=("--sim", "fused", "--threads", "3"))
    assert done.stdout.split() == ["True", "fused", "True", "mujoco", "0"], done.stderr
    assert done.stderr.count("textures") == 1
