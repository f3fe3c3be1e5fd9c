"""Puts on the CPU what scripts ask of CUDA, on a machine without a GPU."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._device import _device_constructors

from rlgpu.isaacgym.runner.notes import Notes
from rlgpu.isaacgym.runner.scripting import nodes_of, replace_function, rewrite_scripts

ON_CPU = "torch finds no GPU; everything that the script puts on cuda is on the CPU"
"""The remark that is made once."""

_LIKE = (
    "empty_like",
    "full_like",
    "ones_like",
    "rand_like",
    "randint_like",
    "randn_like",
    "zeros_like",
)
_NEW = ("new_empty", "new_empty_strided", "new_full", "new_ones", "new_tensor", "new_zeros")
_TYPES = ("Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")


def use_cpu_for_cuda(notes: Notes) -> None:
    """Puts everything on the CPU that this process puts on CUDA from now on.

    Covers devices of torch's functions, of tensors' methods and of scripted functions, pinned
    memory, ``torch.load`` and ``torch.cuda``. ``torch.cuda.is_available()`` stays False.

    Args:
        notes: Gets a remark when it is first needed.
    """
    to_cpu = _Mapping(notes)
    constructors = {function.__name__ for function in _device_constructors()}
    for name in sorted(constructors | set(_LIKE)):
        if hasattr(torch, name):
            replace_function(name, to_cpu.in_keywords(getattr(torch, name)))
    for name in _NEW:
        setattr(torch.Tensor, name, to_cpu.in_keywords(getattr(torch.Tensor, name)))
    torch.Tensor.to = to_cpu.in_arguments(torch.Tensor.to)  # type: ignore[method-assign]
    torch.Tensor.type = to_cpu.in_arguments(torch.Tensor.type)  # type: ignore[method-assign]
    torch.Tensor.cuda = to_cpu.unchanged  # type: ignore[method-assign]
    torch.Tensor.pin_memory = to_cpu.unchanged  # type: ignore[method-assign]
    torch.load = to_cpu.in_arguments(torch.load)
    torch.set_default_device = to_cpu.in_arguments(torch.set_default_device)
    torch.set_default_tensor_type = to_cpu.in_arguments(torch.set_default_tensor_type)
    rewrite_scripts(to_cpu.in_graph)
    for name in _TYPES:
        setattr(torch.cuda, f"{name}Tensor", getattr(torch, f"{name}Tensor"))
    for name, stand_in in _cuda_functions().items():
        setattr(torch.cuda, name, to_cpu.noted(stand_in))
    for name in ("mark", "range_push", "range_pop"):
        setattr(torch.cuda.nvtx, name, to_cpu.noted(_do_nothing))


class _Mapping:
    """Wraps functions so that the CPU takes the place of CUDA."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def _on_cpu(self, value: Any) -> Any:
        """Returns a device or a tensor type on the CPU; anything else unchanged."""
        if isinstance(value, torch.device) and value.type == "cuda":
            self._notes.add(ON_CPU)
            return torch.device("cpu")
        if isinstance(value, str):
            if value.startswith("torch.cuda."):
                self._notes.add(ON_CPU)
                return value.replace("cuda.", "", 1)
            if value.partition(":")[0] == "cuda":
                self._notes.add(ON_CPU)
                return "cpu"
        return value

    def _device(self, value: Any) -> Any:
        """Returns a ``device`` argument on the CPU: a whole number is the index of a GPU."""
        if isinstance(value, int):
            value = torch.device("cuda", value)
        return self._on_cpu(value)

    def in_keywords(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a function that takes ``device`` and ``pin_memory`` by keyword."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if "device" in kwargs:
                kwargs["device"] = self._device(kwargs["device"])
            kwargs.pop("pin_memory", None)
            return function(*args, **kwargs)

        return call

    def in_arguments(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a function that takes a device anywhere."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            # ``tensor.to(0)`` names a GPU.
            given = (self._device(v) if type(v) is int else self._on_cpu(v) for v in args)
            named = {
                name: self._device(v) if name == "device" else self._on_cpu(v)
                for name, v in kwargs.items()
            }
            return function(*given, **named)

        return call

    def in_graph(self, graph: torch.Graph) -> None:
        """Puts the CPU in the place of every device of a graph."""
        for node in list(nodes_of(graph)):
            for i, value in enumerate(node.inputs()):
                if isinstance(value.type(), torch._C.DeviceObjType):
                    text = graph.create("prim::Constant", [], 1).insertBefore(node)
                    text.s_("value", "cpu")
                    text.output().setType(torch._C.StringType.get())
                    device = graph.create("aten::device", [text.output()], 1).insertBefore(node)
                    device.output().setType(torch._C.DeviceObjType.get())
                    node.replaceInput(i, device.output())

    @property
    def unchanged(self) -> Callable[..., torch.Tensor]:
        """A method that returns the tensor itself."""

        def call(tensor: torch.Tensor, *_args: object, **_kwargs: object) -> torch.Tensor:
            self._notes.add(ON_CPU)
            return tensor

        return call

    def noted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a function of ``torch.cuda`` so that its use makes the remark."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self._notes.add(ON_CPU)
            return function(*args, **kwargs)

        return call


def _cuda_functions() -> dict[str, Callable[..., Any]]:
    """Returns functions of ``torch.cuda`` that have a meaning on the CPU."""
    idle = (
        "init",
        "ipc_collect",
        "reset_max_memory_allocated",
        "reset_peak_memory_stats",
        "set_device",
        "set_per_process_memory_fraction",
        "set_stream",
        "synchronize",
    )
    contexts = ("device", "stream")
    return {
        **dict.fromkeys(idle, _do_nothing),
        **dict.fromkeys(contexts, lambda *_args, **_kwargs: contextlib.nullcontext()),
        **dict.fromkeys(("Stream", "current_stream", "default_stream"), _Stream),
        "Event": _Event,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: "cpu",
        "get_rng_state": lambda device=None: torch.get_rng_state(),
        "set_rng_state": lambda state, device=None: torch.set_rng_state(state),
    }


def _do_nothing(*_args: object, **_kwargs: object) -> None:
    """Does nothing: the CPU works in order."""


class _Event:
    """An event of a stream; work on the CPU is done when it is recorded."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        self._time = 0.0

    def record(self, stream: object = None) -> None:
        """Takes the time."""
        self._time = time.perf_counter()

    def elapsed_time(self, end: _Event) -> float:
        """Returns the time from this event to another one [ms]."""
        return 1000.0 * (end._time - self._time)

    def query(self) -> bool:
        """Returns True: the work is done."""
        return True

    synchronize = wait = _do_nothing


class _Stream:
    """A stream; work on the CPU is done when the call returns."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        """Takes whatever a stream of CUDA takes."""

    def record_event(self, event: _Event | None = None) -> _Event:
        """Returns an event that is recorded now."""
        event = event or _Event()
        event.record()
        return event

    def query(self) -> bool:
        """Returns True: the work is done."""
        return True

    synchronize = wait_event = wait_stream = _do_nothing
