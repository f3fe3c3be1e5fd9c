"""How many camera images a second an Isaac Gym script gets.

    MUJOCO_GL=egl python benchmarks/isaacgym_cameras.py [samples=400] [num_envs=64] [kind=depth]

Ants walk on a plane (samples=0) or on rough ground with walls, of samples x samples heights at
0.05 m. Each carries a square camera whose images are tensors. Prints the median of the frames/s.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from scenes import GYM, at, new_env, new_sim

from benchmarks.command_line import read_command_line, refuse
from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.records.scene import Sim

_KINDS = {"depth": gymapi.IMAGE_DEPTH, "color": gymapi.IMAGE_COLOR}
_ASSETS = str(Path(__file__).parents[1] / "tasks" / "assets")
_SCALE, _UNIT = 0.05, 0.005
"""Distance of samples and height of one unit [m]."""


def add_rough_ground(sim: Sim, samples: int) -> None:
    """Adds ground with noise of +-1.5 cm and walls of half a metre every metre or so."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 2, (samples // 20 + 1, samples // 20 + 1)) * 100
    heights = np.repeat(np.repeat(blocks, 20, axis=0), 20, axis=1)[:samples, :samples]
    heights = heights + rng.integers(-3, 4, heights.shape)
    params = gymapi.HeightFieldParams()
    params.nbColumns, params.nbRows = heights.shape
    params.row_scale = params.column_scale = _SCALE
    params.vertical_scale = _UNIT
    GYM.add_heightfield(sim, heights.astype(np.int16), params)


def build(num_envs: int, size: int, samples: int, kind: str) -> Sim:
    """Returns a simulation of Ants with a camera each."""
    sim = new_sim("mujoco")
    if samples:
        add_rough_ground(sim, samples)
    else:
        plane = gymapi.PlaneParams()
        plane.normal = gymapi.Vec3(0, 0, 1)
        GYM.add_ground(sim, plane)
    ant = GYM.load_asset(sim, _ASSETS, "ant.xml", gymapi.AssetOptions())
    properties = gymapi.CameraProperties()
    properties.width = properties.height = size
    properties.horizontal_fov = 87.0
    offset = gymapi.Transform(gymapi.Vec3(0.4, 0, 0.1), gymapi.Quat.from_euler_zyx(0, 0.5, 0))
    cameras = []
    for i in range(num_envs):
        env = new_env(sim)
        place = at(x=3.0 + 0.5 * (i % 8), y=3.0 + 0.5 * (i // 8 % 8), z=1.2)
        GYM.create_actor(env, ant, place, "ant", i, 0)
        camera = GYM.create_camera_sensor(env, properties)
        GYM.attach_camera_to_body(camera, env, 0, offset, gymapi.FOLLOW_TRANSFORM)
        cameras.append((env, camera))
    GYM.prepare_sim(sim)
    for env, camera in cameras:
        GYM.get_camera_image_gpu_tensor(sim, env, camera, _KINDS[kind])
    return sim


def main(arguments: list[str]) -> None:
    """Prints frames/s."""
    defaults = {"num_envs": 64, "size": 64, "samples": 400, "kind": "depth", "rounds": 9}
    options, _ = read_command_line(arguments, defaults, __doc__)
    if options["kind"] not in _KINDS:
        refuse(f"kind={options['kind']} is not one of {', '.join(_KINDS)}")
    num_envs, size, samples = (options[name] for name in ("num_envs", "size", "samples"))
    sim = build(num_envs, size, samples, options["kind"])
    times = []
    for _ in range(options["rounds"]):
        GYM.simulate(sim)
        start = time.perf_counter()
        GYM.render_all_camera_sensors(sim)
        times.append(time.perf_counter() - start)
    rate = num_envs / statistics.median(times)
    ground = f"{samples} x {samples} samples" if samples else "a plane"
    print(
        f"{num_envs} cameras of {size} x {size}, {options['kind']}, {ground}: {rate:.1f} frames/s"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
