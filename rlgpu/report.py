"""Brings an iteration's numbers to the host without waiting for them.

On a GPU they are copied into pinned memory behind the iteration's work and read one iteration
later, when they have long arrived; on the CPU they are there at once.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Arrived(NamedTuple):
    """One iteration's numbers on the host."""

    iteration: int
    numbers: list[float]
    """What was sent."""
    seconds: float
    """How long the iteration took."""
    rollout_seconds: float
    """How long its rollout took."""
    at: float
    """When it ended, by ``time.perf_counter``."""


class _Sent(NamedTuple):
    iteration: int
    numbers: Tensor
    marks: tuple[Any, Any, Any]
    """Begin, end of the rollout, end: CUDA events, or seconds of the host's clock."""


class Report:
    """Sends numbers from the device, with the time that passed between, and receives them."""

    def __init__(self, device: torch.device, started: float) -> None:
        """Prepares to send.

        Args:
            device: Where the numbers come from.
            started: When the run began, by ``time.perf_counter``.
        """
        self._on_gpu = device.type == "cuda"
        self._underway: deque[_Sent] = deque()
        self._last_at = started
        self._hosts: deque[Tensor] = deque()
        """Pinned memory, as much as is underway."""

    def _mark(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def begin(self) -> None:
        """Marks the begin of an iteration."""
        self._begin = self._mark()

    def end_of_rollout(self) -> None:
        """Marks the end of its rollout."""
        self._middle = self._mark()

    def send(self, iteration: int, numbers: Tensor) -> None:
        """Marks the end of an iteration and sends its numbers, shape [K]."""
        host = numbers
        if self._on_gpu:
            if not self._hosts:
                shape, dtype = numbers.shape, numbers.dtype
                self._hosts += [torch.empty(shape, dtype=dtype, pin_memory=True) for _ in "12"]
            host = self._hosts[0]
            self._hosts.rotate()
            host.copy_(numbers, non_blocking=True)
        self._underway.append(_Sent(iteration, host, (self._begin, self._middle, self._mark())))

    def receive(self, *, everything: bool) -> list[Arrived]:
        """Returns the iterations whose numbers may be read now.

        Args:
            everything: Wait for the iteration just sent, too; otherwise, on a GPU, it stays
                underway while the host prepares the next.
        """
        left = 0 if everything or not self._on_gpu else 1
        arrived = []
        while len(self._underway) > left:
            arrived.append(self._arrive(self._underway.popleft()))
        return arrived

    def _arrive(self, sent: _Sent) -> Arrived:
        begin, middle, end = sent.marks
        if self._on_gpu:
            end.synchronize()
            at, rollout = time.perf_counter(), begin.elapsed_time(middle) / 1e3
        else:
            at, rollout = end, middle - begin
        seconds, self._last_at = at - self._last_at, at
        numbers = sent.numbers.tolist()
        return Arrived(sent.iteration, numbers, max(seconds, 1e-9), max(rollout, 1e-9), at)
