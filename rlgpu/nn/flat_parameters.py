"""All parameters of a module in one buffer, and their gradients in another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FlatParameters:
    """Moves a module's parameters into one contiguous buffer, which they become views of.

    One fused optimiser step then covers them all.
    """

    def __init__(self, module: nn.Module) -> None:
        """Rebinds the module's parameters; do this before taking other references to them."""
        # Those of whole float4s first, so that each begins where a GPU can load four at once.
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
            outputs: What was computed from the parameters; a parameter among them counts as such.
            gradients: Gradients of the loss for each, of the same shapes.
        """
        found = torch.autograd.grad(outputs, self._parameters, gradients)
        # One copy for all, where autograd's own accumulation would launch one for each.
        torch.cat([gradient.reshape(-1) for gradient in found], out=self.grads)
