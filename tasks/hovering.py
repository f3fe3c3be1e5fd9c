"""What the tasks that hover near a target share: observations of the root, and the reward.

Source: IsaacGymEnvs, tasks/quadcopter.py and tasks/ingenuity.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rlgpu.sim import SimState


def observe_root(state: SimState, target_w: Tensor) -> Tensor:
    """Returns way to the target / 3, orientation, velocity / 2, spin / pi, shape [N, 13].

    Args:
        state: The engine's tensors.
        target_w: Where to hover [m], shape [N, 3].
    """
    return torch.cat(
        (
            (target_w - state.root_pos_w) / 3.0,
            state.root_quat_w,
            state.root_lin_vel_w / 2.0,
            state.root_ang_vel_w / math.pi,
        ),
        dim=-1,
    )


def hover_reward(state: SimState, target_w: Tensor, up_weight: float) -> tuple[Tensor, Tensor]:
    """Returns the reward and the distance to the target [m], shape [N] each.

    Being upright and not spinning count only near the target.

    Args:
        state: The engine's tensors.
        target_w: Where to hover [m], shape [N, 3].
        up_weight: Weight of being upright.
    """
    distance = (target_w - state.root_pos_w).norm(dim=-1)
    near = 1.0 / (1.0 + distance.square())
    x, y = state.root_quat_w[:, 0], state.root_quat_w[:, 1]
    tilt = 2.0 * (x * x + y * y)  # 1 - z component of the body's z axis
    upright = up_weight / (1.0 + tilt.square())
    still = 1.0 / (1.0 + state.root_ang_vel_w[:, 2].square())
    return near + near * (upright + still), distance
