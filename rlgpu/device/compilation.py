"""Optional compilation with torch.compile, and what traced code must know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch

from rlgpu.device.capabilities import host_may_read

Function = TypeVar("Function", bound=Callable[..., Any])
_tracing = False


def compiled(function: Function, enabled: bool) -> Function:
    """Returns ``function`` compiled for static shapes, so that it launches fewer kernels.

    Args:
        function: Tensor code that does not branch on values.
        enabled: If False, the function is returned unchanged.
    """
    result: Any = torch.compile(function, dynamic=False) if enabled else function
    return cast(Function, result)


@contextmanager
def tracing() -> Iterator[None]:
    """Marks code whose operations are recorded, to be repeated for other values."""
    global _tracing  # noqa: PLW0603  (read by code that has no other link to the recorder)
    _tracing = True
    try:
        yield
    finally:
        _tracing = False


def host_may_branch(device: torch.device) -> bool:
    """Returns whether code may do something else for other values of tensors on a device.

    It may where the host reads them for free, unless the code is being traced.
    """
    return host_may_read(device) and not _tracing and not torch.compiler.is_compiling()
