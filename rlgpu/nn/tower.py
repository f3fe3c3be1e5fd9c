"""One network: from its columns of the observations, through images and memory, to outputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from rlgpu.config import TrainConfig
from rlgpu.errors import UsageError
from rlgpu.nn.images import ImageEncoder
from rlgpu.nn.memory import Memory, Sequences
from rlgpu.ops import Activation, Kernels, Precision, reference
from rlgpu.spaces import ObservationSpace


class Layers(nn.Module):
    """Linear layers with activations between them: one fused op, unless they need more than it."""

    def __init__(
        self, sizes: Sequence[int], config: TrainConfig, kernels: Kernels, precision: Precision
    ) -> None:
        """Builds the layers.

        Args:
            sizes: Widths of the input, of each hidden layer and of the output.
            config: Contains the activation, and whether it follows a layer normalisation.
            kernels: Implementation of the ops.
            precision: Precision of the operands of matrix products.
        """
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in sizes[1:-1] if config.layer_norm)
        self._activation, self._kernels, self._precision = config.activation, kernels, precision
        # Looked up once: a module's attributes are slow, and these are the same for ever.
        layers = [layer for layer in self.linear if isinstance(layer, nn.Linear)]
        self._weights = [layer.weight for layer in layers]
        self._biases = [layer.bias for layer in layers]
        self._is_fused = not self.norms and config.activation in get_args(Activation)

    @property
    def output_weight(self) -> Tensor:
        """The last layer's weights, one row per output, without their history."""
        last = self.linear[-1]
        assert isinstance(last, nn.Linear)
        return last.weight.detach()

    @property
    def activation(self) -> str:
        """Name of the function between the layers."""
        return self._activation

    @property
    def is_fused(self) -> bool:
        """Whether the ``mlp`` op computes all layers."""
        return self._is_fused

    @property
    def weights_and_biases(self) -> list[tuple[Tensor, Tensor]]:
        """The parameters of each layer, shapes [O, I] and [O]."""
        return list(zip(self._weights, self._biases, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the outputs, [B, I] -> [B, P]."""
        if self._is_fused:
            return self._kernels.mlp(
                x, self._weights, self._biases, self._precision, self._activation
            )
        for index, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            if index:
                x = self.norms[index - 1](x) if self.norms else x
                x = getattr(nn.functional, self._activation)(x)
            x = reference.linear(x, weight, bias, self._precision)
        return x


class Tower(nn.Module):
    """The network of the actor, of the critic, or of both."""

    def __init__(
        self,
        space: ObservationSpace,
        who: Literal["actor", "critic"],
        num_outputs: int,
        hidden_sizes: Sequence[int],
        config: TrainConfig,
        kernels: Kernels,
        precision: Precision,
    ) -> None:
        """Builds what the observations and the configuration ask for.

        Args:
            space: The observations.
            who: Whose columns of them are seen.
            num_outputs: Number of outputs, P.
            hidden_sizes: Units of each hidden layer.
            config: Contains the kinds and sizes of the layers.
            kernels: Implementation of the ops.
            precision: Precision of the operands of matrix products.
        """
        super().__init__()
        numbers, images = space.columns(space.of(who, "numbers")), space.of(who, "image")
        self._all = len(numbers) == space.size
        self.register_buffer("_numbers", torch.tensor(numbers, dtype=torch.int64), persistent=False)
        self._numbers: Tensor
        self._pixels = [slice(c[0], c[-1] + 1) for c in (space.columns([part]) for part in images)]
        self.images = nn.ModuleList(
            ImageEncoder(
                part.shape,
                channels=config.image_channels,
                kernels=config.image_kernels,
                strides=config.image_strides,
                num_features=config.image_features,
            )
            for part in images
        )
        width = len(numbers) + len(images) * config.image_features
        if not width:
            said = f"task.hidden: the {who} sees no column at all"
            raise UsageError(said, key="task.hidden")
        self.memory: Memory | None = None
        if config.memory != "none":
            self.memory = Memory(config.memory, width, config.memory_size, config.memory_layers)
            width = config.memory_size
        self.layers = Layers([width, *hidden_sizes, num_outputs], config, kernels, precision)

    @property
    def memory_size(self) -> int:
        """Numbers M in an environment's state; 0 without memory."""
        return self.memory.state_size if self.memory else 0

    @property
    def is_plain(self) -> bool:
        """Whether it is linear layers in one op, which see columns of the observations."""
        return not self.images and self.memory is None and self.layers.is_fused

    @property
    def columns(self) -> list[int]:
        """The columns of the observations that it sees as plain numbers."""
        found: list[int] = self._numbers.tolist()
        return found

    def _features(self, x: Tensor) -> Tensor:
        """Returns what the memory or the layers see, [B, O] -> [B, F]."""
        if self._all:
            return x
        parts = [x[:, self._numbers]] if self._numbers.numel() else []
        parts += [
            encode(x[:, pixels]) for encode, pixels in zip(self.images, self._pixels, strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat([x.float() for x in parts], dim=-1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Returns outputs, and the memory after the step, [B, O] and [B, M] -> [B, P] and [B, M].

        Args:
            x: Normalised observations.
            state: The memory before the step; None without one.
        """
        features = self._features(x)
        if self.memory is not None and state is not None:
            features, state = self.memory(features, state)
        return self.layers(features), state

    def sequences(self, x: Tensor, sequences: Sequences) -> Tensor:
        """Returns outputs of whole sequences, [S * B, O] -> [S * B, P], row s * B + b."""
        assert self.memory is not None
        features = self._features(x)
        length = sequences.ends.shape[0]
        remembered = self.memory.sequences(features.view(length, -1, features.shape[-1]), sequences)
        outputs: Tensor = self.layers(remembered.flatten(0, 1))
        return outputs
