"""Gymnasium's spaces of actions: what an environment gets lies in its space, evenly spread."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from gymnasium import spaces

import rlgpu
from rlgpu.errors import UsageError
from rlgpu.foreign.gymnasium.spaces import action_space
from rlgpu.spaces import Continuous, numbers

F32, F64 = np.finfo(np.float32), np.finfo(np.float64)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-0.1, 0.1, (2,), np.float64),
        spaces.Box(np.array([-0.1, 0.3]), np.array([0.1, 0.7]), dtype=np.float64),
        spaces.Box(-0.1, 0.3, (2,), np.float32),
        spaces.Box(-0.1, 0.7, (1,), np.float16),
        spaces.Box(1e9, 1e9 + 1e-6, (1,), np.float64),
        spaces.Box(-1e-300, 1e-300, (1,), np.float64),
        spaces.Box(-1e15, 1e15, (1,), np.float32),
        spaces.Box(5.0, 5.0, (1,), np.float32),
        spaces.Box(-3, 2, (2, 3), np.float32),
        spaces.Box(-3, 2, (), np.float32),
        spaces.Box(0, 255, (2,), np.uint8),
        spaces.Box(-128, 127, (2,), np.int8),
        spaces.Box(-(2**40), 2**40 + 1, (1,), np.int64),
        spaces.Box(0, 2**32 - 1, (1,), np.uint32),
        spaces.Box(0, 1, (2,), np.bool_),
    ],
    ids=str,
)
def test_every_action_lies_in_its_box_and_both_bounds_are_reached(space) -> None:
    """In its dtype and shape, to the last bit; also what a policy gives beyond +-1."""
    ours, to_gym = action_space(space)
    assert ours == Continuous(int(np.prod(space.shape)))
    values = torch.cat([torch.linspace(-1, 1, 2001), torch.tensor([-7.0, 7.0])])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taken = to_gym(values[:, None].expand(-1, ours.size))
    assert taken.dtype == space.dtype
    assert all(space.contains(action) for action in taken)
    assert np.array_equal(taken[0], space.low)
    assert np.array_equal(taken[2000], space.high)
    assert np.array_equal(taken[-2], space.low)
    assert np.array_equal(taken[-1], space.high)


@pytest.mark.parametrize(("low", "high"), [(0, 3), (-2, 2), (0, 1), (7, 16)])
@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.uint8, np.int32, np.int64])
def test_whole_numbers_have_equal_shares(low, high, kind) -> None:
    """Of 1000 actions for each of them, spread evenly over [-1, 1]."""
    if (low < 0 and kind == np.uint8) or ((low, high) != (0, 1) and kind == np.bool_):
        return
    total = 1000 * (high - low + 1)
    middles = (torch.arange(total, dtype=torch.float64) + 0.5) / total * 2 - 1
    taken = action_space(spaces.Box(low, high, (1,), kind))[1](middles.float()[:, None])
    found, counts = np.unique(taken, return_counts=True)
    assert found.tolist() == list(range(low, high + 1))
    assert np.abs(counts - 1000).max() <= 1  # float32 may round one across


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (-np.inf, np.inf, np.float32),
        (-1.0, np.inf, np.float64),
        (F32.min, F32.max, np.float32),
        (F64.min, F64.max, np.float64),
        (0.0, F64.max / 2, np.float64),
        (np.iinfo(np.int64).min, np.iinfo(np.int64).max, np.int64),
        (0, np.iinfo(np.uint64).max, np.uint64),
    ],
)
def test_bounds_without_a_usable_range_are_refused(low, high, kind) -> None:
    """Infinite ones, and the largest numbers of a type, which mean the same."""
    with pytest.raises(UsageError) as refusal:
        action_space(spaces.Box(low, high, (1,), kind))
    assert refusal.value.key == "action_space"
    assert refusal.value.value not in refusal.value.allowed[0]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_the_callers_bounds_take_their_place(kind) -> None:
    """In the space's dtype and shape."""
    wide = np.iinfo if kind == np.int32 else np.finfo
    space = spaces.Box(wide(kind).min, wide(kind).max, (2, 1), kind)
    agent = rlgpu.PPOAgent(
        numbers(3), space, 200, action_bounds=(-3.0, 4.0), initial_log_std=1.5, horizon_length=4
    )
    taken = agent.act(torch.zeros(200, 3)).actions
    assert (taken.shape, taken.dtype) == ((200, 2, 1), kind)
    assert (taken.min(), taken.max()) == (-3.0, 4.0)


@pytest.mark.parametrize("bounds", [(1.0, -1.0), (-np.inf, np.inf), (0.0, np.nan), (-5, 300)])
def test_bounds_that_a_box_cannot_have_are_refused(bounds) -> None:
    """In the wrong order, infinite, or beyond the type."""
    with pytest.raises(UsageError) as refusal:
        rlgpu.PPOAgent(numbers(3), spaces.Box(0, 9, (1,), np.uint8), 1, action_bounds=bounds)
    assert (refusal.value.key, refusal.value.value) == ("action_bounds", bounds)


def test_tensors_of_ours_stay_within_the_callers_bounds() -> None:
    """-0.1 and 0.3 are no numbers of float32: what comes is never beyond those nearest."""
    agent = rlgpu.PPOAgent(
        numbers(3),
        Continuous(2),
        500,
        action_bounds=(-0.1, 0.3),
        initial_log_std=1.5,
        horizon_length=4,
    )
    taken = agent.act(torch.zeros(500, 3)).actions
    assert (taken.min(), taken.max()) == (torch.tensor(-0.1), torch.tensor(0.3))
