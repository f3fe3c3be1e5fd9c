"""Rotations, against turns worked by hand."""

from __future__ import annotations

import math

import torch

from rlgpu.rotations import matrix_of, quat_rotate, quat_rotate_inverse, wrap_angle, yaw_of

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


def test_yaw_is_the_turn_about_the_vertical() -> None:
    """A quarter turn to the left, none, and one to the right."""
    quat = torch.tensor([[0.0, 0.0, HALF, HALF], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, -HALF, HALF]])
    expected = torch.tensor([math.pi / 2, 0.0, -math.pi / 2])
    torch.testing.assert_close(yaw_of(quat), expected)


def test_angles_are_wrapped_by_whole_turns() -> None:
    """Three quarters of a turn is a quarter turn back."""
    angles = torch.tensor([1.5 * math.pi, -1.5 * math.pi, 0.5, math.pi])
    expected = torch.tensor([-0.5 * math.pi, 0.5 * math.pi, 0.5, -math.pi])
    torch.testing.assert_close(wrap_angle(angles), expected)


def test_a_matrix_turns_vectors_as_its_quaternion_does() -> None:
    """Random rotations and vectors."""
    g = torch.Generator().manual_seed(0)
    quat = torch.nn.functional.normalize(torch.randn(50, 2, 4, generator=g), dim=-1)
    vec = torch.randn(50, 2, 3, generator=g)
    turned = (matrix_of(quat) @ vec[..., None])[..., 0]
    torch.testing.assert_close(turned, quat_rotate(quat, vec))
