"""The YAML files of unitree_rl_gym's deploy_mujoco and deploy_real.

Source: unitree_rl_gym, deploy/deploy_mujoco/deploy_mujoco.py and deploy/deploy_real.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlgpu.deploy.formats.joint_orders import sdk_joints
from rlgpu.deploy.formats.reasons import (
    NotTaken,
    check_relative,
    check_runnable,
    scale_of,
    single_scale,
)

ORDER = ("ang_vel_b", "gravity_b", "commands", "joint_pos", "joint_vel", "actions", "phase")
"""The only observation that its programs build."""


def unitree_rl_gym(described: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the contents of the files for deploy_mujoco and for deploy_real.

    Raises:
        NotTaken: Its programs cannot run the policy.
    """
    check_runnable(described, ORDER)
    check_relative(described)
    names = tuple(term["name"] for term in described["observations"])
    if names != ORDER:
        raise NotTaken(f"it observes {', '.join(ORDER)}, in this order and of one step")
    scales = set(described["action_scale"])
    if len(scales) > 1:
        raise NotTaken("it has one action scale for all joints")
    commands, motors = described["commands"], sdk_joints(described["joints"])
    shared = {
        "policy_path": "policy.pt",
        "kps": list(described["stiffness"]),
        "kds": list(described["damping"]),
        "default_angles": list(described["default_joint_pos"]),
        "ang_vel_scale": single_scale(described, "ang_vel_b"),
        "dof_pos_scale": single_scale(described, "joint_pos"),
        "dof_vel_scale": single_scale(described, "joint_vel"),
        "action_scale": scales.pop(),
        "cmd_scale": scale_of(described, "commands"),
        "num_actions": described["num_actions"],
        "num_obs": described["num_observations"],
    }
    simulated = {
        **shared,
        "xml_path": described["asset"],
        "simulation_duration": 60.0,
        "simulation_dt": described["physics_dt"],
        "control_decimation": described["decimation"],
        "cmd_init": [0.5, 0.0, 0.0],
    }
    real = {
        **shared,
        "control_dt": described["step_dt"],
        "leg_joint2motor_idx": [motors.index(name) for name in described["joints"]],
        "max_cmd": [commands[name][1] for name in ("lin_vel_x", "lin_vel_y", "ang_vel_yaw")],
    }
    return simulated, real
