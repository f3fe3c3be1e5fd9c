"""The API's tensor descriptor."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor as Torch

from rlgpu.isaacgym.records.enums import TensorDataType

_TYPES = {
    torch.float32: TensorDataType.DTYPE_FLOAT32,
    torch.int32: TensorDataType.DTYPE_UINT32,
    torch.int64: TensorDataType.DTYPE_UINT64,
    torch.uint8: TensorDataType.DTYPE_UINT8,
    torch.int16: TensorDataType.DTYPE_INT16,
}
_NAMES = {
    TensorDataType.DTYPE_FLOAT32: "<f4",
    TensorDataType.DTYPE_UINT32: "<i4",
    TensorDataType.DTYPE_UINT64: "<i8",
    TensorDataType.DTYPE_UINT8: "|u1",
    TensorDataType.DTYPE_INT16: "<i2",
}


class Tensor:
    """Describes a buffer: a torch tensor's, or one that a script describes by its address."""

    def __init__(self, tensor: Torch | None = None) -> None:
        self._tensor = tensor
        self._address, self._device = 0, -1
        self._shape: tuple[int, ...] = (0,)
        self._dtype = TensorDataType.DTYPE_FLOAT32
        if tensor is not None:
            self._address, self._shape = tensor.data_ptr(), tuple(tensor.shape)
            self._device = (tensor.device.index or 0) if tensor.is_cuda else -1
            self._dtype = _TYPES[tensor.dtype]

    @property
    def torch(self) -> Torch:
        """The buffer as a torch tensor."""
        if self._tensor is None:
            self._tensor = self._described()
        return self._tensor

    def _described(self) -> Torch:
        """Returns the tensor at the address that a script gave."""
        kind = next(k for k, v in _TYPES.items() if v == self._dtype)
        if self._address == 0:
            return torch.zeros(self._shape, dtype=kind)
        if self._device >= 0:
            return torch.as_tensor(_OnGpu(self), device=torch.device("cuda", self._device))
        count = math.prod(self._shape)
        memory = (ctypes.c_char * (count * kind.itemsize)).from_address(self._address)
        return torch.frombuffer(memory, dtype=kind).view(self._shape)

    @property
    def data_address(self) -> int:
        """Address of the first element."""
        return self._address

    @data_address.setter
    def data_address(self, value: int) -> None:
        self._address, self._tensor = _whole("data_address", value), None

    @property
    def data_ptr(self) -> int:
        """Address of the first element."""
        return self._address

    @property
    def device(self) -> int:
        """Index of the GPU, -1 for the CPU."""
        return self._device

    @device.setter
    def device(self, value: int) -> None:
        self._device, self._tensor = _whole("device", value), None

    @property
    def dtype(self) -> TensorDataType:
        """Type of the elements."""
        return self._dtype

    @dtype.setter
    def dtype(self, value: TensorDataType) -> None:
        if not isinstance(value, TensorDataType):
            raise TypeError(f"dtype must be a TensorDataType, got {type(value).__name__}")
        self._dtype, self._tensor = value, None

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self._shape

    @shape.setter
    def shape(self, value: Sequence[int]) -> None:
        self._shape, self._tensor = tuple(_whole("shape", length) for length in value), None

    @property
    def own_data(self) -> bool:
        """Whether the buffer belongs to this object: never."""
        return False

    @own_data.setter
    def own_data(self, value: bool) -> None:
        if value:
            raise ValueError("own_data: a descriptor does not own its buffer")


class _OnGpu:
    """A described buffer on a GPU, as the CUDA array interface has it."""

    def __init__(self, tensor: Tensor) -> None:
        self.__cuda_array_interface__: dict[str, Any] = {
            "shape": tensor.shape,
            "typestr": _NAMES[tensor.dtype],
            "data": (tensor.data_address, False),
            "version": 3,
            "strides": None,
        }


def _whole(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}")
    return value
