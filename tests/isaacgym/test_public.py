"""Public code, unmodified: runs where ISAACGYMENVS or LEGGED_GYM name a checkout of it.

``ISAACGYMENVS=... LEGGED_GYM=... RSL_RL=... pytest tests/isaacgym/test_public.py``, in an
environment with hydra-core, gymnasium and rl-games 1.6.1; see ``docs/isaacgym.md``.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = """
import sys, torch
from rlgpu.foreign.isaacgym import script_task
from rlgpu.foreign.task import EnvRequest
task = script_task(sys.argv[1])
env = task.make(EnvRequest(task.Config(), 16, 0, torch.device("cpu"), "mujoco"))
for _ in range(500):
    step = env.step(2 * torch.rand(16, env.num_actions) - 1)
    assert torch.isfinite(step.observations).all() and torch.isfinite(step.rewards).all()
print("finite")
"""
CPU = ("sim_device=cpu", "rl_device=cpu", "pipeline=cpu", "headless=True")


def checkout(variable):
    """Returns the checkout that a variable names, or skips."""
    if not os.environ.get(variable):
        pytest.skip(f"{variable} does not name a checkout")
    return Path(os.environ[variable])


def run(words, folder, *paths):
    """Runs Python with checkouts on its path; returns what it printed."""
    path = os.pathsep.join(map(str, [ROOT, *paths, os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "task", ["Cartpole", "Ant", "Humanoid", "BallBalance", "Anymal", "ShadowHand"]
)
def test_isaacgymenvs_tasks_run_500_steps(task, tmp_path):
    """Random actions give finite observations and rewards."""
    path = checkout("ISAACGYMENVS")
    pytest.importorskip("hydra")
    assert "finite" in run(["-c", STEPS, f"isaacgymenvs:{task}"], tmp_path, path)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["anymal_c_flat", "anymal_c_rough"])
def test_legged_gym_tasks_run_500_steps(task, tmp_path):
    """Random actions give finite observations and rewards."""
    paths = checkout("LEGGED_GYM"), checkout("RSL_RL")
    assert "finite" in run(["-c", STEPS, f"legged_gym:{task}"], tmp_path, *paths)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "minibatch"),
    [
        ("Cartpole", 1024),
        ("Ant", 1024),
        ("Humanoid", 2048),
        ("BallBalance", 1024),
        ("Anymal", 1536),
        ("ShadowHand", 512),
    ],
)
def test_isaacgymenvs_own_script_trains_20_iterations(task, minibatch, tmp_path):
    """Their train.py with rl_games, on the CPU."""
    path = checkout("ISAACGYMENVS")
    if importlib.util.find_spec("rl_games") is None:
        pytest.skip("needs rl-games 1.6.1")
    words = [
        "-m",
        "rlgpu.isaacgym",
        "--missing",
        "placeholder",
        path / "isaacgymenvs" / "train.py",
        f"task={task}",
        "num_envs=64",
        "max_iterations=20",
        f"train.params.config.minibatch_size={minibatch}",
        *CPU,
    ]
    assert "MAX EPOCHS NUM" in run(words, tmp_path, path)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["anymal_c_flat", "anymal_c_rough"])
def test_legged_gym_own_script_trains_20_iterations(task, tmp_path):
    """Their train.py with rsl_rl, on the CPU."""
    paths = checkout("LEGGED_GYM"), checkout("RSL_RL")
    words = ["-m", "rlgpu.isaacgym", paths[0] / "legged_gym" / "scripts" / "train.py",
             "--task", task, "--headless", "--num_envs", 64, "--max_iterations", 20,
             "--sim_device", "cpu", "--rl_device", "cpu"]  # fmt: skip
    assert "Learning iteration 19/20" in run(words, tmp_path, *paths)
