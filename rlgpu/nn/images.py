"""Convolutions that turn an image into features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlgpu.errors import Conflict


class ImageEncoder(nn.Module):
    """Convolutions with ReLU, then one layer to a given number of features.

    Source: the sizes by default are those of Mnih et al. 2015, "Human-level control through deep
    reinforcement learning".
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        channels: Sequence[int],
        kernels: Sequence[int],
        strides: Sequence[int],
        num_features: int,
    ) -> None:
        """Builds the layers.

        Args:
            shape: Height, width and channels of an image.
            channels: Channels of each convolution.
            kernels: Width of each convolution's kernel [pixels].
            strides: Stride of each convolution [pixels].
            num_features: Width F of the result.

        Raises:
            UsageError: The image is too small for the convolutions.
        """
        super().__init__()
        self._shape = tuple(shape)
        height, width, depth = self._shape
        layers: list[nn.Module] = []
        for count, kernel, stride in zip(channels, kernels, strides, strict=True):
            height, width = ((size - kernel) // stride + 1 for size in (height, width))
            layers += [nn.Conv2d(depth, count, kernel, stride), nn.ReLU()]
            depth = count
            if min(height, width) < 1:
                raise Conflict(
                    f"train.image_kernels={list(kernels)}, train.image_strides={list(strides)}: "
                    f"an image of {self._shape[0]} x {self._shape[1]} pixels is too small for them",
                    key="train.image_kernels",
                    value=list(kernels),
                    other="train.image_strides",
                )
        self.convolutions = nn.Sequential(*layers)
        self.output = nn.Linear(depth * height * width, num_features)

    def forward(self, pixels: Tensor) -> Tensor:
        """Returns features of flattened images, [B, H * W * C] -> [B, F].

        Args:
            pixels: From 0 to 1; ``uint8`` is from 0 to 255.
        """
        if pixels.dtype == torch.uint8:
            pixels = pixels.float() / 255.0
        images = pixels.view(-1, *self._shape).permute(0, 3, 1, 2)
        features: Tensor = self.output(self.convolutions(images).flatten(1))
        return features.relu()
