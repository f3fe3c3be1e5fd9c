"""Unitree's Go2 walks as commanded.

Source: unitree_rl_gym, envs/go2/go2_config.py and envs/base; values in cfg/task/Go2.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rlgpu.envs import Columns, TaskConfig
from tasks.legged import Legged
from tasks.legged_config import LeggedConfig

LEGS = ("FL", "FR", "RL", "RR")
OBSERVATION = Columns(
    lin_vel_b=3, ang_vel_b=3, gravity_b=3, commands=3, joint_pos=12, joint_vel=12, actions=12
)


@dataclass(frozen=True)
class Go2Config(LeggedConfig):
    """Configuration of the Go2."""


class Go2(Legged):
    """Walk on four legs."""

    Config: ClassVar[type[TaskConfig]] = Go2Config
    asset = "go2.xml"
    columns = OBSERVATION
    num_observations = OBSERVATION.width
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
