"""An exported policy's description as other projects' programs read it.

Each format is a function of the description in ``policy.yaml`` alone. A policy that a program
cannot run is refused, in one sentence.
"""

from rlgpu.deploy.formats.joint_orders import sdk_joints
from rlgpu.deploy.formats.reasons import NotTaken
from rlgpu.deploy.formats.rl_sar import rl_sar
from rlgpu.deploy.formats.unitree import unitree, unitree_columns
from rlgpu.deploy.formats.unitree_rl_gym import unitree_rl_gym

__all__ = [
    "NotTaken",
    "rl_sar",
    "sdk_joints",
    "unitree",
    "unitree_columns",
    "unitree_rl_gym",
]
