"""Public code, unmodified: runs where a variable names a checkout of it.

``ISAACGYMENVS=... LEGGED_GYM=... UNITREE_RL_GYM=... RSL_RL=... pytest tests/isaacgym/test_public.py
-m slow``, in an environment with hydra-core, gymnasium and rl-games 1.6.1; see
``docs/isaacgym.md``.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from statements import STATEMENTS

ROOT = Path(__file__).parents[2]
WHERE = {
    "isaacgymenvs": ("ISAACGYMENVS",),
    "legged_gym": ("LEGGED_GYM", "RSL_RL"),
    "unitree_rl_gym": ("UNITREE_RL_GYM", "RSL_RL"),
}
"""The variables that name the checkouts of each library's tasks."""
REFUSED = {"legged_gym:cassie"}
"""Tasks that the fused engine refuses: one of Cassie's shapes is too large for its terrain."""
CPU = ("sim_device=cpu", "rl_device=cpu", "pipeline=cpu", "headless=True")


def checkout(variable):
    """Returns the checkout that a variable names, or skips."""
    if not os.environ.get(variable):
        pytest.skip(f"{variable} does not name a checkout")
    return Path(os.environ[variable])


def installed():
    """Returns which of the libraries that IndustReal imports are installed."""
    return {n for n in ("urdfpy", "trimesh", "pysdf") if importlib.util.find_spec(n)}


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
@pytest.mark.parametrize("engine", ["mujoco", "fused"])
@pytest.mark.parametrize("task", sorted(STATEMENTS))
def test_what_physics_says_of_a_public_task_holds(task, engine, tmp_path):
    """Without actions its statement holds; random ones keep limits and give finite numbers."""
    if engine == "fused" and task in REFUSED:
        pytest.skip("the fused engine refuses it")
    library = task.partition(":")[0]
    paths = [checkout(variable) for variable in WHERE[library]]
    if library == "isaacgymenvs":
        pytest.importorskip("hydra")
    if "IndustReal" in task and not {"urdfpy", "trimesh", "pysdf"} <= installed():
        pytest.skip("needs urdfpy, trimesh and pysdf")
    program = Path(__file__).with_name("public.py")
    found = run([program, engine, *task.split()], tmp_path, *paths, ROOT / "tests", program.parent)
    assert "holds" in found


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
