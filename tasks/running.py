"""What the tasks that run towards a far target share: the target, progress, and body axes.

Source: IsaacGymEnvs, tasks/ant.py and tasks/humanoid.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

TARGET = (1000.0, 0.0)
"""Horizontal position of the target [m]."""


def body_axes(quat: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns world x and y of the body's x axis, and world z of its z and y axes, each [N]."""
    products = quat[:, :, None] * (2.0 * quat)[:, None, :]  # [N, 4, 4]: twice q_i q_j
    xx, yy, zz = products[:, 0, 0], products[:, 1, 1], products[:, 2, 2]
    xy, zw = products[:, 0, 1], products[:, 2, 3]
    xw, yz = products[:, 0, 3], products[:, 1, 2]
    return 1.0 - (yy + zz), xy + zw, 1.0 - (xx + yy), xw + yz


def progress_to_target(previous_pos_w: Tensor, pos_w: Tensor) -> Tensor:
    """Returns the decrease in horizontal distance to the target [m], shape [N].

    Computes |a| - |b| as (a - b).(a + b) / (|a| + |b|), so no numbers near 1000 are subtracted.

    Args:
        previous_pos_w: Torso position one step ago [m], shape [N, 3].
        pos_w: Torso position now [m], shape [N, 3].
    """
    before_x, before_y = TARGET[0] - previous_pos_w[:, 0], TARGET[1] - previous_pos_w[:, 1]
    after_x, after_y = TARGET[0] - pos_w[:, 0], TARGET[1] - pos_w[:, 1]
    moved = pos_w - previous_pos_w
    along = moved[:, 0] * (before_x + after_x) + moved[:, 1] * (before_y + after_y)
    return along / (torch.hypot(before_x, before_y) + torch.hypot(after_x, after_y))
