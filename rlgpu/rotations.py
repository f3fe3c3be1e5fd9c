"""Unit quaternions in (x, y, z, w) order: products, rotations of vectors, and yaw angles."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def xyzw_of(quat: Tensor) -> Tensor:
    """Returns MuJoCo's quaternions (w, x, y, z) as (x, y, z, w), [..., 4] -> [..., 4]."""
    # Indexing by a list would copy it to the GPU each time, and wait.
    return quat.roll(-1, -1)


def wxyz_of(quat: Tensor) -> Tensor:
    """Returns quaternions (x, y, z, w) as MuJoCo's (w, x, y, z), [..., 4] -> [..., 4]."""
    return quat.roll(1, -1)


def quat_rotate(quat: Tensor, vec: Tensor) -> Tensor:
    """Returns ``vec`` rotated by ``quat``: body axes to world axes for a body's orientation.

    Args:
        quat: Unit quaternions (x, y, z, w), shape [..., 4].
        vec: Vectors, shape [..., 3].
    """
    xyz, w = quat[..., :3], quat[..., 3:]
    t = 2.0 * torch.linalg.cross(xyz, vec)
    return vec + w * t + torch.linalg.cross(xyz, t)


def quat_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Returns the rotations that apply ``b``, then ``a``.

    Args:
        a: Unit quaternions (x, y, z, w), shape [..., 4].
        b: Likewise.
    """
    vec_a, w_a, vec_b, w_b = a[..., :3], a[..., 3:], b[..., :3], b[..., 3:]
    vec = w_a * vec_b + w_b * vec_a + torch.linalg.cross(vec_a, vec_b)
    return torch.cat((vec, w_a * w_b - (vec_a * vec_b).sum(-1, keepdim=True)), dim=-1)


def quat_rotate_inverse(quat: Tensor, vec: Tensor) -> Tensor:
    """Returns ``vec`` rotated by the inverse of ``quat``: world axes to body axes.

    Args:
        quat: Unit quaternions (x, y, z, w), shape [..., 4].
        vec: Vectors, shape [..., 3].
    """
    xyz, w = quat[..., :3], quat[..., 3:]
    t = 2.0 * torch.linalg.cross(xyz, vec)
    return vec - w * t + torch.linalg.cross(xyz, t)


def matrix_of(quat: Tensor) -> Tensor:
    """Returns rotation matrices of quaternions (x, y, z, w), [..., 4] -> [..., 3, 3]."""
    x, y, z, w = quat.unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def yaw_of(quat: Tensor) -> Tensor:
    """Returns the heading of the rotated x axis about the world's z axis, in [-pi, pi] [rad].

    Args:
        quat: Unit quaternions (x, y, z, w), shape [..., 4].
    """
    x, y, z, w = quat.unbind(-1)
    return torch.atan2(2.0 * (x * y + z * w), 1.0 - 2.0 * (y * y + z * z))


def wrap_angle(angle: Tensor) -> Tensor:
    """Returns angles [rad] shifted by whole turns into [-pi, pi), of the same shape."""
    return (angle + math.pi).remainder(2 * math.pi) - math.pi
