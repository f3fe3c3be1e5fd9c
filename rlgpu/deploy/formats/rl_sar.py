"""``base.yaml`` and ``config.yaml`` of rl_sar.

Source: rl_sar 4, library/core/rl_sdk/rl_sdk.cpp and policy/*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlgpu.deploy.formats.joint_orders import sdk_joints
from rlgpu.deploy.formats.reasons import (
    check_relative,
    check_runnable,
    scale_of,
    single_scale,
)

TERMS: Mapping[str, str] = {
    "lin_vel_b": "lin_vel",
    "ang_vel_b": "ang_vel",
    "gravity_b": "gravity_vec",
    "commands": "commands",
    "joint_pos": "dof_pos",
    "joint_vel": "dof_vel",
    "actions": "actions",
}
"""Its name of each term that it measures."""
_FIXED_KP, _FIXED_KD = 80.0, 3.0
"""Gains with which it gets the robot up and down, of its own configurations of quadrupeds."""


def rl_sar(described: Mapping[str, Any], robot: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the contents of ``<robot>/base.yaml`` and of ``<robot>/rlgpu/config.yaml``.

    Args:
        described: The description of the policy.
        robot: The robot's name.

    Raises:
        NotTaken: It cannot run the policy.
    """
    check_runnable(described, TERMS)
    check_relative(described)
    joints, motors = described["joints"], list(sdk_joints(described["joints"]))
    driven = [name for name in motors if name in joints]
    count, history = len(joints), described["history"]
    shared = {
        "fixed_kp": [_FIXED_KP] * count,
        "fixed_kd": [_FIXED_KD] * count,
        "num_of_dofs": count,
        "wheel_indices": [],
        "torque_limits": list(described["effort_limit"]),
        "default_dof_pos": list(described["default_joint_pos"]),
        "joint_mapping": [driven.index(name) for name in joints],
    }
    base = {
        "dt": described["physics_dt"],
        "decimation": described["decimation"],
        **shared,
        "joint_names": driven,
        "joint_controller_names": [f"{name.removesuffix('_joint')}_controller" for name in driven],
    }
    terms = [term for term in described["observations"] if not term["steps_ago"]]
    config = {
        "model_name": "policy.onnx",
        "num_observations": sum(term["size"] for term in terms),
        "observations": [TERMS[term["name"]] for term in terms],
        "observations_history": list(range(history)) if history > 1 else [],
        "observations_history_priority": "time",
        "clip_obs": described["clip_observations"],
        "clip_actions_lower": [-described["clip_actions"]] * count,
        "clip_actions_upper": [described["clip_actions"]] * count,
        "rl_kp": list(described["stiffness"]),
        "rl_kd": list(described["damping"]),
        **shared,
        "action_scale": list(described["action_scale"]),
        "lin_vel_scale": single_scale(described, "lin_vel_b"),
        "ang_vel_scale": single_scale(described, "ang_vel_b"),
        "dof_pos_scale": single_scale(described, "joint_pos"),
        "dof_vel_scale": single_scale(described, "joint_vel"),
        "commands_scale": scale_of(described, "commands") or [1.0, 1.0, 1.0],
    }
    return {robot: base}, {f"{robot}/rlgpu": config}
