"""Gymnasium's spaces in a user's own loop, and the arrays that go with them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgpu.errors import NoEffect, UsageError
from rlgpu.spaces import ActionSpace, Continuous, Discrete, ObservationSpace, stretched


class Spaces:
    """What is observed and done, in rlgpu's terms and in those of the user's environments."""

    def __init__(self, observations: Any, actions: Any, bounds: tuple[float, float] | None) -> None:
        """Translates Gymnasium's spaces; rlgpu's are taken as they are.

        Args:
            observations: Of one environment.
            actions: Of one environment.
            bounds: Lowest and highest action; those of the space if None.

        Raises:
            UsageError: A space is not supported.
        """
        if bounds is not None and not -math.inf < bounds[0] < bounds[1] < math.inf:
            said = f"action_bounds={bounds}: wanted two finite numbers, the lower first"
            raise UsageError(said, key="action_bounds", value=bounds)
        self._to_gym: Any = None
        if isinstance(actions, Continuous | Discrete):
            self.actions: ActionSpace = actions
        else:
            from rlgpu.foreign.gymnasium.spaces import action_space  # noqa: PLC0415  (Gymnasium is optional)

            self.actions, self._to_gym = action_space(actions, bounds)
        self.observations: ObservationSpace
        self._flatten: Any = None
        self._shape: tuple[int, ...]
        if isinstance(observations, ObservationSpace):
            self.observations, self._shape = observations, (observations.size,)
        else:
            from rlgpu.foreign.gymnasium.flat import flattening  # noqa: PLC0415

            choices = sum(self.actions.choices) if isinstance(self.actions, Discrete) else 0
            self.observations, self._flatten = flattening(observations, choices)
            self._shape = tuple(observations.shape or ())
            self._space = observations
            self._is_box = type(observations).__name__ in ("Box", "MultiBinary")
        if bounds is not None and not isinstance(self.actions, Continuous):
            said = "action_bounds: only continuous actions have bounds"
            raise NoEffect(said, key="action_bounds", value=bounds, needs="action_space")
        self._bounds = bounds

    def __repr__(self) -> str:
        """Returns what weights must fit; they are float32 for float64 observations, too."""
        observations = self.observations
        if observations.dtype == "float64":
            observations = dataclasses.replace(observations, dtype="float32")
        return f"{observations}, {self.actions}"

    def rows(self, values: Any, num_envs: int, device: torch.device) -> tuple[Tensor, bool]:
        """Returns observations as rows [N, O], and whether they came without N.

        Raises:
            UsageError: They have the wrong shape.
        """
        if self._flatten is not None and not self._is_box:  # choices, a dictionary, a tuple
            alone = num_envs == 1 and not _is_batch(values, self._space)
            parts = [values] if alone else _split(values, self._space, num_envs)
            found = [self._flatten(part) for part in parts]
            return torch.from_numpy(np.stack(found)).to(device), alone
        rows = torch.as_tensor(values, device=device)
        kind = getattr(torch, self.observations.dtype)
        alone = num_envs == 1 and rows.ndim == len(self._shape)
        if tuple(rows.shape[0 if alone else 1 :]) != self._shape or (
            not alone and rows.shape[0] != num_envs
        ):
            raise UsageError(
                f"observations have shape {list(rows.shape)}, wanted {[num_envs, *self._shape]}",
                key="observations",
                value=tuple(rows.shape),
                allowed=[(num_envs, *self._shape)],
            )
        if self._flatten is not None and kind == torch.uint8:
            whole = rows[None] if alone else rows
            found = [self._flatten(x) for x in whole.cpu().numpy()]
            return torch.from_numpy(np.stack(found)).to(device), alone
        return rows.to(kind).reshape(num_envs, -1), alone

    def taken(self, actions: Tensor, *, alone: bool) -> Any:
        """Returns actions as the environments take them."""
        if self._to_gym is None:
            if self._bounds is not None:
                low, high = self._bounds
                actions = stretched(actions, low, high).clamp(low, high)
            return (actions[0] if alone else actions).clone()
        found = self._to_gym(actions.cpu())
        return found[0] if alone else found


def _is_batch(values: Any, space: Any) -> bool:
    """Returns whether observations are those of several environments, not one of a space."""
    kind = type(space).__name__
    if kind in ("Dict", "Tuple"):
        if isinstance(values, list):  # each environment's own
            return True
        key = next(iter(values)) if kind == "Dict" else 0
        return _is_batch(values[key], space[key])
    return bool(np.ndim(values) > len(space.shape or ()))


def _split(values: Any, space: Any, num_envs: int) -> list[Any]:
    """Returns each environment's part of what is not one array."""
    if isinstance(values, Mapping):
        parts = {key: _split(part, space[key], num_envs) for key, part in values.items()}
        return [{key: part[i] for key, part in parts.items()} for i in range(num_envs)]
    if _is_tuple_of_batches(values, space):
        split = (_split(*both, num_envs) for both in zip(values, space, strict=True))
        return list(zip(*split, strict=True))
    return list(values)


def _is_tuple_of_batches(values: Any, space: Any) -> bool:
    """Returns whether values are a batch for each part of a tuple, not a tuple of observations."""
    if type(space).__name__ != "Tuple" or not isinstance(values, tuple):
        return False
    if len(values) != len(space):
        return False
    # An observation is a tuple, and a batch of one part is not unless that part is a tuple.
    return not isinstance(values[0], tuple) or _is_tuple_of_batches(values[0], space[0])
