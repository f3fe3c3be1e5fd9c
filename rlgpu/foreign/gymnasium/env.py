"""Environments of Gymnasium, stepped in processes, as environments of ours."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.util import Finalize
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgpu.device import environment_seeds, generator_seed, num_usable_cores
from rlgpu.envs import Environments, Step, WorldCounts
from rlgpu.errors import Conflict, EngineFailed, Unavailable, UsageError, first_line
from rlgpu.foreign.gymnasium.spaces import action_space
from rlgpu.foreign.gymnasium.worker import Begin, Chunk, closing, maker, serve

_DIED = "a process of the environments has died"
_CLOSING = 10.0
"""Time that the environments of a process have to close [s]."""
_FEWEST = 8
"""Environments below which another process does not pay."""


@contextmanager
def _without_main() -> Iterator[None]:
    """Has a new process not import the user's script, which then needs no guard against it."""
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _signals_waiting() -> Iterator[None]:
    """Has signals wait, in this thread and in a new process until that has its handlers."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    waiting = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Processes:
    """The processes that step the environments, and the pipes to them."""

    def __init__(
        self,
        word: str,
        arguments: Sequence[str],
        seeds: Sequence[int],
    ) -> None:
        """Starts the processes, each with as many environments, and resets these.

        Args:
            word: As for ``rlgpu.foreign.gymnasium.worker.maker``.
            arguments: As for ``rlgpu.foreign.gymnasium.worker.maker``.
            seeds: Seed of each environment.
        """
        num_envs = len(seeds)
        self.num_envs = num_envs
        wanted = max(min(num_usable_cores(), num_envs // _FEWEST), 1)
        self._ends = [round(i * num_envs / wanted) for i in range(1, wanted)]
        bounds = [0, *self._ends, num_envs]
        context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads' locks
        self._pipes: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        # Also when this object is forgotten or Python ends, before Python waits for the processes.
        self._end = Finalize(self, _end, (self._pipes, self._processes), exitpriority=10)
        for first, end in pairwise(bounds):
            ours, theirs = context.Pipe()
            self._pipes.append(ours)
            # Not a daemon: environments may start processes of their own.
            process = context.Process(
                target=serve, args=(theirs, word, arguments, seeds[first:end])
            )
            with _without_main(), _signals_waiting():
                process.start()
            theirs.close()
            self._processes.append(process)
        self.description = f"Gymnasium's {word} in {wanted} processes"

    def receive(self) -> list[Any]:
        """Waits for what every process sends, in the order of the environments.

        Raises:
            EngineFailed: A process has failed.
            UsageError: An environment returned an observation that does not fit its space.
        """
        received = []
        for pipe in self._pipes:
            try:
                received.append(pipe.recv())
            except (EOFError, OSError) as error:
                raise EngineFailed(_DIED, "died") from error
            if isinstance(received[-1], UsageError):
                raise received[-1]
            if isinstance(received[-1], str):
                lines = received[-1].strip().splitlines()
                said, kind = f"the environment failed: {lines[-1]}", lines[-1].partition(":")[0]
                failed = EngineFailed(said, "error", raised=kind)
                failed.add_note(received[-1])
                raise failed
        return received

    def send(self, actions: np.ndarray) -> None:
        """Sends each process its environments' actions.

        Raises:
            EngineFailed: A process has died.
        """
        self._send(np.split(actions, self._ends))

    def begin(self, seeds: Sequence[int] | None) -> None:
        """Has all environments begin new episodes.

        Args:
            seeds: Seed of each environment; None goes on with their generators.

        Raises:
            EngineFailed: A process has died.
        """
        bounds = pairwise([0, *self._ends, self.num_envs])
        self._send([Begin(list(seeds[a:b]) if seeds is not None else None) for a, b in bounds])

    def _send(self, parts: Sequence[Any]) -> None:
        try:
            for pipe, part in zip(self._pipes, parts, strict=True):
                pipe.send(part)
        except OSError as error:
            raise EngineFailed(_DIED, "died") from error

    def close(self) -> None:
        """Closes the environments and ends the processes."""
        self._end()


def _end(pipes: Sequence[Connection], processes: Sequence[SpawnProcess]) -> None:
    """Has processes close their environments, which they do when the connection ends."""
    for pipe in pipes:
        pipe.close()
    due = time.monotonic() + _CLOSING
    for process in processes:
        process.join(max(due - time.monotonic(), 0.0))
        process.kill()
        process.join()


class GymEnv(Environments):
    """N environments of Gymnasium, reset in the step in which they end."""

    continues_episodes = False

    def __init__(self, word: str, config: Any, num_envs: int, seed: int) -> None:
        """Starts them.

        Args:
            word: As for ``rlgpu.foreign.gymnasium.worker.maker``.
            config: The task's configuration.
            num_envs: Number of environments.
            seed: Seed that each environment's seed is derived from.

        Raises:
            UsageError: There is no such environment, its spaces are not supported, or its first
                observation does not fit them.
        """
        try:
            one = maker(word, config.kwargs)()
        except ImportError as error:
            raise Unavailable(
                first_line(error),
                "Gymnasium's extras bring what environments need: pip install 'gymnasium[mujoco]', "
                "'gymnasium[box2d]', ale-py, ...",
                key="task",
                value=f"gym:{word}",
            ) from error
        except UsageError as error:
            error.add_place(f"task=gym:{word}")
            raise
        except Exception as error:  # whatever registration or a user's code raises
            said = f"task=gym:{word}: {first_line(error)}"
            raise UsageError(said, key="task", value=f"gym:{word}") from error
        try:
            with closing([one]):
                self.observation_space = one.layout
                self.num_observations = one.layout.size
                self.action_space, self._to_gym = action_space(one.action_space)
        except UsageError as error:
            error.add_place(f"task=gym:{word}")
            raise
        length = one.spec.max_episode_steps if one.spec else None
        self._episode_length = int(length or config.episode_length)
        self.config = config
        self.num_envs, self.num_actions = num_envs, self.action_space.size
        self.device = torch.device("cpu")
        self.step_dt = 1.0 / float(one.metadata.get("render_fps") or 30)
        seeds = environment_seeds(seed, num_envs)
        self._word, self._has_stepped = word, False
        self.sim = processes = Processes(word, config.kwargs, seeds)
        self.description = processes.description
        self.generator = torch.Generator().manual_seed(generator_seed(seed))
        self._episode_step = torch.zeros(num_envs, dtype=torch.int64)
        none = torch.zeros((), dtype=torch.int64)
        self.counts = WorldCounts(none, none.clone())
        try:
            self.observations = self._flat(np.concatenate(self._received()))
        except BaseException:
            processes.close()
            raise

    def _flat(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).reshape(self.num_envs, self.num_observations)

    def _received(self) -> list[Any]:
        """Waits for what every process sends.

        Raises:
            EngineFailed: A process has failed.
            UsageError: An observation does not fit its space, before the first step is done.
        """
        try:
            return self.sim.receive()
        except UsageError as error:
            if not self._has_stepped:
                error.add_place(f"task=gym:{self._word}")
                raise
            said, kind = f"the environment failed: {error}", type(error).__name__
            raise EngineFailed(said, "error", raised=kind) from error

    def step(self, actions: Tensor) -> Step:
        """Applies actions for one step; environments that ended are reset in it.

        Args:
            actions: Choices, or numbers that are clamped to [-1, 1], shape [N, A].
        """
        self.sim.send(self._to_gym(actions))
        parts = self._received()
        self._has_stepped = True
        whole = Chunk(*(np.concatenate(each) for each in zip(*parts, strict=True)))
        terminated = torch.from_numpy(whole.terminated)
        truncated = torch.from_numpy(whole.truncated) & ~terminated
        self.observations.copy_(self._flat(whole.observations))
        self._episode_step += 1
        self.episode_step.masked_fill_(terminated | truncated, 0)
        return Step(
            self.observations,
            torch.from_numpy(whole.rewards).float(),
            terminated,
            truncated,
            self._flat(whole.final_observations),
        )

    def reset(self, seed: int | None = None) -> Tensor:
        """Begins new episodes in all environments; returns their first observations, [N, O].

        Args:
            seed: Seed that each environment's seed is derived from; None goes on with their
                generators.
        """
        if seed is not None:
            self.generator.manual_seed(generator_seed(seed))
        self.sim.begin(None if seed is None else environment_seeds(seed, self.num_envs))
        self.observations.copy_(self._flat(np.concatenate(self._received())))
        self.episode_step.zero_()
        return self.observations

    @property
    def episode_length(self) -> int:
        """The environment's own time limit, else ``task.episode_length``, in steps."""
        return self._episode_length

    @property
    def episode_step(self) -> Tensor:
        """Steps since each environment's reset, shape [N], int64."""
        return self._episode_step

    def randomize_ages(self) -> None:
        """Refuses: the environments count their own steps."""
        key = "train.init_at_random_ep_len"
        said = f"{key}=True: Gymnasium's environments count their steps; use {key}=False"
        raise Conflict(said, key=key, value=True, allowed=[False], other="task")

    def set_ages(self, values: Tensor) -> None:
        """Refuses: the environments count their own steps."""
        raise UsageError(
            "Gymnasium's environments count their own steps, so episode_length_buf can only be "
            "read; with rsl_rl use init_at_random_ep_len=False",
            key="init_at_random_ep_len",
            value=True,
            allowed=[False],
        )

    def nan_source(self, *, rewards: bool = False) -> str:
        """Returns what is known of where a NaN came from: the environment's step."""
        return "" if rewards else "the environment's step"

    def state_dict(self) -> dict[str, Any]:
        """Returns nothing but the generator: environments cannot be saved."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on with new episodes, as environments cannot be restored."""
        self.generator.set_state(state["generator"].cpu())

    def close(self) -> None:
        """Closes the environments and ends their processes."""
        self.sim.close()
