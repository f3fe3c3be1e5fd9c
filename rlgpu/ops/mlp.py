"""A multilayer perceptron with ELU activations; one call each for forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "tf32", "bf16"]
"""Rounding of matrix-product operands; sums are float32. On the CPU tf32 means float32."""


class _Mlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, precision: Precision, *parameters: Tensor) -> Tensor:
        weights, biases = list(parameters[0::2]), list(parameters[1::2])
        activations = torch.ops.rlgpu.mlp_forward(x, weights, biases, precision)
        ctx.num_layers, ctx.precision = len(weights), precision
        ctx.save_for_backward(x, *weights, *activations)
        output: Tensor = activations[-1]
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        weights, activations = saved[: ctx.num_layers], saved[ctx.num_layers :]
        flat = torch.ops.rlgpu.mlp_backward(grads[0], x, weights, activations, ctx.precision)
        # For each layer, the weights come before the biases.
        shapes = [shape for w in weights for shape in (w.shape, w.shape[:1])]
        parts = flat.split([shape.numel() for shape in shapes])
        return (None, None, *(p.view(shape) for p, shape in zip(parts, shapes, strict=True)))


def mlp(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], precision: Precision = "fp32"
) -> Tensor:
    """Returns the output of linear layers with ELU between them, differentiable in the parameters.

    ``x`` gets no gradient, since nothing before it is trained. The result for a row does not depend
    on the other rows, so that acting and training agree bit for bit.

    Args:
        x: Inputs, shape [B, I].
        weights: One matrix per layer, shapes [H, I], ..., [O, H].
        biases: One vector per layer, shapes [H], ..., [O].
        precision: Precision of the operands of the matrix products.

    Returns:
        The output of the last layer, without activation, shape [B, O].

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device.
    """
    if torch.is_grad_enabled():
        parameters = [p for pair in zip(weights, biases, strict=True) for p in pair]
        output: Tensor = _Mlp.apply(x, precision, *parameters)
        return output
    activations: list[Tensor] = torch.ops.rlgpu.mlp_forward(
        x, list(weights), list(biases), precision
    )
    return activations[-1]


def register_fake() -> None:
    """Registers the ops' output shapes with torch, for tracing without data."""

    @torch.library.register_fake("rlgpu::mlp_forward")
    def _(x: Tensor, weights: list[Tensor], biases: list[Tensor], precision: str) -> list[Tensor]:
        return [x.new_empty(x.shape[0], weight.shape[0]) for weight in weights]

    @torch.library.register_fake("rlgpu::mlp_backward")
    def _(
        grad: Tensor, x: Tensor, weights: list[Tensor], activations: list[Tensor], precision: str
    ) -> Tensor:
        return x.new_empty(sum(weight.numel() + weight.shape[0] for weight in weights))
