"""Copies an iteration's numbers to the host without waiting for them.

On a GPU they are copied to pinned memory after the iteration's work and read one iteration later,
by which time they have arrived; on the CPU they are available immediately.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.device import is_gpu


class Arrived(NamedTuple):
    """One iteration's numbers on the host."""

    iteration: int
    numbers: list[float]
    """The values that were sent."""
    seconds: float
    """Duration of the iteration."""
    rollout_seconds: float
    """Duration of its rollout."""
    at: float
    """End of the iteration, by ``time.perf_counter``."""


class _Sent(NamedTuple):
    iteration: int
    numbers: Tensor
    marks: tuple[Any, Any, Any]
    """Start, end of the rollout, end: CUDA events, or times of the host's clock in seconds."""


class Report:
    """Sends numbers from the device, together with timings, and receives them on the host."""

    def __init__(self, device: torch.device, started: float) -> None:
        """Prepares to send.

        Args:
            device: Device of the numbers.
            started: Start of training, by ``time.perf_counter``.
        """
        self._on_gpu = is_gpu(device)
        self._underway: deque[_Sent] = deque()
        self._last_at = started
        self._hosts: deque[Tensor] = deque()
        """Pinned buffers, one for each iteration that may be in flight."""

    def _mark(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def begin(self) -> None:
        """Marks the start of an iteration."""
        self._begin = self._mark()

    def end_of_rollout(self) -> None:
        """Marks the end of the iteration's rollout."""
        self._middle = self._mark()

    def send(self, iteration: int, numbers: Tensor) -> None:
        """Marks the end of an iteration and sends its packed numbers, shape [K]."""
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
        """Returns the numbers of the iterations that can be read now.

        Args:
            everything: Whether to wait for the iteration just sent as well; otherwise, on a GPU,
                it stays in flight while the host prepares the next one.
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
