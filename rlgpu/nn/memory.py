"""LSTM and GRU layers whose state is carried along episodes and zeroed where one ends."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn


class Sequences(NamedTuple):
    """What a network needs to go through B sequences of S rows each again."""

    memory: Tensor
    """State before the first rows, shape [B, M]."""
    ends: Tensor
    """Whether an episode ended with a row, so that the next begins without memory, shape [S, B],
    bool."""


class Memory(nn.Module):
    """Recurrent layers; an environment's state is one row of numbers."""

    def __init__(
        self, kind: Literal["lstm", "gru"], width: int, size: int, num_layers: int
    ) -> None:
        """Builds the layers.

        Args:
            kind: Kind of the layers.
            width: Width of the input, I.
            size: Units of each layer, H.
            num_layers: Number of layers.
        """
        super().__init__()
        kinds = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}
        widths = [width] + [size] * (num_layers - 1)
        self.cells = nn.ModuleList(kinds[kind](width, size) for width in widths)
        self.num_parts = 2 if kind == "lstm" else 1
        """Vectors that a layer remembers: hidden state and cell, or hidden state alone."""
        for layer in self.cells:
            if isinstance(layer, nn.LSTMCell):
                # Remember at first; source: Jozefowicz et al. 2015, section 2.2.
                nn.init.ones_(layer.bias_ih.detach()[size : 2 * size])  # the forget gate's
        self.size = size
        self.state_size = num_layers * self.num_parts * size
        """Numbers M in an environment's state."""

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Takes one step, [B, I] and [B, M] -> [B, H] and [B, M]."""
        parts = list(state.split(self.size, dim=-1))
        after: list[Tensor] = []
        for layer, cell in enumerate(self.cells):
            own = parts[layer * self.num_parts : (layer + 1) * self.num_parts]
            found = cell(x, tuple(own)) if self.num_parts == 2 else (cell(x, own[0]),)
            after += found
            x = found[0]
        return x, torch.cat(after, dim=-1)

    def sequences(self, x: Tensor, sequences: Sequences) -> Tensor:
        """Takes S steps, [S, B, I] -> [S, B, H]."""
        state, outputs = sequences.memory, []
        for row, end in zip(x, sequences.ends, strict=True):
            output, state = self(row, state)
            outputs.append(output)
            state = state.masked_fill(end[:, None], 0.0)
        return torch.stack(outputs)
