"""Rotations of vectors by unit quaternions in (x, y, z, w) order."""

from __future__ import annotations

import torch
from torch import Tensor


def quat_rotate(quat: Tensor, vec: Tensor) -> Tensor:
    """Returns ``vec`` rotated by ``quat``: body axes to world axes for a body's orientation.

    Args:
        quat: Unit quaternions (x, y, z, w), shape [..., 4].
        vec: Vectors, shape [..., 3].
    """
    xyz, w = quat[..., :3], quat[..., 3:]
    t = 2.0 * torch.linalg.cross(xyz, vec)
    return vec + w * t + torch.linalg.cross(xyz, t)


def quat_rotate_inverse(quat: Tensor, vec: Tensor) -> Tensor:
    """Returns ``vec`` rotated by the inverse of ``quat``: world axes to body axes.

    Args:
        quat: Unit quaternions (x, y, z, w), shape [..., 4].
        vec: Vectors, shape [..., 3].
    """
    xyz, w = quat[..., :3], quat[..., 3:]
    t = 2.0 * torch.linalg.cross(xyz, vec)
    return vec - w * t + torch.linalg.cross(xyz, t)
