"""A process that steps some of the environments, one after the other.

It imports Gymnasium, NumPy and PyYAML only, so that starting it takes no longer than they do.
"""

from __future__ import annotations

import importlib
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import yaml
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

from rlgpu.files import load_module
from rlgpu.gym.flat import Flat


class Chunk(NamedTuple):
    """What a step of some environments returned."""

    observations: np.ndarray
    """After any reset, shape [n, ...]."""
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    final_observations: np.ndarray
    """Before any reset, shape [n, ...]."""


def maker(word: str, arguments: Sequence[str] = ()) -> Callable[[], Flat]:
    """Returns a function that makes an environment.

    Atari's are made as usual for them: four frames of 84 x 84 grey pixels, each frame the fourth,
    up to 30 steps of doing nothing at the start (Machado et al. 2018, section 5, without sticky
    actions of our own).

    Args:
        word: The name of a registered environment, or ``path/to/file.py:Class``.
        arguments: ``key=value`` for its constructor, the values as in YAML.

    Raises:
        gymnasium.error.Error: Nothing of that name is registered.
        AttributeError: The file has no such class.
        ImportError: A package that the environment needs is missing.
    """
    given = dict(item.partition("=")[::2] for item in arguments)
    kwargs = {key: yaml.safe_load(text) for key, text in given.items()}
    path, colon, name = word.rpartition(":")
    if colon and path.endswith(".py"):
        found: Any = getattr(load_module(Path(path)), name)
        if isinstance(found, type) and issubclass(found, VectorEnv):
            raise TypeError(
                f"{name} is many environments already; give the class of one, or step it in a loop "
                "of your own with rlgpu.PPOAgent(autoreset=...)"
            )
        return lambda: Flat(found(**kwargs))
    if word.startswith("ALE/"):
        gymnasium.register_envs(importlib.import_module("ale_py"))
        gymnasium.spec(word)
        return partial(_atari, word, kwargs)
    gymnasium.spec(word)
    return lambda: Flat(gymnasium.make(word, **kwargs))


def _atari(word: str, kwargs: Mapping[str, Any]) -> Flat:
    env = gymnasium.make(word, **{"frameskip": 1, **kwargs})
    return Flat(FrameStackObservation(AtariPreprocessing(env), 4))


def serve(
    connection: Connection, word: str, arguments: Sequence[str], seeds: Sequence[int]
) -> None:
    """Steps environments for as long as actions come.

    Args:
        connection: Where actions come from and results go.
        word: As for ``maker``.
        arguments: As for ``maker``.
        seeds: Seed of each environment.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's to handle
    try:
        make = maker(word, arguments)
        envs = SyncVectorEnv([make] * len(seeds), autoreset_mode=AutoresetMode.SAME_STEP)
        observations, _ = envs.reset(seed=list(seeds))
        connection.send(np.array(observations))
        while (actions := connection.recv()) is not None:
            connection.send(_step(envs, actions))
    except (EOFError, BrokenPipeError):
        pass  # the trainer is gone
    except BaseException:
        connection.send(traceback.format_exc())


def _step(envs: SyncVectorEnv, actions: np.ndarray) -> Chunk:
    observations, rewards, terminated, truncated, info = envs.step(actions)
    final = observations.copy()
    for env_id in np.flatnonzero(terminated | truncated):
        final[env_id] = info["final_obs"][env_id]
    return Chunk(observations.copy(), rewards, terminated, truncated, final)
