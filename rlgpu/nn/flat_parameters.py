"""Stores all parameters of a module in one buffer, and their gradients in another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FlatParameters:
    """Moves a module's parameters into one contiguous buffer and makes them views of it.

    A single fused optimiser step can then update all of them.
    """

    def __init__(self, module: nn.Module) -> None:
        """Rebinds the module's parameters; must run before other references to them are taken."""
        # Sizes divisible by 4 come first, so that these parameters are aligned for float4 loads.
        self._parameters = sorted(module.parameters(), key=lambda p: p.numel() % 4 != 0)
        self.params = torch.cat([p.detach().reshape(-1) for p in self._parameters])
        """All parameters, shape [P]."""
        self.grads = torch.zeros_like(self.params)
        """Their gradients, shape [P]."""
        start = 0
        for parameter in self._parameters:
            end = start + parameter.numel()
            parameter.data = self.params[start:end].view_as(parameter)
            start = end

    def backward(self, outputs: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Overwrites ``grads`` with the gradients of ``sum(outputs * gradients)``.

        Args:
            outputs: Tensors computed from the parameters; a parameter itself is allowed.
            gradients: Gradient of the loss with respect to each output, of the same shape.
        """
        found = torch.autograd.grad(outputs, self._parameters, gradients)
        # One copy for all; autograd's accumulation would launch one per parameter.
        torch.cat([gradient.reshape(-1) for gradient in found], out=self.grads)
