"""Plain records with typed fields, as native bindings offer them.

Assigning an unknown name or a value of another type raises, and assigning a record copies it: after
``pose.p = v``, changing ``v`` leaves ``pose`` as it is, while ``pose.p.x = 1`` changes ``pose``.
Floats read back as single precision holds them: after ``params.dt = 0.01``, 0.009999999776482582.
"""

from __future__ import annotations

import copy
import ctypes
import operator
from enum import IntEnum
from functools import cache
from typing import Any, Generic, Self, TypeVar, cast, overload

import numpy as np

T = TypeVar("T")


def converted(value: Any, kind: type, name: str) -> Any:
    """Returns a value as native bindings convert it to a type.

    Args:
        value: Any value.
        kind: ``bool``, ``int``, ``float``, ``str``, an enumeration or a record.
        name: What the value is for; begins the message.

    Raises:
        TypeError: There is no such conversion.
    """
    try:
        if kind is float and not isinstance(value, str):
            # An array of one element counts as a number.
            return float(value.item() if hasattr(value, "item") else value)
        if kind is bool and not isinstance(value, str):
            return bool(value)
        if kind is int:
            return operator.index(value)
    except (TypeError, ValueError):
        pass
    else:
        value = struct_of(value, kind)
        if isinstance(value, kind):
            return copy.copy(value) if isinstance(value, Record) else value
    raise TypeError(
        f"{name}: expected {kind.__name__}, got {value!r} of type {type(value).__name__}"
    )


def struct_of(value: Any, kind: type) -> Any:
    """Returns the record that a single element of a structured array is; else the value itself.

    Args:
        value: Any value, such as ``states["pose"][0]``.
        kind: The type that is wanted; only an element of its layout is converted.
    """
    layout = getattr(kind, "dtype", None)
    is_element = isinstance(value, np.void | np.ndarray) and value.size == 1
    if is_element and layout is not None and value.dtype.names == layout.names:
        return kind.from_buffer(value)  # type: ignore[attr-defined]
    return value


def single(value: float) -> float:
    """Returns a number rounded to single precision, in which C structs hold it."""
    return ctypes.c_float(value).value


class Field(Generic[T]):
    """A typed field of a record; its type is that of its default. Floats are single precision."""

    def __init__(self, default: T) -> None:
        self._kind: type = type(default)
        self._default = cast(T, single(default)) if isinstance(default, float) else default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, record: None, owner: type) -> Self: ...
    @overload
    def __get__(self, record: Record, owner: type) -> T: ...
    def __get__(self, record: Record | None, owner: type) -> T | Self:
        if record is None:
            return self
        values = record.__dict__
        if self._name not in values:
            values[self._name] = copy.copy(self._default)
        return cast(T, values[self._name])

    def __set__(self, record: Record, value: T) -> None:
        name = f"{type(record).__name__}.{self._name}"
        given = converted(value, self._kind, name)
        record.__dict__[self._name] = single(given) if self._kind is float else given


class Record:
    """Base of all records; a subclass declares ``Field``s."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(getattr(type(self), name, None), Field | property):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__setattr__(name, value)

    @classmethod
    @cache
    def fields(cls) -> tuple[str, ...]:
        """Returns the names of the fields, in the order of declaration."""
        return tuple(
            name
            for kind in reversed(cls.__mro__)
            for name, value in vars(kind).items()
            if isinstance(value, Field)
        )

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(
            (name, value.__copy__() if isinstance(value, Record) else value)
            for name, value in self.__dict__.items()
        )
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.fields())

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={_shown(getattr(self, name))}" for name in self.fields())
        return f"{type(self).__name__}({inside})"


def _shown(value: Any) -> str:
    return value.name if isinstance(value, IntEnum) else repr(value)
