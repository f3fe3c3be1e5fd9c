"""The bridge between simulation buffers and torch: ``isaacgym.gymtorch``."""

from __future__ import annotations

import torch

from rlgpu.isaacgym.records.buffers import Tensor

# Scripts import everything from here, and mean torch's tensors by ``Tensor``.
__all__ = ["torch", "unwrap_tensor", "wrap_tensor"]

_TYPES = (torch.float32, torch.int32, torch.uint8, torch.int16, torch.int64)


def wrap_tensor(gym_tensor: Tensor | None) -> torch.Tensor | None:
    """Returns a torch tensor over a simulation buffer; both share memory for the sim's life.

    Args:
        gym_tensor: What an ``acquire_..._tensor`` call returned; None, of a scene without such
            quantities, gives None.
    """
    if gym_tensor is not None and not isinstance(gym_tensor, Tensor):
        raise TypeError(f"wrap_tensor takes a gymapi.Tensor, got {type(gym_tensor).__name__}")
    return None if gym_tensor is None else gym_tensor.torch


def unwrap_tensor(torch_tensor: torch.Tensor) -> Tensor:
    """Returns a descriptor of a torch tensor, for calls that read from it.

    Args:
        torch_tensor: A contiguous tensor.

    Raises:
        TypeError: It is no tensor, or of a type that the API does not have.
        ValueError: It is not contiguous.
    """
    if not isinstance(torch_tensor, torch.Tensor):
        raise TypeError(f"unwrap_tensor takes a torch tensor, got {type(torch_tensor).__name__}")
    if not torch_tensor.is_contiguous():
        raise ValueError("Input tensor must be contiguous; pass tensor.contiguous()")
    if torch_tensor.dtype not in _TYPES:
        raise TypeError(
            f"unwrap_tensor: {torch_tensor.dtype} is not a type of the API; allowed are "
            f"{', '.join(map(str, _TYPES))}"
        )
    return Tensor(torch_tensor)
