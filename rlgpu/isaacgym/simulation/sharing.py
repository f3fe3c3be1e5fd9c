"""Shares the worlds of many kinds between threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import torch

_ENOUGH = 8
"""Worlds a thread from which on a kind is stepped by all threads."""


def num_threads_of(num_worlds: int, num_threads: int) -> int:
    """Returns the threads of one of several kinds: waking them costs more for a few worlds."""
    return num_threads if num_worlds >= _ENOUGH * num_threads else 1


class Shares:
    """Calls a function for each kind: large ones one after another, the others on all threads."""

    def __init__(self, sizes: Sequence[int], num_threads: int) -> None:
        """Divides the kinds between threads.

        Args:
            sizes: Number of worlds of each kind.
            num_threads: Threads.
        """
        small = [i for i, size in enumerate(sizes) if num_threads_of(size, num_threads) == 1]
        self._large = [i for i in range(len(sizes)) if i not in set(small)]
        self._shares: list[list[int]] = [[] for _ in range(min(num_threads, len(small)))]
        loads = [0] * len(self._shares)
        for i in sorted(small, key=lambda i: -sizes[i]):
            thread = loads.index(min(loads))
            self._shares[thread].append(i)
            loads[thread] += sizes[i]
        others = len(self._shares) - 1
        self._pool = ThreadPoolExecutor(others) if others > 0 else None

    def each(self, call: Callable[[int], None]) -> None:
        """Calls a function with the number of each kind.

        All threads have ended their calls when this returns or raises.
        """
        _call(call, self._large)
        if self._pool is None:
            return _call(call, *self._shares)
        is_inference = torch.is_inference_mode_enabled()  # each thread has its own mode

        def run(share: list[int]) -> None:
            with torch.inference_mode(is_inference):
                _call(call, share)

        running = [self._pool.submit(run, share) for share in self._shares[1:]]
        try:
            _call(call, self._shares[0])
        finally:
            wait(running)
        for future in running:
            future.result()
        return None

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def _call(call: Callable[[int], None], *shares: list[int]) -> None:
    for share in shares:
        for i in share:
            call(i)
