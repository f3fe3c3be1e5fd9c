"""Our environments as Stable-Baselines3's ``VecEnv``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv as BaselinesEnv

from rlgpu.envs import Environments
from rlgpu.export.common import Stepper, action_space, policy_box, seen_by


class StableBaselines3Env(BaselinesEnv):
    """N environments, reset in the step in which they end; arrays on the host.

    Observations, the terminal ones included, have the columns that the policy sees.
    """

    def __init__(self, env: Environments) -> None:
        """Wraps environments.

        Args:
            env: The environments, just made.
        """
        self._stepper = Stepper(env)
        self.render_mode = None
        self._columns = seen_by(env, "actor")
        # Stable-Baselines3 needs bounds, also for actions that nothing clamps.
        limit = env.action_limit if math.isfinite(env.action_limit) else 1.0
        super().__init__(env.num_envs, policy_box(env), action_space(env, limit))

    def reset(self) -> np.ndarray:
        """Begins new episodes; returns their first observations, shape [N, O].

        A seed that ``seed`` was given since the last call seeds all random numbers from now on.
        """
        seed = self._seeds[0]  # the others are the next ones, for separate environments
        self._reset_seeds()
        self._reset_options()
        return self._stepper.reset(seed)[:, self._columns].cpu().numpy()

    def step_async(self, actions: np.ndarray) -> None:
        """Keeps actions for ``step_wait``."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Steps the environments; time limits and final observations are in the last value."""
        step = self._stepper.step(self._actions, self._columns)
        observations, rewards, terminated, truncated, final = (x.cpu().numpy() for x in step)
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for index in np.flatnonzero(ended):
            infos[index] = {
                "terminal_observation": final[index],
                "TimeLimit.truncated": bool(truncated[index]),
            }
        return observations, rewards, ended, infos

    def close(self) -> None:
        """Frees what the simulation holds."""
        self._stepper.env.close()

    def _chosen(self, indices: int | Iterable[int] | None) -> Sequence[int]:
        return list(self._get_indices(indices))

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """Returns an attribute of this object, once for each environment."""
        return [getattr(self, attr_name) for _ in self._chosen(indices)]

    def set_attr(
        self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None
    ) -> None:
        """Sets an attribute of this object: the environments are one."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: int | Iterable[int] | None = None, **named: Any
    ) -> list[Any]:
        """Calls a method of this object, once for each environment."""
        return [getattr(self, method_name)(*args, **named) for _ in self._chosen(indices)]

    def env_is_wrapped(
        self, wrapper_class: type, indices: int | Iterable[int] | None = None
    ) -> list[bool]:
        """Returns that no environment is wrapped."""
        return [False for _ in self._chosen(indices)]
