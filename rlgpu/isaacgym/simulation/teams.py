"""Steps several worlds: large ones one after another, small ones side by side on threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rlgpu.device import is_gpu, num_usable_cores
from rlgpu.sim.mujoco.worlds import Worlds


def threads_for(num_worlds: int, num_threads: int) -> int:
    """Returns the threads that step one of several groups of worlds.

    Args:
        num_worlds: Worlds of the group.
        num_threads: Threads of the simulation; 0 is one a core.
    """
    threads = num_threads or num_usable_cores()
    return threads if num_worlds >= 2 * threads else 1


class Teams:
    """Shares out the steps of groups of worlds."""

    def __init__(self, groups: Sequence[Worlds], num_threads: int) -> None:
        """Decides which groups are stepped side by side.

        Args:
            groups: The groups, each built with ``threads_for`` its size.
            num_threads: Threads of the simulation; 0 is one a core.
        """
        threads = num_threads or num_usable_cores()
        small = [
            g for g in groups if threads_for(g.num_worlds, threads) == 1 and not is_gpu(g.device)
        ]
        self._large = [g for g in groups if g not in small]
        small.sort(key=lambda group: group.model.nv * group.num_worlds, reverse=True)
        self._shares = [small[i::threads] for i in range(min(threads, len(small)))]
        self._pool = ThreadPoolExecutor(threads - 1) if len(self._shares) > 1 else None

    def step(self, num_steps: int) -> None:
        """Advances all worlds by physics steps."""
        waiting = []
        if self._pool is not None:
            waiting = [self._pool.submit(_step, share, num_steps) for share in self._shares[1:]]
        _step([*self._shares[0], *self._large] if self._shares else self._large, num_steps)
        for share in waiting:
            share.result()

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def _step(groups: Sequence[Worlds], num_steps: int) -> None:
    for group in groups:
        group.step(num_steps)
