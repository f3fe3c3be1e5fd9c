"""Rewards made of named terms, each with a scale of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from rlgpu.envs.own_functions import own_functions


class RewardTerms:
    """The sum of functions of a moment, each times its scale; scale 0 is not computed.

    Scales are per second: each term is also multiplied by the length of a step, as in legged_gym.
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[[Any], Tensor]],
        scales: Any,
        step_dt: float,
        own: Mapping[str, float] | None = None,
        num_envs: int = 0,
    ) -> None:
        """Chooses the terms.

        Args:
            functions: Functions of a moment, by name; each returns a tensor of shape [N].
            scales: A dataclass with a scale for each, under the same name.
            step_dt: Length of a control step [s].
            own: Scales of a user's functions, by ``path/to/file.py:function``; one with the name of
                a term takes its place.
            num_envs: Number of environments N, for ``own``.

        Raises:
            UsageError: There is no such function.
        """
        wanted = {f.name: float(getattr(scales, f.name)) for f in dataclasses.fields(scales)}
        own = own or {}
        mine = own_functions("task.own_rewards", own, num_envs)
        functions = {**functions, **mine}
        wanted |= dict(zip(mine, own.values(), strict=True))
        self._terms = {
            name: (functions[name], scale * step_dt) for name, scale in wanted.items() if scale
        }
        self._step_dt = step_dt

    def __call__(self, moment: Any) -> dict[str, Tensor]:
        """Returns the scaled terms of a moment by name, each of shape [N]."""
        return {name: function(moment) * scale for name, (function, scale) in self._terms.items()}

    def reported(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns terms as they are logged: per second, under ``reward_<name>``."""
        return {f"reward_{name}": term / self._step_dt for name, term in terms.items()}
