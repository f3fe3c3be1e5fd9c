"""CUDA graphs: each phase of an iteration is a single launch, without host work in between.

On the CPU, or with graphs disabled, everything here calls the functions directly.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from rlgpu.errors import UsageError, line_in
from rlgpu.ops.extension import load_extension

Result = TypeVar("Result")

_ABANDONED: list[object] = []
"""Graphs whose capture failed, kept alive: freeing them makes torch abort the process."""


@contextmanager
def working_stream(device: torch.device) -> Iterator[None]:
    """Makes a new stream the current one; the default stream cannot be captured."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream(device).wait_stream(stream)


class Phase(Generic[Result]):
    """A function without arguments that is captured on its second call and replayed afterwards.

    The first call runs it eagerly, which warms up libraries and triggers compilation; its results
    are as valid as those of any other call. All tensors that the function reads and writes must
    keep their addresses, and each call overwrites the result of the previous one. Calls must be
    made on a ``working_stream``.
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
            function: The function to run.
            device: The device it runs on.
            name: Name of the NVTX ranges around it.
            enabled: If False, the function is called eagerly every time.
            generators: Random generators that it uses, besides torch's default one.
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
        # Conditional nodes, ours and those of other libraries, are separate captures that the
        # graph's memory pool does not cover; without this pool their memory could be reused.
        self._pool = torch.cuda.MemPool()
        stream = torch.cuda.current_stream(self._device)
        gc.collect()
        gc.disable()  # a finaliser that frees device memory would be captured or fail
        try:
            with (
                torch.autograd.set_multithreading_enabled(False),  # memory pools are per thread
                torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
                torch.cuda.use_mem_pool(self._pool),
                self._joining(),
            ):
                self._result = self._function()
        except BaseException as error:
            _ABANDONED.append((graph, self._pool))
            if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError):
                raise _not_captured(self._name, error) from error
            raise
        finally:
            gc.enable()
        return graph


def _not_captured(name: str, error: BaseException) -> UsageError:
    """Returns the refusal of a user's code that cannot be part of a CUDA graph."""
    # Ending a failed capture fails again; the first error is the one to show.
    while isinstance(error.__context__, RuntimeError):
        error = error.__context__
    library = str(Path(torch.__file__).parent)
    frames = [x for x in traceback.extract_tb(error.__traceback__) if library not in x.filename]
    file = Path(frames[-1].filename)
    place = line_in(error, file)
    return UsageError(
        f"the {name} cannot become a CUDA graph: {place}. The host must not wait for the GPU "
        "there: use torch.where for masks and branches, index by tensors, not by lists, and make "
        "no new torch.tensor; or use cuda_graphs=False",
        key="cuda_graphs",
        value=True,
        path=file,
    )


class Skipping:
    """Skips work in a replayed graph when a flag on the device is set.

    Work inside ``unless`` becomes the body of a conditional node of the graph. With a CUDA driver
    older than 12.4, or when nothing is being captured, it always runs, so it must have no effect
    once the flag is set.
    """

    def __init__(self, device: torch.device, *, enabled: bool) -> None:
        """Prepares skipping.

        Args:
            device: The device the work runs on.
            enabled: If False, the work always runs.
        """
        self._extension: Any = None
        if enabled and device.type == "cuda":
            extension = load_extension(device)
            if extension.can_skip():
                self._extension, self._device = extension, device
                self._stream = torch.cuda.Stream(device)

    @contextmanager
    def unless(self, flag: Tensor) -> Iterator[None]:
        """Runs the enclosed work only while ``flag`` is unset.

        Args:
            flag: Shape [], bool, on the device.
        """
        if self._extension is None or not torch.cuda.is_current_stream_capturing():
            yield
            return
        # torch assigns streams round-robin; the body needs another one than the capturing stream.
        while self._stream == torch.cuda.current_stream(self._device):
            self._stream = torch.cuda.Stream(self._device)
        self._extension.begin_unless(flag, self._stream.cuda_stream)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            self._extension.end_unless(self._stream.cuda_stream)
