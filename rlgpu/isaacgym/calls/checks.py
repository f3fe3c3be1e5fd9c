"""Argument checks as strict as native bindings': no int for an environment, no int for an enum."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from enum import IntEnum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from rlgpu.isaacgym.records.fields import struct_of

C = TypeVar("C", bound=type)
_Method = TypeVar("_Method", bound=Callable[..., Any])


def strict(cls: C) -> C:
    """Checks the arguments of all public methods of a class by their annotations."""
    for name, method in list(vars(cls).items()):
        if callable(method) and not name.startswith("_"):
            setattr(cls, name, _checking(method))
    return cls


def idle(method: _Method) -> _Method:
    """Marks a call that does nothing here, for the table of all calls."""
    method.__dict__["is_idle"] = True
    return method


def _checking(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)
    hints = get_type_hints(method)
    checks = {n: _fitting(hints[n]) for n in signature.parameters if n in hints}
    names = list(signature.parameters)

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        # Positions beyond the parameters are left for the call itself to refuse.
        given = [
            _check(method, names[i], value, checks) if i < len(names) else value
            for i, value in enumerate(args)
        ]
        named = {name: _check(method, name, value, checks) for name, value in kwargs.items()}
        return method(*given, **named)

    return wrapper


def _check(
    method: Callable[..., Any], name: str, value: Any, checks: dict[str, Callable[[Any], Any]]
) -> Any:
    if name not in checks:
        return value
    try:
        return checks[name](value)
    except TypeError as error:
        raise TypeError(
            f"{method.__name__}(): argument {name!r} must be {error}, got "
            f"{type(value).__name__} ({str(value)[:60]})"
        ) from None


def _fitting(kind: Any) -> Callable[[Any], Any]:
    """Returns a function that converts a value to a type, or raises ``TypeError`` of its name."""
    if kind is Any:
        return lambda value: value
    if get_origin(kind) in (Union, UnionType):
        options = [_fitting(option) for option in get_args(kind)]
        return lambda value: _first(options, value, kind)
    plain = get_origin(kind) or kind
    convert = {float: _number, int: _whole, list: _list, np.ndarray: _array}.get(plain)
    return convert or (lambda value: _instance(value, plain))


def _first(options: list[Callable[[Any], Any]], value: Any, kind: Any) -> Any:
    for option in options:
        try:
            return option(value)
        except TypeError:
            continue
    names = [t.__name__ for t in get_args(kind) if t is not NoneType]
    raise TypeError(" or ".join(names))


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise TypeError("a number")
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError):
        raise TypeError("a number") from None


def _whole(value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError("an int") from None


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple | np.ndarray):
        raise TypeError("a list")
    return list(value)


def _array(value: Any) -> np.ndarray:
    if not isinstance(value, list | tuple) and not hasattr(value, "__array__"):
        raise TypeError("an array")
    return np.asarray(value)


def _instance(value: Any, kind: type) -> Any:
    if kind is bool:
        if isinstance(value, bool | np.bool_ | int):
            return bool(value)
        raise TypeError("a bool")
    value = struct_of(value, kind)
    if not isinstance(value, kind):
        raise TypeError(
            f"a member of {kind.__name__}"
            if issubclass(kind, IntEnum)
            else f"of type {kind.__name__}"
        )
    return value
