"""A multilayer perceptron with fused activations; one call each for forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "tf32", "bf16"]
"""Rounding of matrix-product operands; sums are float32. On the CPU tf32 means float32."""
Activation = Literal["elu", "relu", "tanh"]
"""What is applied between the layers."""


class _Mlp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, precision: Precision, activation: Activation, *parameters: Tensor
    ) -> Tensor:
        weights, biases = list(parameters[0::2]), list(parameters[1::2])
        activations = torch.ops.rlgpu.mlp_forward(x, weights, biases, precision, activation)
        ctx.num_layers, ctx.choices = len(weights), (precision, activation)
        ctx.save_for_backward(x, *weights, *activations)
        output: Tensor = activations[-1]
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        weights, activations = saved[: ctx.num_layers], saved[ctx.num_layers :]
        wanted = ctx.needs_input_grad[0]
        flat, grad_x = torch.ops.rlgpu.mlp_backward(
            grads[0], x, weights, activations, *ctx.choices, wanted
        )
        # For each layer, the weights come before the biases.
        shapes = [shape for w in weights for shape in (w.shape, w.shape[:1])]
        parts = flat.split([shape.numel() for shape in shapes])
        first = (grad_x if wanted else None, None, None)
        return (*first, *(p.view(shape) for p, shape in zip(parts, shapes, strict=True)))


def mlp(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    precision: Precision = "fp32",
    activation: Activation = "elu",
) -> Tensor:
    """Returns the output of linear layers with activations between them, differentiable.

    ``x`` gets a gradient only if it requires one. The result for a row does not depend on the other
    rows, so that acting and training agree bit for bit.

    Args:
        x: Inputs, shape [B, I].
        weights: One matrix per layer, shapes [H, I], ..., [O, H].
        biases: One vector per layer, shapes [H], ..., [O].
        precision: Precision of the operands of the matrix products.
        activation: Applied between the layers.

    Returns:
        The output of the last layer, without activation, shape [B, O].

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device.
    """
    if torch.is_grad_enabled():
        parameters = [p for pair in zip(weights, biases, strict=True) for p in pair]
        output: Tensor = _Mlp.apply(x, precision, activation, *parameters)
        return output
    activations: list[Tensor] = torch.ops.rlgpu.mlp_forward(
        x, list(weights), list(biases), precision, activation
    )
    return activations[-1]


def register_fake() -> None:
    """Registers the ops' output shapes with torch, for tracing without data."""

    @torch.library.register_fake("rlgpu::mlp_forward")
    def _(
        x: Tensor, weights: list[Tensor], biases: list[Tensor], precision: str, activation: str
    ) -> list[Tensor]:
        return [x.new_empty(x.shape[0], weight.shape[0]) for weight in weights]

    @torch.library.register_fake("rlgpu::mlp_backward")
    def _(
        grad: Tensor,
        x: Tensor,
        weights: list[Tensor],
        activations: list[Tensor],
        precision: str,
        activation: str,
        input_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        count = sum(weight.numel() + weight.shape[0] for weight in weights)
        return x.new_empty(count), x.new_empty(x.shape[0] if input_gradient else 0, x.shape[1])
