"""Divides recorded operations into stretches that are compiled, and single ones that are not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from rlgpu.compiler.recording import Call, NotRecordable, Recording

_AS_STRIDED = torch.ops.aten.as_strided.default


class View(NamedTuple):
    """A tensor as a part of a memory block."""

    block: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int


class Segment(NamedTuple):
    """Operations that become one piece of native code."""

    graph: fx.GraphModule
    inputs: list[int]
    """Blocks that it reads or writes, one for each placeholder, flat."""
    outputs: list[int]
    """Blocks that it makes, one for each output."""


class Blocks:
    """Numbers the memory blocks of tensors in the order in which they are met."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.tensors: list[Tensor] = []
        """A tensor of each block, which keeps the block alive."""

    def number(self, tensor: Tensor) -> int:
        """Returns the number of a tensor's block."""
        storage = tensor.untyped_storage()
        # Tensors without elements have no address of their own.
        key = storage.data_ptr() if storage.nbytes() else -id(tensor)
        if key not in self._numbers:
            self._numbers[key] = len(self.tensors)
            self.tensors.append(tensor)
        number = self._numbers[key]
        if self.tensors[number].dtype != tensor.dtype:
            raise NotRecordable(
                f"memory is read as {self.tensors[number].dtype} and {tensor.dtype}"
            )
        return number

    def view(self, tensor: Tensor) -> View:
        """Returns which part of its block a tensor is."""
        shape, stride = tuple(tensor.shape), tuple(tensor.stride())
        return View(self.number(tensor), shape, stride, int(tensor.storage_offset()))

    def check(self) -> None:
        """Checks that no block is a part of another.

        Raises:
            NotRecordable: Two overlap, as arrays of NumPy and tensors can.
        """
        places = sorted(
            (x.untyped_storage().data_ptr(), x.untyped_storage().nbytes()) for x in self.tensors
        )
        for (start, size), (following, _) in itertools.pairwise(places):
            if size and start + size > following:
                raise NotRecordable("two tensors share memory that they have from elsewhere")

    def flat(self, number: int) -> Tensor:
        """Returns a whole block as a flat tensor."""
        tensor = self.tensors[number]
        size = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor.as_strided((size,), (1,), 0)


Step = Segment | Call


def divide(recording: Recording, blocks: Blocks, is_opaque: Callable[[Any], bool]) -> list[Step]:
    """Returns the steps that have the effect of the recorded operations.

    Args:
        recording: The operations.
        blocks: The blocks of their tensors.
        is_opaque: Says of an operation whether it is called as it is.

    Raises:
        NotRecordable: A block that is passed on has gaps.
    """
    runs: list[list[Call] | Call] = []
    for call in recording.calls:
        if is_opaque(call.operation):
            runs.append(call)
        elif runs and isinstance(runs[-1], list):
            runs[-1].append(call)
        else:
            runs.append([call])
    needed = {blocks.number(x) for x in recording.results}
    steps: list[Step] = []
    for run in reversed(runs):
        calls = [run] if isinstance(run, Call) else run
        if isinstance(run, Call):
            steps.append(run)
        else:
            steps.append(_Builder(blocks, run).segment(needed))
        needed |= {blocks.number(x) for call in calls for x in call.inputs}
    return steps[::-1]


class _Builder:
    """Builds the graph of a segment: inputs are whole blocks, everything else is computed."""

    def __init__(self, blocks: Blocks, calls: Sequence[Call]) -> None:
        self._blocks, self._calls, self._graph = blocks, calls, fx.Graph()
        self._nodes: dict[int, fx.Node] = {}
        self._inputs: dict[int, fx.Node] = {}
        self._made: dict[int, tuple[Tensor, fx.Node]] = {}

    def segment(self, needed: set[int]) -> Segment:
        """Returns the segment, which gives later ones the blocks that they need."""
        read: list[int] = []
        known: set[int] = set()
        for call in self._calls:
            read += [n for n in map(self._blocks.number, call.inputs) if n not in known]
            known |= {self._blocks.number(x) for x in (*call.inputs, *call.outputs)}
        for number in dict.fromkeys(read):
            self._inputs[number] = self._graph.placeholder(f"block_{number}")
        for call in self._calls:
            self._add(call)
        outputs = [n for n in self._made if n in needed]
        self._graph.output(tuple(self._output(n) for n in outputs))
        module = fx.GraphModule(torch.nn.Module(), self._graph)
        return Segment(module, list(self._inputs), outputs)

    def _add(self, call: Call) -> None:
        args, kwargs = pytree.tree_map(self._node_of, (call.args, dict(call.kwargs)))
        node = self._graph.call_function(call.operation, args, kwargs)
        several = len(call.operation._schema.returns) > 1 or len(call.outputs) > 1
        for i, output in enumerate(call.outputs):
            own = node
            if several:
                own = self._graph.call_function(_item, (node, i))
            self._nodes[id(output)] = own
            number = self._blocks.number(output)
            if number not in self._inputs and number not in self._made:
                self._made[number] = output, own

    def _node_of(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if id(leaf) not in self._nodes:
            view = self._blocks.view(leaf)
            base = self._inputs.get(view.block)
            if base is None:
                raise NotRecordable("a tensor appears that no operation returned")
            parts = list(view.shape), list(view.stride), view.offset
            self._nodes[id(leaf)] = self._graph.call_function(_AS_STRIDED, (base, *parts))
        return self._nodes[id(leaf)]

    def _output(self, number: int) -> fx.Node:
        """Returns a block with its elements in the order of memory."""
        tensor, node = self._made[number]
        order = sorted(range(tensor.dim()), key=lambda i: -tensor.stride()[i])
        whole = tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()
        if not (whole and tensor.permute(order).is_contiguous()):
            raise NotRecordable("a block that is passed on has gaps")
        if tensor.is_contiguous():
            return node
        turned = self._graph.call_function(torch.ops.aten.permute.default, (node, [*order]))
        how: dict[str, Any] = {"memory_format": torch.contiguous_format}
        return self._graph.call_function(torch.ops.aten.clone.default, (turned,), how)


def _item(values: Any, index: int) -> Any:
    return values[index]
