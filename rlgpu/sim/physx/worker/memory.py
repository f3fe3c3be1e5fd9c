"""Where numbers go: memory of the host, or memory on the GPU, that both sides have opened."""

import ctypes
import mmap
from typing import Any, Dict, Optional

import numpy as np

from .driver import Driver, DriverError
from .protocol import Place


class HostMemory:
    """Slots in memory of the host that both processes have mapped."""

    def __init__(self, file: int, num_bytes: int, slots: Dict[str, Place]) -> None:
        """Maps an inherited file without a name.

        Args:
            file: Its descriptor.
            num_bytes: Its size.
            slots: What lies where.
        """
        self._map = mmap.mmap(file, num_bytes)
        self._slots = slots
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    def array(self, name: str) -> Any:
        """Returns a slot as an array."""
        place = self._slots[name]
        flat = np.frombuffer(self._map, place.slot.kind, place.num_bytes // 4, place.offset)
        return flat.reshape(place.slot.shape)

    def address(self, name: str) -> int:
        """Returns the address of a slot."""
        return self._base + self._slots[name].offset


class Transfer:
    """Copies between Isaac Gym's tensors and slots, and orders that with the client's work.

    On the CPU the two take turns anyway. With a driver, tensors are on the GPU and slots are
    either there too, where events order the work, or on the host.
    """

    def __init__(
        self, host: HostMemory, slots: Dict[str, Place], driver: Optional[Driver] = None
    ) -> None:
        """Begins with the host's memory.

        Args:
            host: Memory on the host.
            slots: What lies where, in either memory.
            driver: The driver, if tensors are on a GPU.
        """
        self._host, self._slots, self._driver = host, slots, driver
        self._arena = 0

    def open_arena(self, arena: Dict[str, str]) -> None:
        """Has slots in the GPU's memory from now on.

        Args:
            arena: Handles of ``memory`` on the GPU and of the events ``request`` and ``result``,
                and the ``uuid`` of the GPU.

        Raises:
            DriverError: It cannot be opened; nothing has changed.
        """
        driver = self._driver
        assert driver is not None
        if driver.uuid != arena["uuid"]:
            raise DriverError("the worker's GPU is not torch's")
        with driver:
            self._request = driver.open_event(arena["request"])
            self._result = driver.open_event(arena["result"])
            self._arena = driver.open_memory(arena["memory"])

    @property
    def has_arena(self) -> bool:
        """Whether slots are in the GPU's memory."""
        return bool(self._arena)

    def address(self, name: str) -> int:
        """Returns the address of a slot that Isaac Gym can read from where it reads tensors.

        Only if ``is_direct``.
        """
        if self._arena:
            return self._arena + self._slots[name].offset
        return self._host.address(name)

    @property
    def is_direct(self) -> bool:
        """Whether slots are in memory that Isaac Gym's calls can read."""
        return self._driver is None or bool(self._arena)

    def begin(self) -> None:
        """Orders what follows after the client's work so far."""
        if self._arena and self._driver is not None:
            with self._driver as driver:
                driver.wait_for(self._request)

    def end(self) -> None:
        """Makes what was copied ready for the client."""
        if self._driver is None:
            return
        with self._driver as driver:
            if self._arena:
                driver.record(self._result)
            else:
                driver.wait()

    def read_int(self, name: str) -> int:
        """Returns the only number of a slot."""
        if not self._arena or self._driver is None:
            return int(self._host.array(name)[0])
        value = ctypes.c_int32()
        with self._driver as driver:
            driver.copy(ctypes.addressof(value), self.address(name), 4)
            driver.wait()
        return value.value

    def store(self, name: str, source: int) -> None:
        """Copies from an address of Isaac Gym's into a slot."""
        self._copy(self.address(name), source, self._slots[name].num_bytes)

    def fetch(self, name: str, to: int) -> None:
        """Copies a slot to an address that Isaac Gym can read."""
        self._copy(to, self.address(name), self._slots[name].num_bytes)

    def _copy(self, to: int, source: int, num_bytes: int) -> None:
        if self._driver is None:
            ctypes.memmove(to, source, num_bytes)
        else:
            with self._driver as driver:
                driver.copy(to, source, num_bytes)

    def close(self) -> None:
        """Closes what the client shares."""
        if self._arena and self._driver is not None:
            with self._driver as driver:
                driver.close_memory(self._arena)
            self._arena = 0
