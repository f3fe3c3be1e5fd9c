"""The script beside an exported policy: its observations and actions are those of training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.deploy import export
from rlgpu.envs import VecEnv
from rlgpu.learner import Ppo
from rlgpu.rotations import quat_rotate_inverse
from tests.deploy.policies import untrained
from tests.robots.files import biped, dog

pytest.importorskip("onnxruntime")
CALM = ("task.noise.level=0", "task.pushes.interval=0")


def opened(folder: Path, task: str, *words: str) -> tuple[VecEnv, Ppo]:
    """Exports an untrained policy to a folder; returns its environments and agent."""
    config, env, agent = untrained(task, "sim=mujoco", *CALM, *words, n=2)
    export(folder, config, env, agent)
    return env, agent


def player_of(folder: Path):
    """Returns the script's robot."""
    sys.path.insert(0, str(folder))
    try:
        sys.modules.pop("play_mujoco", None)
        import play_mujoco

        return play_mujoco.Player(folder)
    finally:
        sys.path.remove(str(folder))


def put(player, env: VecEnv) -> None:
    """Puts the script's robot into the state of the first environment."""
    state, data = env.sim.state, player.data
    for number, name in enumerate(env.joint_names):
        data.joint(name).qpos[0] = float(state.joint_pos[0, number])
        data.joint(name).qvel[0] = float(state.joint_vel[0, number])
    root = player.model.body(player.described["base"]).jntadr[0]
    place, speed = player.model.jnt_qposadr[root], player.model.jnt_dofadr[root]
    quat = state.root_quat_w[0]
    data.qpos[place : place + 3] = state.root_pos_w[0].numpy()
    data.qpos[place + 3 : place + 7] = quat[[3, 0, 1, 2]].numpy()  # w first
    turning_b = quat_rotate_inverse(quat[None], state.root_ang_vel_w[:1])[0]
    data.qvel[speed : speed + 3] = state.root_lin_vel_w[0].numpy()
    data.qvel[speed + 3 : speed + 6] = turning_b.numpy()
    mujoco.mj_forward(player.model, data)


SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in ("go2", "g1", "biped")]


@pytest.mark.parametrize("case", ["dog", *SLOW])
def test_the_scripts_actions_are_the_policys(case: str, tmp_path: Path) -> None:
    """On a trace of our own, from positions and velocities of plain MuJoCo alone."""
    words = {
        "go2": ("Go2", "task.history=2", "task.hidden=[lin_vel_b]", "task.hidden_from=policy"),
        "g1": ("G1",),
        "dog": ("Walk", f"robot={dog(tmp_path)}", "task.imu=imu"),
        "biped": ("Walk", f"robot={biped(tmp_path)}", "train.memory=lstm", "train.memory_size=8"),
    }[case]
    env, agent = opened(tmp_path / "out", *words)
    player = player_of(tmp_path / "out")
    memory, shown = agent.no_memory(2), env.reset()
    known = 0
    for _ in range(12):
        put(player, env)
        command = env.task.buffers["commands"][0, :3].numpy()
        observed = player.observe(command)
        wanted, memory = agent.act_deterministic(shown, memory)
        np.testing.assert_allclose(player.act(observed), wanted[0].numpy(), atol=1e-5)
        player.action = wanted[0].numpy().astype(float)
        player.steps += 1
        step = env.step(wanted)
        shown = step.observations
        if bool((step.terminated | step.truncated).any()):
            break
        known += 1
    assert known > 3


@pytest.mark.slow
def test_the_script_runs_alone(tmp_path: Path) -> None:
    """In another folder, without rlgpu, on files that lie beside it."""
    opened(tmp_path / "out", "Go2")
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    words = [sys.executable, str(tmp_path / "elsewhere" / "play_mujoco.py"), "--seconds", "0.4"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "velocity error" in told.stdout
    assert "rlgpu" not in (tmp_path / "elsewhere" / "play_mujoco.py").read_text().replace(
        '"rlgpu"', ""
    )


@pytest.mark.slow
def test_what_the_script_cannot_measure_has_none(tmp_path: Path) -> None:
    """Heights of the ground."""
    words = ["task.terrain.num_levels=2", "task.terrain.num_columns=2", "task.terrain.border=3"]
    opened(tmp_path / "out", "AnymalTerrain", *words)
    assert not (tmp_path / "out" / "play_mujoco.py").exists()
    assert torch.jit.load(str(tmp_path / "out" / "policy.pt"))
