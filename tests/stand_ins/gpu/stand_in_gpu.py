"""Gives torch a GPU that is not there, so that the GPU's code paths run on any machine.

``import stand_in_gpu`` before anything that looks for a GPU, or ``pytest -p stand_in_gpu``, with
this folder on PYTHONPATH. Tensors on ``cuda:0`` are the CPU's memory under another name; every
operation runs the CPU's kernel. What it checks is what the host does: that tensors meet on one
device, that nothing waits for the device where it may not, and that a captured phase means the same
when it is replayed. What it cannot check is what only a GPU has: our CUDA kernels, streams, times.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch.utils.cpp_extension import load

HERE = Path(__file__).parent
BUILD = HERE.parents[2] / "build" / "stand_in_gpu"


def _built() -> Any:
    """Returns the compiled half, built if need be (half a minute)."""
    BUILD.mkdir(parents=True, exist_ok=True)
    # torch looks for ninja on PATH, where an environment that is not activated has none.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return load(
        "stand_in_gpu_native",
        [str(HERE / "stand_in.cpp")],
        build_directory=str(BUILD),
        extra_cflags=["-O1", "-std=c++20"],
    )


native = _built()


class Stream:
    """A stream on which everything has already happened."""

    cuda_stream = 0

    def __init__(self, device: Any = None, **_: Any) -> None:
        self.device = torch.device("cuda", 0)

    def wait_stream(self, other: Stream) -> None:
        """Does nothing."""

    def synchronize(self) -> None:
        """Does nothing."""


class Event:
    """A time on the host's clock."""

    def __init__(self, **_: Any) -> None:
        self._time = 0.0

    def record(self, stream: Any = None) -> None:
        """Remembers now."""
        self._time = time.perf_counter()

    def query(self) -> bool:
        """Returns whether it has happened."""
        return True

    def synchronize(self) -> None:
        """Does nothing."""

    def elapsed_time(self, end: Event) -> float:
        """Returns milliseconds until another event."""
        return 1e3 * (end._time - self._time)


class Generator(torch._C.Generator):
    """A CPU generator that says it is the GPU's."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        self = super().__new__(cls)
        self._device = torch.device(device)
        return self

    @property
    def device(self) -> torch.device:
        """The device that was asked for."""
        if self._device.type == "cuda":
            return torch.device("cuda", 0)
        return self._device


class CUDAGraph:
    """Operations that are run again on the tensors they were recorded with."""

    def __init__(self, **_: Any) -> None:
        self.recorded = native.Graph()
        self._generators: list[torch.Generator] = [torch.default_generator]

    def register_generator_state(self, generator: torch.Generator) -> None:
        """Has the generator advance by replays, not by the capture."""
        self._generators.append(generator)

    def replay(self) -> None:
        """Runs everything again."""
        native.replay(self.recorded)


class graph:
    """Records what is run inside."""

    def __init__(self, cuda_graph: CUDAGraph, **_: Any) -> None:
        self._graph = cuda_graph

    def __enter__(self) -> None:
        self._states = [generator.get_state() for generator in self._graph._generators]
        native.begin_capture(self._graph.recorded)

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        native.end_capture()
        for generator, state in zip(self._graph._generators, self._states, strict=True):
            generator.set_state(state)
        if error is not None:
            raise RuntimeError(
                "CUDA error: operation failed due to a previous error during capture"
            )


_streams = [Stream()]


@contextmanager
def _in_stream(stream: Stream) -> Iterator[None]:
    _streams.append(stream)
    try:
        yield
    finally:
        _streams.pop()


@contextmanager
def _nothing(*_: Any, **__: Any) -> Iterator[None]:
    yield


def _set_sync_debug_mode(mode: str | int) -> None:
    native.set_waiting_is_an_error(mode in ("error", 2))


def _without_pinning(empty: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def unpinned(*sizes: Any, pin_memory: bool = False, **keys: Any) -> torch.Tensor:
        return empty(*sizes, **keys)

    return unpinned


def _lstm_cell(
    inputs: torch.Tensor,
    hidden: torch.Tensor,
    cell: torch.Tensor,
    input_bias: torch.Tensor | None = None,
    hidden_bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A step of an LSTM, which torch fuses on GPUs only."""
    gates = inputs + hidden
    if input_bias is not None and hidden_bias is not None:
        gates = gates + input_bias + hidden_bias
    i, f, g, o = gates.chunk(4, 1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell, gates


def _gru_cell(
    inputs: torch.Tensor,
    hidden: torch.Tensor,
    state: torch.Tensor,
    input_bias: torch.Tensor | None = None,
    hidden_bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A step of a GRU, likewise."""
    if input_bias is not None and hidden_bias is not None:
        inputs, hidden = inputs + input_bias, hidden + hidden_bias
    (ir, iz, i_new), (hr, hz, h_new) = inputs.chunk(3, 1), hidden.chunk(3, 1)
    new = (i_new + (ir + hr).sigmoid() * h_new).tanh()
    return new + (iz + hz).sigmoid() * (state - new), inputs


_kept: list[torch.library.Library] = []
"""Registrations last as long as these."""


def _install_cuda() -> None:
    """Puts the above in the place of torch.cuda's functions."""
    cuda = torch.cuda
    for name, value in {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "is_initialized": lambda: True,
        "_lazy_init": lambda: None,
        "init": lambda: None,
        "get_device_name": lambda *_: "stand-in GPU",
        "get_device_capability": lambda *_: (9, 0),
        "get_arch_list": lambda: ["sm_90"],
        "mem_get_info": lambda *_: (8 << 30, 8 << 30),
        "synchronize": lambda *_: None,
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
        "Stream": Stream,
        "Event": Event,
        "CUDAGraph": CUDAGraph,
        "graph": graph,
        "current_stream": lambda *_: _streams[-1],
        "stream": _in_stream,
        "set_device": lambda *_: None,
        "MemPool": object,
        "use_mem_pool": _nothing,
        "device": _nothing,
        "is_current_stream_capturing": native.is_capturing,
        "set_sync_debug_mode": _set_sync_debug_mode,
        "empty_cache": lambda: None,
    }.items():
        setattr(cuda, name, value)
    cuda.nvtx.range_push = cuda.nvtx.range_pop = lambda *_: None
    torch.Generator = Generator  # type: ignore[misc]
    torch.compile = lambda function=None, **_: function  # type: ignore[assignment]
    torch.empty = _without_pinning(torch.empty)
    cells = torch.library.Library("aten", "IMPL")
    cells.impl("_thnn_fused_lstm_cell", _lstm_cell, "AutogradCUDA")
    cells.impl("_thnn_fused_gru_cell", _gru_cell, "AutogradCUDA")
    _kept.append(cells)


def _install_extension() -> None:
    """Has rlgpu's extension say that it was built for CUDA and can skip parts of a graph."""
    import rlgpu._C as extension

    extension.with_cuda = True
    extension.can_skip = lambda: True
    extension.begin_unless = lambda flag, stream: native.begin_unless(flag)
    extension.end_unless = lambda stream: native.end_unless()


def _install_warp() -> None:
    """Has Warp and MuJoCo Warp compute on the CPU what they would on the GPU."""
    import mujoco_warp
    import warp

    get_device, to_torch = warp.get_device, warp.to_torch
    cpu = get_device("cpu")
    warp.get_cuda_device_count = lambda: 1
    warp.get_device = lambda name=None: cpu if "cuda" in str(name) else get_device(name)
    warp.to_torch = lambda array: native.on_the_gpu(_on_cpu(to_torch, array))
    warp.stream_from_torch = lambda stream: stream
    warp.ScopedStream = _nothing
    warp.capture_begin = _unless_captured(warp.capture_begin)
    warp.capture_end = _unless_captured(warp.capture_end)
    for name in ("step", "kinematics", "com_pos", "com_vel", "set_const"):
        setattr(mujoco_warp, name, _recorded(getattr(mujoco_warp, name)))
    from rlgpu.sim.mujoco.warp_contacts import ContactSums

    ContactSums.update = _recorded(ContactSums.update)  # type: ignore[method-assign]


def _on_cpu(function: Callable[[Any], torch.Tensor], argument: Any) -> torch.Tensor:
    """Calls a function with the CPU as torch's default device."""
    with torch.device("cpu"):
        return function(argument)


def _unless_captured(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that does nothing while torch captures."""
    return lambda *arguments, **keys: (
        None if native.is_capturing() else function(*arguments, **keys)
    )


def _recorded(function: Callable[..., None]) -> Callable[..., None]:
    """Returns a function that joins torch's capture, or else runs as it is."""

    @wraps(function)
    def joined(*arguments: Any, **keys: Any) -> None:
        if native.is_capturing():
            native.record(partial(function, *arguments, **keys))
        else:
            function(*arguments, **keys)

    return joined


_install_cuda()
_install_extension()
_install_warp()
