"""CUDA graphs: a phase of an iteration is launched as one piece, without the host in between.

On the CPU, and where graphs are turned off, everything here calls plain functions.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor

from rlgpu.ops.extension import load_extension

Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])

_ABANDONED: list[object] = []
"""Graphs whose capture failed: torch would abort the process if they were freed."""


def fuse(function: Function, enabled: bool) -> Function:
    """Returns ``function`` compiled for the shapes it meets, so that it launches few kernels."""
    compiled: Any = torch.compile(function, dynamic=False) if enabled else function
    return cast(Function, compiled)


@contextmanager
def working_stream(device: torch.device) -> Iterator[None]:
    """Makes a stream of its own current: the default one cannot be captured."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream(device).wait_stream(stream)


class Phase(Generic[Result]):
    """A function without arguments that is captured at its second call and replayed from then on.

    The first call runs it plainly: that warms up libraries and compiles what is compiled, and is as
    good an iteration as any other. What the function reads and writes must stay at its place; its
    result is overwritten by the next call. Calls must be made on a ``working_stream``.
    """

    def __init__(
        self,
        function: Callable[[], Result],
        device: torch.device,
        *,
        name: str,
        enabled: bool,
        generators: Sequence[torch.Generator] = (),
        joining: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Prepares a phase.

        Args:
            function: What to run.
            device: Where it runs.
            name: What NVTX ranges around it are called.
            enabled: False calls it plainly every time.
            generators: Random generators it draws from, beside torch's default.
            joining: Context in which a library that launches its own kernels takes part in the
                capture.
        """
        self._function, self._name = function, name
        self._generators, self._joining = generators, joining
        self._enabled = enabled
        self._device = device
        self._is_warm = False
        self._graph: Any = None
        self._result: Result

    def __call__(self) -> Result:
        """Runs the function and returns its result."""
        if self._device.type != "cuda":
            return self._function()
        torch.cuda.nvtx.range_push(self._name)
        try:
            return self._run()
        finally:
            torch.cuda.nvtx.range_pop()

    def _run(self) -> Result:
        if not self._enabled or not self._is_warm:
            self._is_warm = True
            return self._function()
        if self._graph is None:
            self._graph = self._capture()
        self._graph.replay()
        return self._result

    def _capture(self) -> Any:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        # Conditional nodes, ours and those of other libraries, are captures of their own, which the
        # graph's memory pool does not see; without a pool their memory would be given away.
        self._pool = torch.cuda.MemPool()
        stream = torch.cuda.current_stream(self._device)
        gc.collect()
        gc.disable()  # a finaliser that frees device memory would be captured, or refused
        try:
            with (
                torch.autograd.set_multithreading_enabled(False),  # pools belong to a thread
                torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
                torch.cuda.use_mem_pool(self._pool),
                self._joining(),
            ):
                self._result = self._function()
        except BaseException:
            _ABANDONED.append((graph, self._pool))
            raise
        finally:
            gc.enable()
        return graph


class Skipping:
    """Leaves work out of a replayed graph when a flag on the device says so.

    Work inside ``unless`` becomes the body of a conditional node of the graph. Where the CUDA
    driver is older than 12.4, or nothing is being captured, it simply runs: what it does must then
    have no effect once the flag is set.
    """

    def __init__(self, device: torch.device, *, enabled: bool) -> None:
        """Prepares skipping.

        Args:
            device: Where the work runs.
            enabled: False always runs it.
        """
        self._compiled: Any = None
        if enabled and device.type == "cuda":
            compiled = load_extension(device)
            if compiled.can_skip():
                self._compiled, self._device = compiled, device
                self._stream = torch.cuda.Stream(device)

    @contextmanager
    def unless(self, flag: Tensor) -> Iterator[None]:
        """Runs the work inside only while ``flag`` is unset.

        Args:
            flag: Shape [], bool, on the device.
        """
        if self._compiled is None or not torch.cuda.is_current_stream_capturing():
            yield
            return
        # torch hands out its streams in turn; the body's must not be the one that is capturing.
        while self._stream == torch.cuda.current_stream(self._device):
            self._stream = torch.cuda.Stream(self._device)
        self._compiled.begin_unless(flag, self._stream.cuda_stream)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            self._compiled.end_unless(self._stream.cuda_stream)
