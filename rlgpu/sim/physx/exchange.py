"""The slots as torch tensors, wherever worker and client both reach them.

On the CPU they are one mapping. On a GPU they are one allocation that the worker opens: copies stay
on the device and events order the work of the two processes. Where the driver refuses that, tensors
on the GPU are copied to and from the host's mapping.
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from rlgpu.sim.physx.worker.driver import Driver, DriverError
from rlgpu.sim.physx.worker.protocol import Place, Slot, places, size_of

_PAGE = 2 << 20
_DTYPES = {"f4": torch.float32, "i4": torch.int32}


class Exchange(Protocol):
    """Tensors that the worker reads and writes."""

    way: str
    """Which way numbers go, for the console."""
    tensors: Mapping[str, Tensor]
    """By slot, on the simulation's device."""

    def begin(self) -> None:
        """Makes what was written ready for the worker; call it before the request."""

    def end(self) -> None:
        """Makes what the worker wrote ready here; call it after its answer."""

    @property
    def close(self) -> Callable[[], object]:
        """Gives memory back; the tensors must not be used any more."""


class HostExchange:
    """Tensors that are the mapping itself, for a simulation on the CPU."""

    way = "in shared memory"

    def __init__(self, memory: int, slots: Sequence[Slot]) -> None:
        """Maps the memory.

        Args:
            memory: Descriptor of the file.
            slots: What lies in it.
        """
        where = places(list(slots))
        self._map = mmap.mmap(memory, size_of(where))
        self.tensors: Mapping[str, Tensor] = {
            name: torch.frombuffer(
                self._map,
                dtype=_DTYPES[place.slot.kind],
                count=place.num_bytes // 4,
                offset=place.offset,
            ).view(place.slot.shape)
            if place.num_bytes
            else torch.zeros(place.slot.shape)
            for name, place in where.items()
        }

    def begin(self) -> None:
        """Does nothing: the worker sees what was written."""

    def end(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing: the mapping goes with the last tensor on it."""


class StagedExchange:
    """Tensors on a GPU, copied through the mapping on the host."""

    way = "by way of the host"

    def __init__(self, host: HostExchange, inputs: Sequence[str], device: torch.device) -> None:
        """Allocates the tensors.

        Args:
            host: The mapping.
            inputs: Slots that the worker reads; it writes the others.
            device: The GPU.
        """
        self._host = host.tensors
        self.tensors: Mapping[str, Tensor] = {
            name: tensor.to(device, copy=True) for name, tensor in host.tensors.items()
        }
        self._inputs = [name for name in self.tensors if name in inputs]
        self._results = [name for name in self.tensors if name not in inputs]

    def begin(self) -> None:
        """Copies what was written to the host."""
        for name in self._inputs:
            self._host[name].copy_(self.tensors[name])

    def end(self) -> None:
        """Copies what the worker wrote to the GPU."""
        for name in self._results:
            self.tensors[name].copy_(self._host[name])

    def close(self) -> None:
        """Does nothing: torch owns the memory."""


class ArenaExchange:
    """Tensors in memory on the GPU that the worker opens."""

    way = "in the GPU's memory"

    def __init__(self, slots: Sequence[Slot], device: torch.device) -> None:
        """Allocates memory and events.

        Raises:
            DriverError: The driver refuses to share them.
        """
        where = places(list(slots))
        torch.zeros(1, device=device)  # torch makes its context
        self._driver = Driver(device.index or 0)
        self._device = device
        with self._driver as driver:
            # Other allocations may share a page of the driver's, which is shared as a whole.
            memory = driver.allocate(-(-size_of(where) // _PAGE) * _PAGE)
            self._events = request, result = driver.new_event(), driver.new_event()
            self.close = weakref.finalize(self, _free, driver, memory, self._events)
            """Gives memory and events back; the tensors must not be used any more."""
            self.close.atexit = False  # by then the driver may be gone, and it frees all anyway
            self.handles: Mapping[str, str] = {
                "memory": driver.share_memory(memory),
                "request": driver.share_event(request),
                "result": driver.share_event(result),
                "uuid": driver.uuid,
            }
            """What the worker opens."""
        self.tensors: Mapping[str, Tensor] = {
            name: self._view(memory + place.offset, place) for name, place in where.items()
        }
        for tensor in self.tensors.values():
            tensor.zero_()

    def _view(self, address: int, place: Place) -> Tensor:
        """Returns memory as a tensor, without copying or owning it."""
        array: Any = _Array(address, place)
        return torch.as_tensor(array, device=self._device)

    def _stream(self) -> int:
        """Returns torch's current stream, as the driver knows it."""
        return int(torch.cuda.current_stream(self._device).cuda_stream)

    def begin(self) -> None:
        """Has the worker's copies wait for all work so far."""
        with self._driver as driver:
            driver.record(self._events[0], self._stream())

    def end(self) -> None:
        """Has all later work wait for the worker's copies."""
        with self._driver as driver:
            driver.wait_for(self._events[1], self._stream())


def _free(driver: Driver, memory: int, events: tuple[Any, ...]) -> None:
    with driver:
        for event in events:
            driver.destroy_event(event)
        driver.free(memory)


class _Array:
    """Memory on a GPU, described by the CUDA array interface, from which torch takes it."""

    def __init__(self, address: int, place: Place) -> None:
        self.__cuda_array_interface__ = {
            "shape": place.slot.shape,
            "typestr": f"<{place.slot.kind}",
            "data": (address, False),
            "version": 3,
            "strides": None,
        }


__all__ = [
    "ArenaExchange",
    "DriverError",
    "Exchange",
    "HostExchange",
    "StagedExchange",
]
