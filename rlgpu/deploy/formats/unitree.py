"""``params/deploy.yaml`` of Unitree's C++ deployment, that of unitree_rl_lab and unitree_rl_mjlab.

Source: unitree_rl_lab, deploy/include/isaaclab and utils/export_deploy_cfg.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlgpu.deploy.formats.joint_orders import sdk_joints
from rlgpu.deploy.formats.reasons import check_relative, check_runnable

TERMS: Mapping[str, str] = {
    "ang_vel_b": "base_ang_vel",
    "gravity_b": "projected_gravity",
    "commands": "velocity_commands",
    "joint_pos": "joint_pos_rel",
    "joint_vel": "joint_vel_rel",
    "actions": "last_action",
    "phase": "gait_phase",
}
"""The deployment's name of each term that it measures."""


def unitree(described: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of ``deploy.yaml``.

    Raises:
        NotTaken: The deployment cannot run the policy.
    """
    check_runnable(described, TERMS)
    check_relative(described)
    joints, motors = described["joints"], sdk_joints(described["joints"])
    places = [motors.index(name) for name in joints]
    commands = described["commands"]
    history = described["history"]
    terms = {}
    for term in described["observations"]:
        if term["steps_ago"]:
            continue
        name, params = TERMS[term["name"]], dict[str, Any]()
        if term["name"] == "commands":
            params = {"command_name": "base_velocity"}
        elif term["name"] == "phase":
            params = {"period": described["gait_period"]}
        terms[name] = {
            "params": params,
            "clip": None,
            "scale": list(term["scale"]),
            "history_length": history,
        }
    return {
        "joint_ids_map": places,
        "step_dt": described["step_dt"],
        "stiffness": _by_motor(described["stiffness"], places, len(motors)),
        "damping": _by_motor(described["damping"], places, len(motors)),
        "default_joint_pos": list(described["default_joint_pos"]),
        "commands": {
            "base_velocity": {
                "ranges": {
                    "lin_vel_x": list(commands["lin_vel_x"]),
                    "lin_vel_y": list(commands["lin_vel_y"]),
                    "ang_vel_z": list(commands["ang_vel_yaw"]),
                    "heading": commands.get("heading"),
                }
            }
        },
        "actions": {
            "JointPositionAction": {
                "clip": None,
                "joint_names": list(joints),
                "scale": list(described["action_scale"]),
                "offset": list(described["default_joint_pos"]),
                "joint_ids": None,
            }
        },
        "observations": terms,
    }


def _by_motor(values: Sequence[float], places: Sequence[int], count: int) -> list[float]:
    """Returns values in the motors' order; 0 of motors that the policy does not drive."""
    found = [0.0] * count
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found


def unitree_columns(described: Mapping[str, Any]) -> list[int]:
    """Returns, for each of the policy's columns, the one of the deployment's observation.

    The deployment puts each term's past steps side by side, the oldest first; the policy has whole
    steps side by side, the newest first.
    """
    history, start, starts = described["history"], 0, {}
    for term in described["observations"]:
        if not term["steps_ago"]:
            starts[term["name"]] = start
            start += term["size"] * history
    columns: list[int] = []
    for term in described["observations"]:
        age = history - 1 - term["steps_ago"]
        first = starts[term["name"]] + age * term["size"]
        columns += range(first, first + term["size"])
    return columns
