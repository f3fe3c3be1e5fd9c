"""Optional compilation with torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function, enabled: bool) -> Function:
    """Returns ``function`` compiled for static shapes, so that it launches fewer kernels.

    Args:
        function: Tensor code that does not branch on values.
        enabled: If False, the function is returned unchanged.
    """
    result: Any = torch.compile(function, dynamic=False) if enabled else function
    return cast(Function, result)
