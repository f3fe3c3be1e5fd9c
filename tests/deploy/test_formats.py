"""Descriptions as other programs read them, each reader written down again from its source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rlgpu.deploy import describe
from rlgpu.deploy.files import write_onnx
from rlgpu.deploy.formats import (
    NotTaken,
    rl_sar,
    sdk_joints,
    unitree,
    unitree_columns,
    unitree_rl_gym,
)
from rlgpu.deploy.policy import DeployedPolicy, Reordered
from rlgpu.envs import VecEnv
from tests.deploy.policies import untrained

BLIND = ("task.hidden=[lin_vel_b]", "task.hidden_from=policy")


def exported(task: str, *words: str) -> tuple[VecEnv, DeployedPolicy, dict]:
    """Returns environments, an untrained policy and its description."""
    config, env, agent = untrained(task, *words, n=4)
    policy = DeployedPolicy(agent, env.observation_space, env.action_limit)
    return env, policy, describe(config, env, policy)


def test_motors_are_in_unitrees_order() -> None:
    """As in rl_sar's own files of legged_gym's quadrupeds; unknown robots keep their order."""
    _, _, described = exported("Go2", *BLIND)
    content = unitree(described)
    assert content["joint_ids_map"] == [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]
    base, config = rl_sar(described, "go2")
    assert config["go2/rlgpu"]["joint_mapping"] == content["joint_ids_map"]
    assert base["go2"]["joint_names"][:2] == ["FR_hip_joint", "FR_thigh_joint"]
    assert sdk_joints(["a", "b"]) == ("a", "b")
    assert sdk_joints(["left_knee_joint"]).index("right_hip_pitch_joint") == 6


def test_gains_are_those_of_the_motors() -> None:
    """In the kit's order, 0 of motors that the policy does not drive."""
    _, _, described = exported("G1")
    content = unitree(described)
    assert len(content["stiffness"]) == 29
    by_name = dict(zip(described["joints"], described["stiffness"], strict=True))
    motors = sdk_joints(described["joints"])
    for motor, value in zip(motors, content["stiffness"], strict=True):
        assert value == by_name.get(motor, 0.0)
    assert list(content["observations"]) == [
        "base_ang_vel",
        "projected_gravity",
        "velocity_commands",
        "joint_pos_rel",
        "joint_vel_rel",
        "last_action",
        "gait_phase",
    ]
    assert content["observations"]["gait_phase"]["params"] == {"period": 0.8}
    assert content["commands"]["base_velocity"]["ranges"]["ang_vel_z"] == [-1.0, 1.0]


def test_unitrees_observation_is_the_policys(tmp_path: Path) -> None:
    """Built as its C++ manager does: each term's steps side by side, the oldest first, scaled."""
    onnxruntime = pytest.importorskip("onnxruntime")
    history = 3
    env, policy, described = exported(
        "Go2", *BLIND, f"task.history={history}", "task.noise.level=0"
    )
    content = unitree(described)
    write_onnx(Reordered(policy, unitree_columns(described)), tmp_path / "p.onnx", {}, rows=1)
    session = onnxruntime.InferenceSession(str(tmp_path / "p.onnx"))
    assert [x.shape for x in session.get_inputs()] == [[1, 45 * history]]
    past: dict[str, list[np.ndarray]] = {}
    for step in range(6):
        actions = 0.3 * torch.randn(4, 12, generator=torch.Generator().manual_seed(step))
        shown = env.step(actions).observations
        if env.episode_step[0] == 0:
            past = {}
        measured = as_unitree_measures(env)
        columns = []
        for name, term in content["observations"].items():
            buffer = past.setdefault(name, [measured[name]] * term["history_length"])
            buffer[:] = [*buffer[1:], measured[name]]
            columns += [np.array(term["scale"]) * value for value in buffer]
        seen = np.concatenate(columns)[None].astype(np.float32)
        (said,) = session.run(None, {"obs": seen})
        if step >= history - 1:  # ours began with the observation after the reset
            wanted = policy(shown[:1, policy.columns])
            np.testing.assert_allclose(said, wanted.numpy(), atol=2e-6)


def as_unitree_measures(env: VecEnv) -> dict[str, np.ndarray]:
    """Returns what the first robot measures, by the deployment's names."""
    state, task = env.sim.state, env.task
    w = state.root_quat_w[0].double().numpy()
    rotation = rotation_of(w)
    return {
        "base_ang_vel": rotation.T @ state.root_ang_vel_w[0].double().numpy(),
        "projected_gravity": rotation.T @ np.array([0.0, 0.0, -1.0]),
        "velocity_commands": task.buffers["commands"][0, :3].double().numpy(),
        "joint_pos_rel": (state.joint_pos[0] - task._default).double().numpy(),
        "joint_vel_rel": state.joint_vel[0].double().numpy(),
        "last_action": env._actions[0].double().numpy(),
    }


def rotation_of(quat: np.ndarray) -> np.ndarray:
    """Returns the matrix of an orientation (x, y, z, w)."""
    x, y, z, w = quat
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_rl_sars_files() -> None:
    """Values by joint in the policy's order; steps newest first, whole steps side by side."""
    _, policy, described = exported("Go2", "task.history=2")
    base, config = rl_sar(described, "go2")
    values = config["go2/rlgpu"]
    assert values["observations"][:3] == ["lin_vel", "ang_vel", "gravity_vec"]
    assert (values["observations_history"], values["observations_history_priority"]) == (
        [0, 1],
        "time",
    )
    assert 2 * values["num_observations"] == policy.num_observations == 96
    assert (values["lin_vel_scale"], values["ang_vel_scale"]) == (2.0, 0.25)
    assert (values["dof_pos_scale"], values["dof_vel_scale"]) == (1.0, 0.05)
    assert values["commands_scale"] == [2.0, 2.0, 0.25]
    assert values["default_dof_pos"][:3] == [0.1, 0.8, -1.5]
    assert values["torque_limits"][:3] == [23.7, 23.7, 35.55]
    assert (base["go2"]["dt"], base["go2"]["decimation"]) == (0.005, 4)


def test_unitree_rl_gyms_files_are_those_of_its_own_g1() -> None:
    """The numbers of deploy_mujoco/configs/g1.yaml, and the motors of deploy_real's."""
    _, _, described = exported("G1")
    simulated, real = unitree_rl_gym(described)
    assert simulated["kps"] == [100, 100, 100, 150, 40, 40] * 2
    assert simulated["kds"] == [2, 2, 2, 4, 2, 2] * 2
    assert simulated["default_angles"] == [-0.1, 0.0, 0.0, 0.3, -0.2, 0.0] * 2
    assert simulated["cmd_scale"] == [2.0, 2.0, 0.25]
    assert (simulated["ang_vel_scale"], simulated["dof_pos_scale"]) == (0.25, 1.0)
    assert (simulated["dof_vel_scale"], simulated["action_scale"]) == (0.05, 0.25)
    assert (simulated["num_actions"], simulated["num_obs"]) == (12, 47)
    assert real["leg_joint2motor_idx"] == list(range(12))
    assert real["control_dt"] == 0.02


@pytest.mark.parametrize(
    ("write", "task", "words", "said"),
    [
        (unitree, "Go2", (), "hidden_from=policy"),
        (unitree, "Ant", (), "does not say how its actions drive joints"),
        (unitree, "Go2", (*BLIND, "train.memory=gru"), "no memory"),
        (unitree, "AnymalTerrain", BLIND, "heights"),
        (unitree_rl_gym, "Go2", BLIND, "in this order"),
        (lambda d: rl_sar(d, "g1"), "G1", (), "phase"),
    ],
)
def test_what_a_program_cannot_run_is_refused(write, task, words, said) -> None:
    """With the reason, and what to train instead where there is something."""
    _, _, described = exported(task, *words)
    with pytest.raises(NotTaken, match=said):
        write(described)
