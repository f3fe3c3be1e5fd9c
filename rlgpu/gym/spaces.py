"""Gymnasium's spaces of actions in ours, and actions on their way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlgpu.errors import UsageError
from rlgpu.spaces import ActionSpace, Continuous, Discrete, stretched


def action_space(space: spaces.Space[Any]) -> tuple[ActionSpace, Callable[[Tensor], np.ndarray]]:
    """Returns a space of actions in our terms, and what makes its actions of ours, [N, A].

    Continuous actions are clamped to [-1, 1], which is stretched to the space's bounds.

    Raises:
        UsageError: It is a space that has no distribution here.
    """
    if isinstance(space, spaces.Discrete):
        first = int(space.start)
        return Discrete((int(space.n),)), lambda x: x[:, 0].long().numpy() + first
    if isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
        starts = np.asarray(space.start)
        return Discrete(tuple(map(int, space.nvec))), lambda x: x.long().numpy() + starts
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
            raise UsageError(
                "its actions have no bounds; gymnasium.wrappers.TransformAction gives them some, "
                "and PPOAgent has action_bounds"
            )
        low, high = (torch.as_tensor(x, dtype=torch.float32) for x in (space.low, space.high))
        kind, size = space.dtype, int(space.shape[0])
        return Continuous(size), lambda x: stretched(x, low, high).numpy().astype(kind)
    raise UsageError(
        f"its actions are {type(space).__name__}; supported are Discrete, MultiDiscrete and Box "
        "of one dimension"
    )
