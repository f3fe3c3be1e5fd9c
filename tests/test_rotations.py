"""Rotations, against turns worked by hand."""

from __future__ import annotations

import math

import torch

from rlgpu.rotations import quat_rotate, quat_rotate_inverse

HALF = math.sqrt(0.5)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    """(x, y, z, w) = (0, 0, sin 45, cos 45)."""
    quat = torch.tensor([[0.0, 0.0, HALF, HALF]])
    torch.testing.assert_close(
        quat_rotate(quat, torch.tensor([[1.0, 0.0, 2.0]])), torch.tensor([[0.0, 1.0, 2.0]])
    )
    torch.testing.assert_close(
        quat_rotate_inverse(quat, torch.tensor([[0.0, 1.0, 2.0]])), torch.tensor([[1.0, 0.0, 2.0]])
    )
