"""Tensor functions of ``isaacgym.torch_utils``. Quaternions are (x, y, z, w).

Scripts import everything from here, ``torch`` and ``np`` included.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgpu.rotations import quat_multiply, quat_rotate, quat_rotate_inverse

__all__ = [
    "copysign",
    "get_axis_params",
    "get_basis_vector",
    "get_euler_xyz",
    "normalize",
    "normalize_angle",
    "np",
    "quat_apply",
    "quat_conjugate",
    "quat_from_angle_axis",
    "quat_from_euler_xyz",
    "quat_mul",
    "quat_rotate",
    "quat_rotate_inverse",
    "quat_unit",
    "scale",
    "tensor_clamp",
    "tf_apply",
    "tf_combine",
    "tf_inverse",
    "tf_vector",
    "to_torch",
    "torch",
    "torch_rand_float",
    "torch_random_dir_2",
    "unscale",
    "unscale_np",
]


def to_torch(
    x: Any,
    dtype: torch.dtype = torch.float,
    device: Any = "cuda:0",
    requires_grad: bool = False,
) -> Tensor:
    """Returns a copy of numbers as a tensor."""
    return torch.tensor(x, dtype=dtype, device=device, requires_grad=requires_grad)


def normalize(x: Tensor, eps: float = 1e-9) -> Tensor:
    """Returns vectors of length 1 along the last dimension; those shorter than ``eps`` shrink."""
    return x / x.norm(p=2, dim=-1).clamp(min=eps, max=None).unsqueeze(-1)


def quat_unit(a: Tensor) -> Tensor:
    """Returns unit quaternions."""
    return normalize(a)


def quat_mul(a: Tensor, b: Tensor) -> Tensor:
    """Returns the products ``a * b`` of quaternions of the same shape [..., 4]."""
    assert a.shape == b.shape, "quat_mul takes quaternions of the same shape"
    return quat_multiply(a, b)


def quat_conjugate(a: Tensor) -> Tensor:
    """Returns the conjugates, which for unit quaternions are the inverses."""
    return torch.cat((-a[..., :3], a[..., 3:]), dim=-1)


def quat_apply(a: Tensor, b: Tensor) -> Tensor:
    """Returns vectors ``b`` rotated by ``a``, in the shape of ``b``."""
    return quat_rotate(a.reshape(-1, 4), b.reshape(-1, 3)).view(b.shape)


def quat_from_angle_axis(angle: Tensor, axis: Tensor) -> Tensor:
    """Returns rotations by angles [rad], shape [...], about axes, shape [..., 3]."""
    half = (angle / 2).unsqueeze(-1)
    return quat_unit(torch.cat((normalize(axis) * half.sin(), half.cos()), dim=-1))


def normalize_angle(x: Tensor) -> Tensor:
    """Returns angles in [-pi, pi]."""
    return torch.atan2(torch.sin(x), torch.cos(x))


def tf_inverse(q: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the inverses of transforms of rotations ``q`` and positions ``t``."""
    back = quat_conjugate(q)
    return back, -quat_apply(back, t)


def tf_apply(q: Tensor, t: Tensor, v: Tensor) -> Tensor:
    """Returns points, rotated by ``q`` and moved by ``t``."""
    return quat_apply(q, v) + t


def tf_vector(q: Tensor, v: Tensor) -> Tensor:
    """Returns vectors, rotated by ``q``."""
    return quat_apply(q, v)


def tf_combine(q1: Tensor, t1: Tensor, q2: Tensor, t2: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the transforms that apply the second, then the first."""
    return quat_mul(q1, q2), quat_apply(q1, t2) + t1


def get_basis_vector(q: Tensor, v: Tensor) -> Tensor:
    """Returns vectors, rotated by ``q``."""
    return quat_rotate(q, v)


def get_axis_params(
    value: float, axis_idx: int, x_value: float = 0.0, dtype: Any = float, n_dims: int = 3
) -> list[Any]:
    """Returns a vector with ``value`` along an axis; the first component is always ``x_value``."""
    if axis_idx >= n_dims:
        raise AssertionError(f"axis_idx: {axis_idx} is not an axis of {n_dims} dimensions")
    values = [0.0] * n_dims
    values[axis_idx] = value
    values[0] = x_value
    return [dtype(number) for number in values]


def copysign(a: float, b: Tensor) -> Tensor:
    """Returns a number with the signs of ``b``, shape [N]."""
    return torch.copysign(torch.full_like(b, a, dtype=torch.float), b)


def get_euler_xyz(q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns roll, pitch and yaw in [0, 2 pi) of quaternions, shape [N, 4]."""
    x, y, z, w = q.unbind(-1)
    roll = torch.atan2(2.0 * (w * x + y * z), w * w - x * x - y * y + z * z)
    sine = 2.0 * (w * y - z * x)
    pitch = torch.where(sine.abs() >= 1, copysign(math.pi / 2.0, sine), torch.asin(sine))
    yaw = torch.atan2(2.0 * (w * z + x * y), w * w + x * x - y * y - z * z)
    return roll % (2 * math.pi), pitch % (2 * math.pi), yaw % (2 * math.pi)


def quat_from_euler_xyz(roll: Tensor, pitch: Tensor, yaw: Tensor) -> Tensor:
    """Returns rotations about x, then the fixed y, then the fixed z, shape [..., 4]."""
    sr, cr = torch.sin(roll * 0.5), torch.cos(roll * 0.5)
    sp, cp = torch.sin(pitch * 0.5), torch.cos(pitch * 0.5)
    sy, cy = torch.sin(yaw * 0.5), torch.cos(yaw * 0.5)
    return torch.stack(
        (
            cy * sr * cp - sy * cr * sp,
            cy * cr * sp + sy * sr * cp,
            sy * cr * cp - cy * sr * sp,
            cy * cr * cp + sy * sr * sp,
        ),
        dim=-1,
    )


def torch_rand_float(lower: float, upper: float, shape: tuple[int, int], device: str) -> Tensor:
    """Returns uniform random numbers."""
    return (upper - lower) * torch.rand(*shape, device=device) + lower


def torch_random_dir_2(shape: tuple[int, int], device: str) -> Tensor:
    """Returns random directions in the plane, shape [..., 2]."""
    angle = torch_rand_float(-math.pi, math.pi, shape, device).squeeze(-1)
    return torch.stack((angle.cos(), angle.sin()), dim=-1)


def tensor_clamp(t: Tensor, min_t: Tensor, max_t: Tensor) -> Tensor:
    """Returns ``t`` limited element by element; the lower limit wins."""
    return torch.max(torch.min(t, max_t), min_t)


def scale(x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Returns numbers in [-1, 1] mapped to [lower, upper]."""
    return 0.5 * (x + 1.0) * (upper - lower) + lower


def unscale(x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Returns numbers in [lower, upper] mapped to [-1, 1]."""
    return (2.0 * x - upper - lower) / (upper - lower)


def unscale_np(x: Any, lower: Any, upper: Any) -> Any:
    """Returns NumPy arrays in [lower, upper] mapped to [-1, 1]."""
    return (2.0 * x - upper - lower) / (upper - lower)
