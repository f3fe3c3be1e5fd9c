"""Lowers a segment to C++ kernels by torch's Inductor, and lists the calls of these kernels.

Importing this module takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, fx
from torch._inductor import config
from torch._inductor.compile_fx import compile_fx_inner
from torch._inductor.cpu_vec_isa import VecISA
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.graph import GraphLowering
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode


class NotLowered(Exception):
    """Inductor leaves an operation to torch; its name is the argument."""


class Place(NamedTuple):
    """Where a kernel's argument or a segment's output lies."""

    kind: str
    """``input`` or ``temporary``."""
    number: int
    offset: int
    """From the beginning of that input or temporary [bytes]."""


class Lowered(NamedTuple):
    """A segment as kernels."""

    kernels: list[str]
    """C++ source of each kernel, whose name in it is ``kernel``."""
    calls: list[tuple[int, list[Place]]]
    """Kernel and arguments of each call, in order."""
    num_inputs: int
    temporaries: list[int]
    """Size of each temporary [bytes]."""
    outputs: list[tuple[Place, int]]
    """Where each output is computed, and its size [bytes]."""


class _Stop(BaseException):
    """Carries the generated code out of the compiler."""


def lower(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> Lowered:
    """Returns a graph's kernels.

    Args:
        graph: Operations of torch; inputs may be written.
        inputs: Tensors of the same shapes as those that it will get; their values do not matter.

    Raises:
        NotLowered: An operation has no kernel.
    """
    kernels: list[str] = []
    calls: list[tuple[int, list[Tensor]]] = []
    source = _generated(graph, inputs)

    def add(types: Sequence[str], code: str, *_: Any, **__: Any) -> Callable[..., None]:
        number = len(kernels)
        kernels.append(code)
        return lambda *args: calls.append((number, list(args)))

    namespace: dict[str, Any] = {"__name__": "generated"}
    with _collecting(add):
        exec(compile(source, "<generated>", "exec"), namespace)
    own = [torch.empty_strided(x.shape, x.stride(), dtype=x.dtype) for x in inputs]
    with _NothingElse():
        outputs = namespace["call"](list(own))
    if not all(x.is_contiguous() for x in outputs):
        raise RuntimeError("an output is not contiguous")
    places = _Places(own)
    return Lowered(
        kernels,
        [(number, [places.of(x) for x in args]) for number, args in calls],
        len(inputs),
        places.sizes,
        [(places.of(x), x.numel() * x.element_size()) for x in outputs],
    )


class _Places:
    """Finds the inputs and temporaries that tensors are parts of."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self._of_address: dict[int, tuple[str, int]] = {}
        self.sizes: list[int] = []
        for i, tensor in enumerate(inputs):
            self._of_address[tensor.untyped_storage().data_ptr()] = "input", i

    def of(self, tensor: Tensor) -> Place:
        """Returns where a tensor lies."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._of_address:
            self._of_address[storage.data_ptr()] = "temporary", len(self.sizes)
            self.sizes.append(storage.nbytes())
        offset = int(tensor.storage_offset()) * tensor.element_size()
        return Place(*self._of_address[storage.data_ptr()], offset)


class _NothingElse(TorchDispatchMode):
    """Refuses operations that are not kernels."""

    _ALLOWED = ("empty", "empty_strided", "as_strided", "_reinterpret_tensor", "view", "detach")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name not in self._ALLOWED:
            raise NotLowered(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def _collecting(add: Callable[..., Any]) -> Iterator[None]:
    """Lets generated code hand its kernels to ``add`` instead of compiling them."""

    class Collector:
        cpp_pybinding = staticmethod(add)

        def wait(self, scope: Any) -> None:
            """Has nothing to wait for."""

    with mock.patch("torch._inductor.async_compile.AsyncCompile", Collector):
        yield


def _generated(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> str:
    """Returns the Python source that Inductor generates for a graph."""

    def stop(code: str) -> None:
        raise _Stop(code)

    settings = {
        "cpp.threads": 1,
        # Plain loops, which the C++ compiler vectorises without another order of sums. They lower
        # in a third of the time of Inductor's vectors, and rows of a few columns have none.
        "cpp.simdlen": 1,
        "fx_graph_cache": False,
        "cpp_wrapper": False,
    }
    with ExitStack() as stack, torch.no_grad():
        # The extension's own check of the CPU is enough; Inductor's compiles a program.
        stack.enter_context(mock.patch.object(VecISA, "__bool__", lambda _: True))
        stack.enter_context(
            mock.patch.object(GraphLowering, "save_output_code", staticmethod(stop))
        )
        stack.enter_context(config.patch(settings))
        functional = torch.func.functionalize(graph, remove="mutations")
        traced = make_fx(functional, decomposition_table=select_decomp_table(), tracing_mode="fake")
        module = traced(*inputs)
        fakes = [n.meta["val"] for n in module.graph.nodes if n.op == "placeholder"]
        try:
            compile_fx_inner(module, fakes)
        except _Stop as code:
            return str(code.args[0])
    raise NotLowered("nothing")
