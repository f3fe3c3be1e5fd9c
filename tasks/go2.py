"""Unitree's Go2 walks as commanded.

Source: unitree_rl_gym, envs/go2/go2_config.py and envs/base; values in cfg/task/Go2.yaml.
"""

from __future__ import annotations

from typing import ClassVar

from rlgpu.envs import TaskConfig
from rlgpu.tasks.legged import QUADRUPED, Legged
from rlgpu.tasks.legged_config import LeggedConfig

LEGS = ("FL", "FR", "RL", "RR")


class Go2(Legged):
    """Walk on four legs."""

    Config: ClassVar[type[TaskConfig]] = LeggedConfig
    asset = "go2.xml"
    columns = QUADRUPED
    num_observations = QUADRUPED.width
    num_actions = 12
    default_joint_pos: ClassVar = {
        f"{leg}_{joint}_joint": angle
        for leg in LEGS
        for joint, angle in (
            ("hip", 0.1 if leg[1] == "L" else -0.1),
            ("thigh", 0.8 if leg[0] == "F" else 1.0),
            ("calf", -1.5),
        )
    }
    effort_limits: ClassVar = {"hip": 23.7, "thigh": 23.7, "calf": 35.55}
    feet = tuple(f"{leg}_foot" for leg in LEGS)
    failing_bodies = ("base",)
    colliding_bodies = tuple(f"{leg}_{part}" for leg in LEGS for part in ("thigh", "calf"))
