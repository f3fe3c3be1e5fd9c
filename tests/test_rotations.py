"""Rotations, against turns worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rlgpu.rotations import quat_rotate, quat_rotate_inverse, roll, yaw

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


@pytest.mark.parametrize(("degrees", "wanted"), [(0, 0), (30, 30), (170, 170), (-90, 270)])
@pytest.mark.parametrize(("angle", "axis"), [(yaw, 2), (roll, 0)])
def test_yaw_and_roll_run_from_zero_to_a_full_turn(angle, axis, degrees, wanted) -> None:
    """A turn about one axis alone."""
    half = math.radians(degrees) / 2
    quat = torch.zeros(1, 4)
    quat[0, axis], quat[0, 3] = math.sin(half), math.cos(half)
    assert math.degrees(angle(quat).item()) == pytest.approx(wanted, abs=1e-4)
