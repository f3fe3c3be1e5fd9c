"""A process that steps some of the environments, one after the other.

It imports Gymnasium, NumPy and PyYAML only, so that starting it takes no longer than they do.
"""

from __future__ import annotations

import importlib
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import yaml
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

from rlgpu.config.files import load_module
from rlgpu.errors import UsageError
from rlgpu.foreign.gymnasium.flat import Flat


class Begin(NamedTuple):
    """Asks for new episodes of all environments."""

    seeds: list[int | None] | None
    """Seed of each environment; None goes on with their generators."""


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
        return lambda: _flat(found(**kwargs))
    if word.startswith("ALE/"):
        gymnasium.register_envs(importlib.import_module("ale_py"))
        gymnasium.spec(word)
        return partial(_atari, word, kwargs)
    gymnasium.spec(word)
    return lambda: _flat(gymnasium.make(word, **kwargs))


def _atari(word: str, kwargs: Mapping[str, Any]) -> Flat:
    env = gymnasium.make(word, **{"frameskip": 1, **kwargs})
    return _flat(FrameStackObservation(AtariPreprocessing(env), 4))


def _flat(env: gymnasium.Env[Any, Any]) -> Flat:
    """Returns an environment with rows as observations; closes it if it has none."""
    try:
        return Flat(env)
    except BaseException:
        env.close()
        raise


class _TrainerGone(Exception):
    """The trainer has closed the connection, or has died."""


class _Trainer:
    """The trainer's end of the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def receive(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise _TrainerGone from error

    def send(self, value: Any) -> None:
        try:
            self._connection.send(value)
        except OSError as error:
            raise _TrainerGone from error


def serve(
    connection: Connection, word: str, arguments: Sequence[str], seeds: Sequence[int]
) -> None:
    """Steps environments for as long as actions come.

    Args:
        connection: Where actions or ``Begin`` come from and results go.
        word: As for ``maker``.
        arguments: As for ``maker``.
        seeds: Seed of each environment.
    """
    _leave_signals_to_the_trainer(connection)
    trainer, made = _Trainer(connection), list[Flat]()
    with suppress(_TrainerGone), closing(made):
        try:
            make = partial(_kept, maker(word, arguments), made)
            envs = SyncVectorEnv([make] * len(seeds), autoreset_mode=AutoresetMode.SAME_STEP)
            request: Any = Begin(list(seeds))
            while True:
                if isinstance(request, Begin):
                    trainer.send(np.array(envs.reset(seed=request.seeds)[0]))
                else:
                    trainer.send(_step(envs, request))
                request = trainer.receive()
        except _TrainerGone:
            raise
        except UsageError as error:
            trainer.send(error)
        except BaseException:
            trainer.send(traceback.format_exc())


def _leave_signals_to_the_trainer(connection: Connection) -> None:
    """Lets the trainer decide when to stop; this process ends when the connection does.

    Ctrl-C and a closed terminal reach the group of the trainer only, so neither this process nor
    the programs that its environments have started. What is sent to all processes of a job
    (Slurm's SIGTERM) has no effect on this one. The handlers do not pass to the environments' own
    processes, which would otherwise hold the connection open and could not be terminated.
    """
    if not hasattr(os, "setpgrp"):  # Windows
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return
    os.setpgrp()
    ignored = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    usual = [signal.signal(number, lambda *_: None) for number in ignored]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ignored)  # the trainer had them wait

    def leave() -> None:
        connection.close()
        for number, handler in zip(ignored, usual, strict=True):
            signal.signal(number, handler)

    os.register_at_fork(after_in_child=leave)


def _kept(make: Callable[[], Flat], made: list[Flat]) -> Flat:
    made.append(make())
    return made[-1]


@contextmanager
def closing(made: Sequence[Flat]) -> Iterator[None]:
    """Closes every environment at the end, whatever happens; an error in it is not shown."""
    try:
        yield
    finally:
        for env in made:
            with suppress(Exception):  # the other environments are closed, too
                env.close()


def _step(envs: SyncVectorEnv, actions: np.ndarray) -> Chunk:
    observations, rewards, terminated, truncated, info = envs.step(actions)
    final = observations.copy()
    for env_id in np.flatnonzero(terminated | truncated):
        final[env_id] = info["final_obs"][env_id]
    return Chunk(observations.copy(), rewards, terminated, truncated, final)
