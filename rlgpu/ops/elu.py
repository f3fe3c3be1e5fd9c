"""ELU in place, with its gradient computed from the output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Elu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        torch.ops.rlgpu.elu_(x)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        result: Tensor = torch.ops.rlgpu.elu_backward(grads[0], y)
        return result


def elu_(x: Tensor) -> Tensor:
    """Returns ``x`` overwritten by ELU(x), differentiable.

    Args:
        x: A contiguous tensor that nothing else needs, such as a linear layer's output, any shape.

    Raises:
        ValueError: ``x`` is not float32 or not contiguous.
    """
    result: Tensor = _Elu.apply(x)
    return result


def register_fake() -> None:
    """Tells torch the shapes that the ops return, for tracing without data."""

    @torch.library.register_fake("rlgpu::elu_")
    def _(x: Tensor) -> None:
        return None

    @torch.library.register_fake("rlgpu::elu_backward")
    def _(grad: Tensor, y: Tensor) -> Tensor:
        return y.new_empty(y.shape)
