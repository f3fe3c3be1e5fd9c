"""ANYmal C walks as commanded, on flat ground.

Source: IsaacGymEnvs, tasks/anymal.py; values in cfg/task/Anymal.yaml. Differences in rlgpu:

* Gravity is turned into the base's axes by the inverse rotation; the source uses the forward one.
* Four physics steps of 5 ms in a control step instead of two of 10 ms.
* An episode that ends is reset within the step.
"""

from __future__ import annotations

from typing import ClassVar

from rlgpu.envs import TaskConfig
from rlgpu.tasks.legged import QUADRUPED, Legged
from rlgpu.tasks.legged_config import LeggedConfig

LEGS = ("LF", "RF", "LH", "RH")


class Anymal(Legged):
    """Walk on four legs."""

    Config: ClassVar[type[TaskConfig]] = LeggedConfig
    asset = "anymal.xml"
    columns = QUADRUPED
    num_observations = QUADRUPED.width
    num_actions = 12
    default_joint_pos: ClassVar = {
        f"{leg}_{joint}": angle
        for leg in LEGS
        for joint, angle in (
            ("HAA", 0.03 if leg[0] == "L" else -0.03),
            ("HFE", 0.4 if leg[1] == "F" else -0.4),
            ("KFE", -0.8 if leg[1] == "F" else 0.8),
        )
    }
    effort_limits: ClassVar = {"": 80.0}
    feet = tuple(f"{leg}_SHANK" for leg in LEGS)
    failing_bodies = ("base", *(f"{leg}_THIGH" for leg in LEGS))
    hip_joints = tuple(f"{leg}_HAA" for leg in LEGS)
