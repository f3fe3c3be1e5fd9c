"""All parameters of a module in one buffer, and their gradients in another."""

from __future__ import annotations

import torch
from torch import nn


class FlatParameters:
    """Moves a module's parameters into one contiguous buffer, which they become views of.

    One fused optimiser step then covers them all, and autograd adds into ``grads`` directly.
    """

    def __init__(self, module: nn.Module) -> None:
        """Rebinds the module's parameters; do this before taking other references to them."""
        parameters = list(module.parameters())
        self.params = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        """All parameters, shape [P]."""
        self.grads = torch.zeros_like(self.params)
        """Their gradients, shape [P]."""
        start = 0
        for parameter in parameters:
            end = start + parameter.numel()
            parameter.data = self.params[start:end].view_as(parameter)
            parameter.grad = self.grads[start:end].view_as(parameter)
            start = end
