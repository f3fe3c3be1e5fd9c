"""Adds environments that are not ours to the tasks included, when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlgpu.config import is_foreign, is_gym


class WithScripts(dict[str, Any]):
    """Tasks by name; a word such as ``isaacgymenvs:Ant`` or ``gym:CartPole-v1`` is a name too."""

    def __init__(self, tasks: Mapping[str, Any]) -> None:
        super().__init__(tasks)

    def __missing__(self, word: str) -> Any:
        if not is_foreign(word):
            raise KeyError(word)
        if is_gym(word):
            from rlgpu.gym.task import gym_task  # noqa: PLC0415

            self[word] = gym_task(word)
        else:
            from rlgpu.isaacgym.training import script_task  # noqa: PLC0415  (imports an engine)

            self[word] = script_task(word)
        return self[word]
