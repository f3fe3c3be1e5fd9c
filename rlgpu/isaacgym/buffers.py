"""The API's tensor descriptor."""

from __future__ import annotations

import torch

from rlgpu.isaacgym.enums import TensorDataType

_TYPES = {
    torch.float32: TensorDataType.DTYPE_FLOAT32,
    torch.int32: TensorDataType.DTYPE_UINT32,
    torch.int64: TensorDataType.DTYPE_UINT64,
    torch.uint8: TensorDataType.DTYPE_UINT8,
    torch.int16: TensorDataType.DTYPE_INT16,
}


class Tensor:
    """Describes a buffer; keeps the torch tensor alive that owns or views it."""

    def __init__(self, tensor: torch.Tensor | None = None) -> None:
        self.torch = torch.zeros(0) if tensor is None else tensor

    @property
    def data_address(self) -> int:
        """Address of the first element."""
        return self.torch.data_ptr()

    @property
    def data_ptr(self) -> int:
        """Address of the first element."""
        return self.torch.data_ptr()

    @property
    def device(self) -> int:
        """Index of the GPU, -1 for the CPU."""
        return self.torch.device.index or 0 if self.torch.is_cuda else -1

    @property
    def dtype(self) -> TensorDataType:
        """Type of the elements."""
        return _TYPES[self.torch.dtype]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.torch.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return tuple(self.torch.shape)

    @property
    def own_data(self) -> bool:
        """Whether the buffer belongs to this object: never."""
        return False
