"""What all tables of the fused engine are written with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import mujoco
import numpy as np


def offsets(lengths: Iterable[int]) -> list[int]:
    """Returns where each of several parts begins that lie one after the other, and the end."""
    return [0, *itertools.accumulate(lengths)]


def matrix_of(quat: np.ndarray) -> np.ndarray:
    """Returns the rotation matrix of a quaternion (w, x, y, z), shape [9]."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix
