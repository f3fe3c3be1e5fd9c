"""Runs a public task and checks one physical statement about it; ``test_public`` starts it.

``python public.py mujoco isaacgymenvs:Ant`` needs the packages of ``docs/isaacgym.md`` on its path.
A statement that does not hold ends it with the values that break it.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch
from statements import GIVE, STATEMENTS, Rollout

from rlgpu.isaacgym.runner.installation import install

NUM_ENVS = 8


def of_isaacgymenvs(name, words):
    """Returns a task of IsaacGymEnvs by the name of its configuration."""
    import hydra
    import isaacgymenvs
    from isaacgymenvs.tasks import isaacgym_task_map
    from omegaconf import OmegaConf

    hydra.initialize_config_dir(f"{isaacgymenvs.__path__[0]}/cfg", version_base="1.1")
    device = ("sim_device=cpu:0", "rl_device=cpu", "pipeline=cpu", "graphics_device_id=-1")
    words = [f"task={name}", f"num_envs={NUM_ENVS}", "headless=True", *device, *words]
    task = hydra.compose("config", overrides=words).task
    OmegaConf.update(task, "env.numEnvs", NUM_ENVS)  # IndustReal's files fix it
    if OmegaConf.select(task, "sim.physx.contact_collection") is not None:
        OmegaConf.update(task, "sim.physx.contact_collection", 1)  # statements read forces
    return isaacgym_task_map[task.name](
        cfg=OmegaConf.to_container(task, resolve=True),
        rl_device="cpu",
        sim_device="cpu:0",
        graphics_device_id=-1,
        headless=True,
        virtual_screen_capture=False,
        force_render=False,
    )


def of_legged_gym(name):
    """Returns a task of the registry of legged_gym or unitree_rl_gym, without pushes."""
    import legged_gym.envs  # noqa: F401
    from legged_gym.utils import get_args, task_registry

    device = ("--sim_device", "cpu", "--rl_device", "cpu")
    words = ("--task", name, "--headless", "--num_envs", str(NUM_ENVS))
    sys.argv = [sys.argv[0], *words, *device]
    config, _ = task_registry.get_cfgs(name)
    config.domain_rand.push_robots = False
    env = task_registry.make_env(name=name, args=get_args(), env_cfg=config)[0]
    env.reset()  # unitree_rl_gym creates its robots within the ground
    return env


def main(engine, word, *words):
    """Builds the task and checks its statement, then that random actions stay within limits."""
    warnings.filterwarnings("ignore")
    install(engine=engine, missing="placeholder", without_gpu="cpu")
    torch.set_num_threads(1)
    torch.manual_seed(1)
    np.random.seed(1)  # terrains are drawn with it
    kind, _, name = word.partition(":")
    env = of_isaacgymenvs(name, words) if kind == "isaacgymenvs" else of_legged_gym(name)
    run = Rollout(env)
    with torch.no_grad():
        STATEMENTS[" ".join((word, *words))](run)
        run.obeys_limits(GIVE.get(word, 0.5))
    print("holds")


if __name__ == "__main__":
    main(*sys.argv[1:])
