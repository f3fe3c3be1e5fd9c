"""The few calls of NVIDIA's driver library that both sides make, by ctypes.

Memory that one process allocates and another one opens, copies, and events that order the work of
two processes on one GPU.
"""

import ctypes
from typing import Any, List, Tuple

LIBRARY = "libcuda.so.1"
_HANDLE_BYTES = 64  # CUipcMemHandle and CUipcEventHandle
_LAZY_PEER_ACCESS = 1  # the only flag of cuIpcOpenMemHandle
_EVENT_FLAGS = 0x2 | 0x4  # no timing; between processes


class DriverError(Exception):
    """A call of the driver library failed, or there is none."""

    def __init__(self, message: str, fault: str = "") -> None:
        """Keeps the name of the fault if it is a known one, as ``Refused`` does."""
        super().__init__(message)
        self.fault = fault


class _Handle(ctypes.Structure):
    """An opaque handle that is passed by value."""

    _fields_ = [("reserved", ctypes.c_char * _HANDLE_BYTES)]

    @classmethod
    def of(cls, text: str) -> "_Handle":
        """Returns the handle that ``text`` describes."""
        return cls.from_buffer_copy(bytes.fromhex(text))

    def text(self) -> str:
        """Returns the handle as text."""
        return ctypes.string_at(ctypes.byref(self), _HANDLE_BYTES).hex()


_pointer, _size, _int, _handle = ctypes.c_uint64, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p
_SIGNATURES: List[Tuple[str, List[Any]]] = [
    ("cuInit", [ctypes.c_uint]),
    ("cuDriverGetVersion", [ctypes.POINTER(_int)]),
    ("cuDeviceGet", [ctypes.POINTER(_int), _int]),
    ("cuDeviceGetUuid", [ctypes.c_char_p, _int]),
    ("cuDevicePrimaryCtxRetain", [ctypes.POINTER(_handle), _int]),
    ("cuCtxPushCurrent_v2", [_handle]),
    ("cuCtxPopCurrent_v2", [ctypes.POINTER(_handle)]),
    ("cuMemAlloc_v2", [ctypes.POINTER(_pointer), _size]),
    ("cuMemFree_v2", [_pointer]),
    ("cuIpcGetMemHandle", [ctypes.POINTER(_Handle), _pointer]),
    ("cuIpcOpenMemHandle_v2", [ctypes.POINTER(_pointer), _Handle, ctypes.c_uint]),
    ("cuIpcCloseMemHandle", [_pointer]),
    ("cuMemcpyAsync", [_pointer, _pointer, _size, _handle]),
    ("cuStreamSynchronize", [_handle]),
    ("cuEventCreate", [ctypes.POINTER(_handle), ctypes.c_uint]),
    ("cuEventRecord", [_handle, _handle]),
    ("cuStreamWaitEvent", [_handle, _handle, ctypes.c_uint]),
    ("cuEventDestroy_v2", [_handle]),
    ("cuIpcGetEventHandle", [ctypes.POINTER(_Handle), _handle]),
    ("cuIpcOpenEventHandle", [ctypes.POINTER(_handle), _Handle]),
]


class Driver:
    """The driver library, used with a GPU's primary context, which torch and Isaac Gym share."""

    def __init__(self, ordinal: int) -> None:
        """Loads the library and retains the context of a GPU.

        Args:
            ordinal: Index of the GPU among those visible.

        Raises:
            DriverError: There is no library, no such GPU, or the driver refuses.
        """
        self._library = load()
        self._call("cuInit", 0)
        device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(device), ordinal)
        uuid = ctypes.create_string_buffer(16)
        self._call("cuDeviceGetUuid", uuid, device)
        self.uuid = uuid.raw.hex()
        """Identifies the GPU on this machine."""
        self._context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            raise DriverError(f"{name} failed: {_error_name(self._library, code)}")

    def __enter__(self) -> "Driver":
        """Makes the context current; every call below needs that."""
        self._call("cuCtxPushCurrent_v2", self._context)
        return self

    def __exit__(self, *_: object) -> None:
        """Makes the previous context current again."""
        self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def allocate(self, num_bytes: int) -> int:
        """Returns the address of new memory on the GPU."""
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), num_bytes)
        return address.value

    def free(self, address: int) -> None:
        """Frees memory that ``allocate`` returned."""
        self._call("cuMemFree_v2", address)

    def share_memory(self, address: int) -> str:
        """Returns a handle by which another process opens memory."""
        handle = _Handle()
        self._call("cuIpcGetMemHandle", ctypes.byref(handle), address)
        return handle.text()

    def open_memory(self, handle: str) -> int:
        """Returns the address here of another process's memory."""
        address = ctypes.c_uint64()
        self._call(
            "cuIpcOpenMemHandle_v2", ctypes.byref(address), _Handle.of(handle), _LAZY_PEER_ACCESS
        )
        return address.value

    def close_memory(self, address: int) -> None:
        """Closes memory that ``open_memory`` returned."""
        self._call("cuIpcCloseMemHandle", address)

    def copy(self, to: int, source: int, num_bytes: int) -> None:
        """Copies on the default stream, between any two of host and GPU."""
        if num_bytes:
            self._call("cuMemcpyAsync", to, source, num_bytes, None)

    def wait(self) -> None:
        """Waits until the default stream has nothing left to do."""
        self._call("cuStreamSynchronize", None)

    def new_event(self) -> ctypes.c_void_p:
        """Returns an event that another process can open."""
        event = ctypes.c_void_p()
        self._call("cuEventCreate", ctypes.byref(event), _EVENT_FLAGS)
        return event

    def share_event(self, event: ctypes.c_void_p) -> str:
        """Returns a handle by which another process opens an event."""
        handle = _Handle()
        self._call("cuIpcGetEventHandle", ctypes.byref(handle), event)
        return handle.text()

    def open_event(self, handle: str) -> ctypes.c_void_p:
        """Returns another process's event."""
        event = ctypes.c_void_p()
        self._call("cuIpcOpenEventHandle", ctypes.byref(event), _Handle.of(handle))
        return event

    def destroy_event(self, event: ctypes.c_void_p) -> None:
        """Gives an event up."""
        self._call("cuEventDestroy_v2", event)

    def record(self, event: ctypes.c_void_p, stream: int = 0) -> None:
        """Records an event after all work so far on a stream; 0 is the default stream."""
        self._call("cuEventRecord", event, stream or None)

    def wait_for(self, event: ctypes.c_void_p, stream: int = 0) -> None:
        """Makes a stream wait for an event's last record; the CPU goes on."""
        self._call("cuStreamWaitEvent", stream or None, event, 0)


def version() -> int:
    """Returns the newest CUDA version that the driver supports, as 1000 major + 10 minor.

    Raises:
        DriverError: There is no driver.
    """
    number = ctypes.c_int()
    if load().cuDriverGetVersion(ctypes.byref(number)) != 0:
        raise DriverError("NVIDIA's driver does not answer")
    return number.value


def load() -> Any:
    """Returns the driver library with its calls declared.

    Raises:
        DriverError: There is none.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
        for name, arguments in _SIGNATURES:
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, ctypes.c_int
    except (OSError, AttributeError) as error:
        said = f"NVIDIA's driver is not installed ({error})"
        raise DriverError(said, "no_driver") from error
    return library


def _error_name(library: Any, code: int) -> str:
    text = ctypes.c_char_p()
    if library.cuGetErrorName(code, ctypes.byref(text)) == 0 and text.value:
        return f"{text.value.decode()} ({code})"
    return f"error {code}"
