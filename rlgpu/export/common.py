"""What every library's environment needs of ours."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlgpu.envs import Step, VecEnv
from rlgpu.spaces import Continuous, ObservationSpace


def box(space: ObservationSpace) -> spaces.Box:
    """Returns Gymnasium's space of an environment's observations."""
    if space.dtype == "uint8":
        return spaces.Box(0, 255, (space.size,), np.uint8)
    return spaces.Box(-np.inf, np.inf, (space.size,), np.float32)


def action_space(env: VecEnv) -> spaces.Space[Any]:
    """Returns Gymnasium's space of an environment's actions, from -1 to 1 if continuous."""
    ours = env.action_space
    if isinstance(ours, Continuous):
        return spaces.Box(-1.0, 1.0, (ours.size,), np.float32)
    if ours.size == 1:
        return spaces.Discrete(ours.choices[0])
    return spaces.MultiDiscrete(list(ours.choices))


class Stepper:
    """Steps an environment with whatever actions another library has."""

    def __init__(self, env: VecEnv) -> None:
        """Wraps environments that have just been made.

        Args:
            env: The environments.
        """
        self.env = env
        self._is_fresh = True

    def reset(self, seed: int | None = None) -> Tensor:
        """Returns the first observations of new episodes, shape [N, O].

        Args:
            seed: Of the random numbers of resets from now on.
        """
        if seed is not None:
            self.env.generator.manual_seed(seed)
        if seed is not None or not self._is_fresh:
            self.env.reset()
            self._is_fresh = True
        return self.env.observations.clone()

    def step(self, actions: Any) -> Step:
        """Steps the environments; the tensors returned are copies.

        Args:
            actions: Array or tensor, shape [N] or [N, A].
        """
        env = self.env
        chosen = torch.as_tensor(actions, device=env.device)
        self._is_fresh = False
        step = env.step(chosen.float().reshape(env.num_envs, env.num_actions))
        return Step(*(x.clone() for x in step))


def seen_by(env: VecEnv, who: Literal["actor", "critic"]) -> list[int]:
    """Returns the columns that the actor or the critic sees."""
    space = env.observation_space
    return space.columns(space.of(who, "numbers", "image", "mask"))
