"""A function as a fixed list of steps on fixed memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from rlgpu.compiler.library import Library, build, find_compiler, key_of, stored
from rlgpu.compiler.recording import Call, NotRecordable, Recording, record
from rlgpu.compiler.segments import Blocks, Segment, Step, divide

if TYPE_CHECKING:
    from rlgpu.compiler.lowering import Lowered

Function = Callable[..., Sequence[Tensor]]


class Recorded:
    """A recorded function before its code is there."""

    def __init__(self, function: Function, args: Sequence[Tensor]) -> None:
        """Runs a function twice, as nothing may change from run to run but the tensors' values.

        Args:
            function: Tensor code without branches on values; what it returns are tensors.
            args: Its arguments. Their memory becomes the program's.

        Raises:
            NotRecordable: The function reads values on the host, or does something else each time.
        """
        self.args = tuple(args)
        first, self.recording = (record(function, *args) for _ in range(2))
        self.blocks = Blocks()
        self.text = _text(self.recording, self.blocks)
        if self.text != _text(first, Blocks()):
            raise NotRecordable("its operations differ from one call to the next")
        _check_constants(first, self.recording)
        self.blocks.check()
        self._steps: dict[frozenset[str], list[Step]] = {}

    def steps(self, opaque: frozenset[str]) -> list[Step]:
        """Returns the steps, with some operations called as they are."""
        if opaque not in self._steps:
            is_opaque = partial(_is_opaque, names=opaque)
            self._steps[opaque] = divide(self.recording, self.blocks, is_opaque)
        return self._steps[opaque]


class Program:
    """Runs a recorded function by native code."""

    def __init__(self, recorded: Recorded, steps: Sequence[Step], code: Sequence[Any]) -> None:
        """Binds the code to the memory of the recording.

        Args:
            recorded: The function.
            steps: Its steps.
            code: Native function and sizes of temporaries of each segment.
        """
        self._args = recorded.args
        self.results = recorded.recording.results
        self._memory: list[Any] = []
        remaining = iter(code)
        self._steps: list[Callable[[], object]] = [
            self._native(recorded.blocks, step, *next(remaining))
            if isinstance(step, Segment)
            else _called(step)
            for step in steps
        ]

    def __call__(self, *args: Tensor) -> tuple[Tensor, ...]:
        """Returns what the function returns; the next call overwrites it."""
        for own, given in zip(self._args, args, strict=True):
            if own is not given:
                own.copy_(given)
        for step in self._steps:
            step()
        return self.results

    def _native(
        self, blocks: Blocks, segment: Segment, function: Any, temporaries: Sequence[int]
    ) -> Callable[[], object]:
        """Returns a call of a segment's code on its blocks."""
        own = [torch.empty(size, dtype=torch.uint8) for size in temporaries]
        tensors = [
            *(blocks.flat(i) for i in segment.inputs),
            *own,
            *(blocks.flat(i) for i in segment.outputs),
        ]
        table = np.array([x.data_ptr() for x in tensors], dtype=np.uint64)
        self._memory += [tensors, table]
        address = table.ctypes.data

        def run() -> None:
            if function(address):
                raise ZeroDivisionError("an integer was divided by zero")

        return run


def compile_programs(
    recorded: Sequence[Recorded], *, announce: Callable[[], None] = lambda: None
) -> list[Program]:
    """Returns programs of recorded functions; their code comes from the cache if it is there.

    Args:
        recorded: The functions.
        announce: Called before anything is compiled, which takes a while.

    Raises:
        NoCompiler: There is no C++ compiler, or it fails.
        NotRecordable: An operation cannot be compiled.
    """
    key = key_of(find_compiler(), [x.text for x in recorded])
    library = stored(key, partial(_count_segments, recorded))
    if library is None:
        announce()
        library = _built(key, recorded)
    code = zip(library.functions, library.temporaries, strict=True)
    programs = []
    for function in recorded:
        steps = function.steps(library.opaque)
        own = [next(code) for step in steps if isinstance(step, Segment)]
        programs.append(Program(function, steps, own))
    return programs


def _count_segments(recorded: Sequence[Recorded], opaque: frozenset[str]) -> int:
    return sum(isinstance(step, Segment) for x in recorded for step in x.steps(opaque))


def _built(key: str, recorded: Sequence[Recorded]) -> Library:
    """Returns a new library; operations that Inductor has no kernels for stay as they are.

    Raises:
        NoCompiler: The C++ compiler fails.
        NotRecordable: Inductor, which is not made for this, fails.
    """
    try:
        lowered, opaque = _lowered(recorded)
    except NotRecordable:
        raise
    except Exception as error:
        said = f"Inductor of torch {torch.__version__} fails: {type(error).__name__}: {error}"
        raise NotRecordable(said) from error
    return build(key, lowered, opaque)


def _lowered(recorded: Sequence[Recorded]) -> tuple[list[Lowered], frozenset[str]]:
    """Returns the kernels of all segments, and the operations that have none."""
    from rlgpu.compiler.lowering import NotLowered, lower  # noqa: PLC0415  (takes seconds)

    opaque = frozenset[str]()
    while True:
        try:
            return [
                lower(x.graph, [function.blocks.flat(i) for i in x.inputs])
                for function in recorded
                for x in function.steps(opaque)
                if isinstance(x, Segment)
            ], opaque
        except NotLowered as error:
            name = str(error).rstrip("_")
            if name in opaque:
                raise
            opaque |= {name}


def _is_opaque(operation: Any, names: frozenset[str]) -> bool:
    """Returns whether an operation is called as it is: ours, random ones, and those named."""
    is_random = torch.Tag.nondeterministic_seeded in operation.tags
    name = operation.overloadpacket.__name__
    return operation.namespace != "aten" or is_random or name.rstrip("_") in names


def _called(call: Call) -> Callable[[], object]:
    """Returns a call of an operation, whose new tensors are copied to where they were recorded."""
    operation, args, kwargs, outputs = call
    inputs = {id(x) for x in call.inputs}
    is_new = any(id(x) not in inputs for x in outputs)

    def run() -> None:
        result = operation(*args, **kwargs)
        if is_new:
            found = [x for x in pytree.tree_leaves(result) if isinstance(x, Tensor)]
            for own, value in zip(outputs, found, strict=True):
                if own is not value:
                    own.copy_(value)

    return run


def _text(recording: Recording, blocks: Blocks) -> str:
    """Returns a text that is the same if and only if the operations are."""

    def shown(leaf: Any) -> str:
        if isinstance(leaf, Tensor):
            return f"{blocks.view(leaf)} {leaf.dtype} {leaf.untyped_storage().nbytes()}"
        return type(leaf).__name__ if isinstance(leaf, torch.Generator) else repr(leaf)

    lines = []
    for operation, args, kwargs, outputs in recording.calls:
        leaves, spec = pytree.tree_flatten((args, dict(kwargs), outputs))
        lines.append(f"{operation} {[shown(x) for x in leaves]} {spec}")
    lines.append(str([shown(x) for x in recording.results]))
    return "\n".join(lines)


def _check_constants(first: Recording, second: Recording) -> None:
    """Checks the tensors that the function makes without an operation, such as ``torch.tensor``.

    Raises:
        NotRecordable: They have other values each time.
    """
    made: set[int] = set()
    for one, other in zip(first.calls, second.calls, strict=True):
        for a, b in zip(one.inputs, other.inputs, strict=True):
            is_constant = id(b) not in made and a.data_ptr() != b.data_ptr()
            if is_constant and a.numel() and not torch.equal(a, b):
                raise NotRecordable("it makes a tensor of values that change")
            if is_constant and other.operation._schema.is_mutable:
                raise NotRecordable("it writes a tensor that it makes without an operation")
        made |= {id(x) for x in other.outputs}
