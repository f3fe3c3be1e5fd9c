"""The tasks that ``task=`` names: those included with rlgpu, and other people's environments."""

from __future__ import annotations

import importlib
from typing import Any

from rlgpu.config import is_foreign, is_gym


class Tasks(dict[str, Any]):
    """Tasks by name; a word such as ``isaacgymenvs:Ant`` or ``gym:CartPole-v1`` is a name too."""

    def __init__(self) -> None:
        """Imports the tasks included, which takes a second."""
        super().__init__(importlib.import_module("rlgpu.tasks").TASKS)

    def __missing__(self, word: str) -> Any:
        if not is_foreign(word):
            raise KeyError(word)
        if is_gym(word):
            from rlgpu.foreign.gymnasium.task import gym_task  # noqa: PLC0415

            self[word] = gym_task(word)
        else:
            from rlgpu.foreign.isaacgym import script_task  # noqa: PLC0415  (imports an engine)

            self[word] = script_task(word)
        return self[word]
