"""The minimum number of bytes that each op moves, with float32 tensors and one-byte flags."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def gae(steps: float) -> float:
    """Returns the bytes for T*N steps: reads rewards, values and two flags, writes two numbers."""
    return 18.0 * steps


def running_stats(rows: float, width: int) -> float:
    """Returns the bytes for merging rows into the statistics."""
    return 4.0 * rows * width


def normalize(rows: float, width: int) -> float:
    """Returns the bytes for normalising rows out of place."""
    return 8.0 * rows * width


def gaussian_sample(rows: float, num_actions: int) -> float:
    """Returns the bytes: reads mean and value; writes actions, mean, log-prob and value."""
    return 4.0 * rows * (3 * num_actions + 3)


def gaussian_ppo_loss(rows: float, num_actions: int) -> float:
    """Returns the bytes: reads actions, both means and five numbers; writes the gradients."""
    return 4.0 * rows * (4 * num_actions + 6)


def shuffle(rows: float) -> float:
    """Returns the bytes for writing an int64 permutation."""
    return 8.0 * rows


def gather_rows(rows: float, width: int) -> float:
    """Returns the bytes for reading and writing the gathered rows."""
    return 8.0 * rows * width


def mlp_forward(rows: float, widths: Sequence[int]) -> float:
    """Returns the bytes for the input and output of every layer."""
    return 4.0 * rows * sum(inputs + outputs for inputs, outputs in pairwise(widths))


def mlp_input_gradient(rows: float, widths: Sequence[int]) -> float:
    """Returns the bytes for the gradients of all hidden layers: reads two tensors, writes one."""
    return 4.0 * rows * sum(2 * inputs + outputs for inputs, outputs in pairwise(widths[1:]))


def grad_norm(parameters: float) -> float:
    """Returns the bytes for reading all gradients to compute their norm."""
    return 4.0 * parameters


def adam(parameters: float) -> float:
    """Returns the bytes for Adam's update: reads four buffers, writes three."""
    return 28.0 * parameters
