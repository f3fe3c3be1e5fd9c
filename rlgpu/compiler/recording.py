"""Records the tensor operations of a function while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from rlgpu.device import tracing


class NotRecordable(Exception):
    """A function does what cannot be replayed as a list of operations; the text says what."""


class Call(NamedTuple):
    """One operation, with the tensors that it got and returned when it was recorded."""

    operation: Any
    """A ``torch._ops.OpOverload``."""
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Tensor, ...]
    """Every tensor returned."""

    @property
    def inputs(self) -> list[Tensor]:
        """Every tensor in the arguments."""
        leaves = pytree.tree_leaves((self.args, dict(self.kwargs)))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


class Recording(NamedTuple):
    """Operations in their order, and the tensors that the function returned."""

    calls: list[Call]
    results: tuple[Tensor, ...]


def record(function: Callable[..., Sequence[Tensor]], *args: Tensor) -> Recording:
    """Runs a function and returns its operations.

    Args:
        function: Tensor code without branches on values.
        args: Its arguments.

    Raises:
        NotRecordable: An operation reads values on the host, or its shapes depend on values, or
            the function fails.
    """
    recorder = _Recorder()
    try:
        with tracing(), recorder, _Leaving(recorder):
            results = tuple(function(*args))
    except Exception as error:
        # TorchScript turns a refusal into an error of its own.
        reason = recorder.refusal or f"{type(error).__name__}: {error}"
        raise NotRecordable(reason.partition("\n")[0]) from error
    return Recording(recorder.calls, results)


class _Recorder(TorchDispatchMode):
    """Notes every operation; the tensors live on, so that no two share an address."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.refusal = ""

    def refuse(self, reason: str) -> NoReturn:
        """Ends the recording.

        Raises:
            NotRecordable: Always.
        """
        self.refusal = reason
        raise NotRecordable(reason)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # keeps torch from importing its compiler, which takes seconds

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if _depends_on_values(func, args):
            self.refuse(f"{func} needs values on the host")
        if func is torch.ops.aten.lift_fresh.default:
            func = torch.ops.aten.clone.default  # a constant, which may be written afterwards
        result = func(*args, **kwargs)
        outputs = tuple(x for x in pytree.tree_leaves(result) if isinstance(x, Tensor))
        self.calls.append(Call(func, args, kwargs, outputs))
        return result


def _depends_on_values(operation: Any, args: tuple[Any, ...]) -> bool:
    """Returns whether the host must know values to call an operation or to use its result."""
    if torch.Tag.data_dependent_output in operation.tags:
        return True
    if operation in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default):
        indices = [x for x in args[1] if isinstance(x, Tensor)]
        is_masked = any(x.dtype in (torch.bool, torch.uint8) for x in indices)
        return is_masked and operation is torch.ops.aten.index.Tensor
    return torch.Tag.dynamic_output_shape in operation.tags


class _Leaving(TorchFunctionMode):
    """Refuses to hand tensors to other libraries, whose operations would not be recorded."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _LEAVING:
            self._recorder.refuse(f"Tensor.{func.__name__} needs values on the host")
        return func(*args, **(kwargs or {}))


_LEAVING = (
    Tensor.numpy,
    Tensor.tolist,
    Tensor.__array__,
    Tensor.__dlpack__,
    Tensor.data_ptr,
    Tensor.untyped_storage,
)
