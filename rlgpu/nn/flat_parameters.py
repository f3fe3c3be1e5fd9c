"""Stores all parameters of a module in one buffer, and their gradients in another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_ALIGNED = 4
"""Numbers that a GPU loads at once."""


class FlatParameters:
    """Moves parameters into one contiguous buffer and makes them views of it.

    A single fused optimiser step can then update all of them, or all of a group.
    """

    def __init__(self, *groups: Sequence[nn.Parameter]) -> None:
        """Rebinds the parameters; must run before other references to them are taken.

        Args:
            *groups: Parameters that lie together.
        """
        # Sizes divisible by 4 come first, so that these parameters are aligned for float4 loads;
        # a group ends with zeros if the next would not be aligned.
        ordered = [sorted(group, key=lambda p: p.numel() % _ALIGNED != 0) for group in groups]
        self._parameters = [parameter for group in ordered for parameter in group]
        self.groups: list[slice] = []
        """Where each group lies in the buffers."""
        pieces: list[Tensor] = []
        self._paddings: list[int] = []
        start = 0
        for number, group in enumerate(ordered):
            size = sum(parameter.numel() for parameter in group)
            padding = -size % _ALIGNED if number + 1 < len(ordered) else 0
            pieces += [parameter.detach().reshape(-1) for parameter in group]
            pieces.append(pieces[0].new_zeros(padding))
            self._paddings += [0] * (len(group) - 1) + [padding]
            self.groups.append(slice(start, start + size + padding))
            start += size + padding
        self.params = torch.cat(pieces)
        """All parameters, shape [P]."""
        self.grads = torch.zeros_like(self.params)
        """Their gradients, shape [P]."""
        self._padding = self.params.new_zeros(_ALIGNED)
        start = 0
        for parameter, padding in zip(self._parameters, self._paddings, strict=True):
            end = start + parameter.numel()
            parameter.data = self.params[start:end].view_as(parameter)
            start = end + padding

    def backward(self, outputs: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Overwrites ``grads`` with the gradients of ``sum(outputs * gradients)``.

        Args:
            outputs: Tensors computed from the parameters; a parameter itself is allowed.
            gradients: Gradient of the loss with respect to each output, of the same shape.
        """
        found = torch.autograd.grad(outputs, self._parameters, gradients)
        pieces: list[Tensor] = []
        for gradient, padding in zip(found, self._paddings, strict=True):
            pieces.append(gradient.reshape(-1))
            if padding:
                pieces.append(self._padding[:padding])
        # One copy for all; autograd's accumulation would launch one per parameter.
        torch.cat(pieces, out=self.grads)
