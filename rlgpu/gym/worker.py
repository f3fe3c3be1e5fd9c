"""A process that steps some of the environments, one after the other.

It imports Gymnasium and NumPy only, so that starting it takes no longer than they do.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlgpu.files import load_module


class Chunk(NamedTuple):
    """What a step of some environments returned."""

    observations: np.ndarray
    """After any reset, shape [n, ...]."""
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    final_observations: np.ndarray
    """Before any reset, shape [n, ...]."""


def maker(word: str) -> Callable[[], gymnasium.Env[Any, Any]]:
    """Returns a function that makes an environment.

    Args:
        word: The name of a registered environment, or ``path/to/file.py:Class``.

    Raises:
        gymnasium.error.Error: Nothing of that name is registered.
        AttributeError: The file has no such class.
    """
    path, colon, name = word.rpartition(":")
    if not (colon and path.endswith(".py")):
        gymnasium.spec(word)
        return partial(gymnasium.make, word)
    found: Callable[[], gymnasium.Env[Any, Any]] = getattr(load_module(Path(path)), name)
    return found


def serve(connection: Connection, word: str, count: int, seed: int) -> None:
    """Steps environments for as long as actions come.

    Args:
        connection: Where actions come from and results go.
        word: As for ``maker``.
        count: Number of environments.
        seed: Seed of the first; the others follow.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's to handle
    try:
        make = maker(word)
        envs = SyncVectorEnv([make] * count, autoreset_mode=AutoresetMode.SAME_STEP)
        observations, _ = envs.reset(seed=seed)
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
