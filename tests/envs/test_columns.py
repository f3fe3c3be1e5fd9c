"""Columns: the places that names and widths lead to."""

from __future__ import annotations

import pytest
import torch

from rlgpu.envs import Columns


def test_columns_follow_each_other_in_the_order_given() -> None:
    """Widths 1, 3, 1, 2: seven numbers."""
    columns = Columns(height=1, lin_vel_b=3, yaw=1, actions=2)
    assert columns.width == 7
    assert [columns[name] for name in ("height", "lin_vel_b", "yaw", "actions")] == [
        0,
        slice(1, 4),
        4,
        slice(5, 7),
    ]


def test_a_single_column_is_read_without_its_dimension() -> None:
    """[N] for a number, [N, k] for k of them."""
    columns = Columns(height=1, lin_vel_b=3)
    observations = torch.arange(8.0).view(2, 4)
    assert observations[:, columns["height"]].tolist() == [0.0, 4.0]
    assert observations[:, columns["lin_vel_b"]].tolist() == [[1, 2, 3], [5, 6, 7]]
    with pytest.raises(KeyError) as refusal:
        columns["heigth"]
    assert refusal.value.args == ("heigth",)
