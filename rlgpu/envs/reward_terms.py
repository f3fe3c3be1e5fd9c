"""Rewards made of named terms, each with a scale of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from rlgpu.config import load_function
from rlgpu.errors import UsageError


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
    ) -> None:
        """Chooses the terms.

        Args:
            functions: Functions of a moment, by name; each returns a tensor of shape [N].
            scales: A dataclass with a scale for each, under the same name.
            step_dt: Length of a control step [s].
            own: Scales of a user's functions, by ``path/to/file.py:function``.

        Raises:
            UsageError: There is no such function.
        """
        wanted = {f.name: float(getattr(scales, f.name)) for f in dataclasses.fields(scales)}
        for word, scale in (own or {}).items():
            name = word.rpartition(":")[2]
            if [other.rpartition(":")[2] for other in own or {}].count(name) > 1:
                said = f"task.own_rewards: two terms are called {name}; rename one"
                raise UsageError(said, key="task.own_rewards", value=word)
            function = load_function("task.own_rewards", word)
            functions = {**functions, name: partial(_checked, word, function)}
            wanted[name] = scale
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


def _checked(word: str, function: Callable[[Any], Any], moment: Any) -> Tensor:
    """Returns a user's term, of shape [N].

    Raises:
        UsageError: It is something else.
    """
    term, rows = function(moment), moment.base_height.shape
    if isinstance(term, Tensor) and term.shape == rows:
        return term
    found = tuple(term.shape) if isinstance(term, Tensor) else type(term).__name__
    said = f"task.own_rewards: {word}: wanted a tensor of shape {tuple(rows)}, got {found}"
    raise UsageError(said, key="task.own_rewards", value=word)
