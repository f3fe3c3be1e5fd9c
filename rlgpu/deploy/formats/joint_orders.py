"""The order of motors in Unitree's software development kits.

Source: unitree_rl_lab, assets/robots/unitree.py, ``joint_sdk_names``.
"""

from __future__ import annotations

from collections.abc import Sequence

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_ARM = (
    *("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow"),
    *("wrist_roll", "wrist_pitch", "wrist_yaw"),
)
QUADRUPED = tuple(
    f"{leg}_{joint}_joint" for leg in ("FR", "FL", "RR", "RL") for joint in ("hip", "thigh", "calf")
)
"""Go1, Go2, A1, Aliengo, B2."""
G1 = (
    *(f"{side}_{joint}_joint" for side in ("left", "right") for joint in _LEG),
    *(f"waist_{axis}_joint" for axis in ("yaw", "roll", "pitch")),
    *(f"{side}_{joint}_joint" for side in ("left", "right") for joint in _ARM),
)
"""G1 with 29 motors."""


def sdk_joints(joints: Sequence[str]) -> tuple[str, ...]:
    """Returns the motors' order of the robot that has some joints; their own if it is unknown."""
    return next((known for known in (QUADRUPED, G1) if set(joints) <= set(known)), tuple(joints))
