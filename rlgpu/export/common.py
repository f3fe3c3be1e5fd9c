"""What every library's environment needs of ours."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlgpu.config import Range
from rlgpu.envs import Environments, Step
from rlgpu.errors import UsageError
from rlgpu.spaces import Continuous, ObservationSpace


def box(space: ObservationSpace, size: int) -> spaces.Box:
    """Returns Gymnasium's space of some of an environment's columns."""
    if space.dtype == "uint8":
        return spaces.Box(0, 255, (size,), np.uint8)
    return spaces.Box(-np.inf, np.inf, (size,), np.dtype(space.dtype).type)


def policy_box(env: Environments) -> spaces.Box:
    """Returns Gymnasium's space of the columns that the policy sees."""
    return box(env.observation_space, len(seen_by(env, "actor")))


def action_space(env: Environments, limit: float | None = None) -> spaces.Space[Any]:
    """Returns Gymnasium's space of an environment's actions.

    Args:
        env: The environments.
        limit: Largest absolute value of continuous actions; where they are clamped if None.
    """
    ours = env.action_space
    if isinstance(ours, Continuous):
        limit = env.action_limit if limit is None else limit
        return spaces.Box(-limit, limit, (ours.size,), np.float32)
    if ours.size == 1:
        return spaces.Discrete(ours.choices[0])
    return spaces.MultiDiscrete(list(ours.choices))


class Stepper:
    """Steps an environment with whatever actions another library has."""

    def __init__(self, env: Environments) -> None:
        """Wraps environments that have just been made.

        Args:
            env: The environments.
        """
        self.env = env
        self._is_fresh = True

    def seed(self, seed: int) -> None:
        """Begins new episodes at once, and seeds all random numbers from now on.

        Args:
            seed: Of any size.

        Raises:
            UsageError: It is negative.
        """
        if seed < 0:
            said = f"seed={seed}: must not be negative"
            raise UsageError(said, key="seed", value=seed, allowed=[Range(0)])
        self.env.reset(int(seed))
        self._is_fresh = True

    def reset(self, seed: int | None = None) -> Tensor:
        """Returns the first observations of new episodes, shape [N, O].

        Args:
            seed: Seed of all random numbers from now on.

        Raises:
            UsageError: The seed is negative.
        """
        if seed is not None:
            self.seed(seed)
        elif not self._is_fresh:
            self.env.reset()
        self._is_fresh = False
        return self.env.observations.clone()

    def step(self, actions: Any, columns: list[int] | None = None) -> Step:
        """Steps the environments; the tensors returned are copies.

        Args:
            actions: Array or tensor, shape [N] or [N, A].
            columns: Columns of the observations and final observations to return; all if None.
        """
        env = self.env
        chosen = torch.as_tensor(actions, device=env.device)
        self._is_fresh = False
        step = env.step(chosen.float().reshape(env.num_envs, env.num_actions))
        copied = Step(*(x.clone() for x in step))
        if columns is None:
            return copied
        final = copied.final_observations[:, columns]
        return copied._replace(
            observations=copied.observations[:, columns], final_observations=final
        )


def seen_by(env: Environments, who: Literal["actor", "critic"]) -> list[int]:
    """Returns the columns that the actor or the critic sees."""
    space = env.observation_space
    return space.columns(space.of(who, "numbers", "image", "mask"))
