"""Gymnasium's spaces of actions in ours, and actions on their way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlgpu.config import Range
from rlgpu.errors import UsageError, first_line
from rlgpu.spaces import ActionSpace, Continuous, Discrete, stretched

_WIDEST = 2.0**53
"""Largest absolute value of a bound. Beyond it float64 skips whole numbers, and a policy, whose
actions are float32 in [-1, 1], could hardly choose any action but an astronomic one."""


def action_space(
    space: spaces.Space[Any], bounds: tuple[float, float] | None = None
) -> tuple[ActionSpace, Callable[[Tensor], np.ndarray]]:
    """Returns a space of actions in our terms, and what makes its actions of ours, [N, A].

    Continuous actions are clamped to [-1, 1], which is stretched to the space's bounds. Each whole
    number of a ``Box`` of integers gets an equal part of it, as do false and true.

    Args:
        space: Gymnasium's space.
        bounds: Lowest and highest action of a ``Box``; its own if None.

    Raises:
        UsageError: It is a space that has no distribution here.
    """
    if isinstance(space, spaces.Discrete):
        first = int(space.start)
        return Discrete((int(space.n),)), lambda x: x[:, 0].long().numpy() + first
    if isinstance(space, spaces.MultiDiscrete):
        if len(space.shape) != 1:
            count = int(np.prod(space.shape))
            raise UsageError(
                f"its actions are MultiDiscrete of shape {list(space.shape)}; supported is one of "
                f"shape [{count}]: give nvec.ravel(), and reshape the actions in step",
                key="action_space",
                value=tuple(space.shape),
                allowed=[(count,)],
            )
        starts = np.asarray(space.start)
        return Discrete(tuple(map(int, space.nvec))), lambda x: x.long().numpy() + starts
    if isinstance(space, spaces.Box):
        if bounds is not None:
            try:
                space = spaces.Box(*bounds, space.shape, space.dtype)
            except (OverflowError, ValueError) as error:
                said = f"action_bounds={bounds}: {first_line(error)}"
                raise UsageError(said, key="action_bounds", value=bounds) from error
        return Continuous(int(np.prod(space.shape))), _box_actions(space)
    raise UsageError(
        f"its actions are {type(space).__name__}; supported are Discrete, MultiDiscrete and Box",
        key="action_space",
        value=type(space).__name__,
        allowed=["Discrete", "MultiDiscrete", "Box"],
    )


def _box_actions(space: spaces.Box) -> Callable[[Tensor], np.ndarray]:
    """Returns what makes a box's actions of ours; they are within its bounds to the last bit.

    Raises:
        UsageError: It has no bounds to speak of.
    """
    far = max((abs(float(x)) for x in (*space.low.flat, *space.high.flat)), default=0.0)
    if not far <= _WIDEST:  # NaN is not
        what = f"bounds of {far:.3g}, more than 2**53" if np.isfinite(far) else "no bounds"
        raise UsageError(
            f"its actions have {what}; gymnasium.wrappers.TransformAction gives them some, and "
            "PPOAgent has action_bounds",
            key="action_space",
            value=far,
            allowed=[Range(-_WIDEST, _WIDEST)],
        )
    kind, shape = np.dtype(space.dtype), space.shape
    is_whole = np.issubdtype(kind, np.integer) or kind == np.bool_
    precise = torch.float32 if np.can_cast(kind, np.float32) else torch.float64
    low, high = (torch.as_tensor(x.ravel(), dtype=precise) for x in (space.low, space.high))

    def actions(values: Tensor) -> np.ndarray:
        found = stretched(values.to(precise), low, high + 1 if is_whole else high)
        if is_whole:
            found = found.floor()
        # Rounding may have passed a bound.
        return found.clamp(low, high).numpy().astype(kind).reshape(-1, *shape)

    return actions
