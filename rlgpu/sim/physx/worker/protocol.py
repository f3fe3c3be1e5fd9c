"""How client and worker talk: messages over a socket, numbers in memory that both have mapped.

A message is its length, 8 bytes little-endian, and a JSON object. The client asks, the worker
answers each request once. Numbers lie in slots of one piece of memory, which has no name: it is
inherited, and gone with the last process that has it.
"""

import json
import struct
from typing import Any, Dict, List, NamedTuple, Tuple

VERSION = 2
"""Both sides must have the same."""
_ALIGNMENT = 256
_LENGTH = struct.Struct("<Q")

Message = Dict[str, Any]
INPUTS = (
    "efforts",
    "positions",
    "forces",
    "reset_root",
    "reset_dof",
    "reset_root_ids",
    "reset_dof_ids",
    "reset_count",
)
"""Slots that the worker reads; it writes the others."""
_BYTES = {"f4": 4, "i4": 4}
"""Bytes of an element by NumPy's short name of its type."""


class Slot(NamedTuple):
    """An array that both sides see."""

    name: str
    kind: str
    """NumPy's short name of the type of its elements."""
    shape: Tuple[int, ...]


class Place(NamedTuple):
    """Where an array lies in the memory."""

    offset: int
    """From the beginning [bytes]."""
    num_bytes: int
    slot: Slot


class Closed(Exception):
    """The other side is gone."""


def places(slots: List[Slot]) -> Dict[str, Place]:
    """Returns where each slot lies, by name; the same on both sides."""
    found: Dict[str, Place] = {}
    offset = 0
    for slot in slots:
        count = _BYTES[slot.kind]
        for length in slot.shape:
            count *= length
        found[slot.name] = Place(offset, count, slot)
        offset += -(-count // _ALIGNMENT) * _ALIGNMENT
    return found


def size_of(found: Dict[str, Place]) -> int:
    """Returns the bytes that all slots need, at least one page."""
    ends = [place.offset + place.num_bytes for place in found.values()]
    return max([*ends, 4096])


def send(connection: Any, message: Message) -> None:
    """Sends a message.

    Raises:
        Closed: The other side is gone.
    """
    body = json.dumps(message).encode()
    try:
        connection.sendall(_LENGTH.pack(len(body)) + body)
    except ConnectionError as error:
        raise Closed(str(error)) from error


def receive(connection: Any) -> Message:
    """Waits for a message and returns it; a deadline is the connection's timeout.

    Raises:
        Closed: The other side is gone.
        socket.timeout: Nothing arrived in time.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    message: Message = json.loads(_exactly(connection, length).decode())
    return message


def _exactly(connection: Any, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        try:
            part = connection.recv(count - len(parts))
        except ConnectionError as error:
            raise Closed(str(error)) from error
        if not part:
            raise Closed("the connection was closed")
        parts += part
    return bytes(parts)
