"""Ants under random torques: a script for Isaac Gym, which python -m rlgpu.isaacgym runs."""

import time
from pathlib import Path

from isaacgym import gymapi, gymtorch, gymutil  # isort: skip  (before torch)
import torch  # isort: skip

options = [{"name": "--num_envs", "type": int, "default": 256, "help": "number of ants"}]
args = gymutil.parse_arguments(description="Ants", custom_parameters=options)
num_envs, device = args.num_envs, "cuda:0" if args.use_gpu_pipeline else "cpu"

gym = gymapi.acquire_gym()
params = gymapi.SimParams()
params.dt, params.substeps, params.up_axis = 1 / 60, 2, gymapi.UP_AXIS_Z
params.gravity = gymapi.Vec3(0, 0, -9.81)
params.use_gpu_pipeline = args.use_gpu_pipeline
sim = gym.create_sim(args.compute_device_id, args.graphics_device_id, args.physics_engine, params)
plane = gymapi.PlaneParams()
plane.normal = gymapi.Vec3(0, 0, 1)
gym.add_ground(sim, plane)

assets = Path(__file__).resolve().parents[2] / "tasks" / "assets"
ant = gym.load_asset(sim, str(assets), "ant.xml", gymapi.AssetOptions())
for i in range(num_envs):
    env = gym.create_env(sim, gymapi.Vec3(-2, -2, 0), gymapi.Vec3(2, 2, 2), 16)
    gym.create_actor(env, ant, gymapi.Transform(gymapi.Vec3(0, 0, 0.6)), "ant", i, 1)
gym.prepare_sim(sim)
roots = gymtorch.wrap_tensor(gym.acquire_actor_root_state_tensor(sim))
num_dofs = gym.get_asset_dof_count(ant)

start = time.perf_counter()
for _ in range(200):
    torques = 30 * torch.rand(num_envs * num_dofs, device=device) - 15
    gym.set_dof_actuation_force_tensor(sim, gymtorch.unwrap_tensor(torques))
    gym.simulate(sim)
    gym.refresh_actor_root_state_tensor(sim)
rate = 200 * num_envs / (time.perf_counter() - start)
print(f"{num_envs} ants, {rate:.0f} steps/s, mean height {roots[:, 2].mean():.2f} m")
