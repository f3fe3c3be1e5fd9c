"""Observations as rows: images of every layout, numbers that float32 cannot tell apart."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from rlgpu.gym.flat import flattening


@pytest.mark.parametrize(
    ("shape", "wanted", "where"),
    [
        ((16, 20), (16, 20, 1), lambda y, x, c, k: (y, x)),
        ((3, 16, 16), (16, 16, 3), lambda y, x, c, k: (c, y, x)),
        ((16, 16, 3), (16, 16, 3), lambda y, x, c, k: (y, x, c)),
        ((1, 10, 10), (10, 10, 1), lambda y, x, c, k: (c, y, x)),
        ((7, 7, 20), (7, 7, 20), lambda y, x, c, k: (y, x, c)),  # one-hots of MiniGrid
        ((20, 7, 7), (7, 7, 20), lambda y, x, c, k: (c, y, x)),
        ((8, 8, 8), (8, 8, 8), lambda y, x, c, k: (y, x, c)),
        ((210, 160, 3), (210, 160, 3), lambda y, x, c, k: (y, x, c)),
        ((3, 12, 14), (12, 14, 3), lambda y, x, c, k: (c, y, x)),
        ((4, 3, 64, 64), (64, 64, 12), lambda y, x, c, k: (k, c, y, x)),
        ((4, 3, 12, 14), (12, 14, 12), lambda y, x, c, k: (k, c, y, x)),
        ((4, 64, 64, 3), (64, 64, 12), lambda y, x, c, k: (k, y, x, c)),
        ((4, 12, 14, 3), (12, 14, 12), lambda y, x, c, k: (k, y, x, c)),
        ((4, 84, 84, 1), (84, 84, 4), lambda y, x, c, k: (k, y, x, c)),
        ((64, 64, 3, 4), (64, 64, 12), lambda y, x, c, k: (y, x, c, k)),
    ],
)
def test_an_image_becomes_height_width_and_channels(shape, wanted, where) -> None:
    """One pixel set in the third row and the second column, of the last channel and frame."""
    layout, row = flattening(spaces.Box(0, 255, shape, np.uint8))
    assert layout.parts[0].shape == wanted
    frames = shape[3 if shape == (64, 64, 3, 4) else 0] if len(shape) == 4 else 1
    channels = wanted[2] // frames
    pixels = np.zeros(shape, np.uint8)
    pixels[where(2, 1, channels - 1, frames - 1)] = 9
    image = row(pixels).reshape(wanted)
    assert image.dtype == np.uint8
    assert image[2, 1, -1] == 9  # the last channel of the last frame, wherever it was
    assert image.sum() == 9
