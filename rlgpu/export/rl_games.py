"""Our environments as rl_games' ``IVecEnv``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from rl_games.common import env_configurations, vecenv
from rl_games.common.ivecenv import IVecEnv
from torch import Tensor

from rlgpu.envs import Environments
from rlgpu.export.common import Stepper, action_space, box, seen_by


class RlGamesEnv(IVecEnv):
    """N environments, tensors on the device; the critic's columns are the ``states``."""

    def __init__(self, env: Environments) -> None:
        """Wraps environments.

        Args:
            env: The environments, just made.
        """
        self._stepper, self._env = Stepper(env), env
        self._actor, self._critic = seen_by(env, "actor"), seen_by(env, "critic")

    def _seen(self, observations: Tensor) -> Any:
        if observations.dtype == torch.float64:  # its networks are float32
            observations = observations.float()
        if self._actor == self._critic:
            return observations[:, self._actor]
        return {"obs": observations[:, self._actor], "states": observations[:, self._critic]}

    def seed(self, seed: int) -> None:
        """Begins new episodes, and seeds all random numbers from now on."""
        self._stepper.seed(seed)

    def reset(self) -> Any:
        """Begins new episodes; returns their first observations."""
        return self._seen(self._stepper.reset())

    def step(self, actions: Any) -> tuple[Any, Tensor, Tensor, dict[str, Any]]:
        """Steps the environments; ``time_outs`` are in the last value."""
        step = self._stepper.step(actions)
        ended = step.terminated | step.truncated
        return self._seen(step.observations), step.rewards, ended, {"time_outs": step.truncated}

    def get_env_info(self) -> dict[str, Any]:
        """Returns the spaces of observations, actions and, if the critic has its own, states."""
        space = self._env.observation_space
        # rl_games stretches -1 to 1 over the bounds, so the task's own limit would scale actions.
        actions = action_space(self._env, limit=1.0)
        space = replace(space, dtype="uint8" if space.dtype == "uint8" else "float32")
        info = {"observation_space": box(space, len(self._actor)), "action_space": actions}
        if self._actor != self._critic:
            info["state_space"] = box(space, len(self._critic))
        return info

    def get_number_of_agents(self) -> int:
        """Returns 1: each environment has one agent."""
        return 1


def register(env: Environments, name: str = "rlgpu") -> None:
    """Makes environments known to rl_games, as ``env_name: rlgpu`` of its configuration.

    ``seed`` in the configuration's ``env_config`` seeds them; rl_games puts its own there if it
    finds none.

    Args:
        env: The environments, just made.
        name: The name they get.
    """

    def make(config_name: str, num_actors: int, seed: int | None = None, **_: Any) -> RlGamesEnv:
        made = RlGamesEnv(env)
        if seed is not None:
            made.seed(seed)
        return made

    vecenv.register(name, make)
    creator = {"env_creator": lambda **_: env, "vecenv_type": name}
    env_configurations.register(name, creator)
