"""What values a key takes: stated in the type of its field, checked and printed from there.

``gamma: Annotated[float, Range(0, 1)] = 0.99``. Without a statement, numbers are finite, texts
are printable and neither texts nor lists are longer than 1000.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from rlgpu.errors import UsageError, shown

LONGEST = 1000
"""Most characters of a text, most elements of a list."""
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included unless ``above`` leaves out ``low``."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    infinite: bool = False
    """Whether infinity is allowed."""
    or_zero: bool = False
    """Whether 0 is allowed although it is beyond the range: it turns something off."""

    def __contains__(self, value: float) -> bool:
        """Returns whether a number is allowed; NaN never is."""
        if isinstance(value, float) and math.isinf(value) and not self.infinite:
            return False
        if self.or_zero and value == 0:
            return True
        return (value > self.low if self.above else value >= self.low) and value <= self.high

    def __str__(self) -> str:
        """Returns the range in words."""
        low, high = _written(self.low), _written(self.high)
        if self.low == -math.inf:
            return "a finite number" if self.high == math.inf else f"at most {high}"
        if self.high == math.inf:
            return f"above {low}" if self.above else f"at least {low}"
        text = f"above {low}, at most {high}" if self.above else f"from {low} to {high}"
        return f"{text}, or 0" if self.or_zero else text


@dataclass(frozen=True)
class Length:
    """Lists of ``least`` to ``most`` elements."""

    least: int
    most: int

    def __str__(self) -> str:
        """Returns the lengths in words."""
        return f"{self.least} to {self.most} of them"


@dataclass(frozen=True)
class Span:
    """Lists of a least and a largest number."""

    optional: bool = False
    """Whether the list may be empty, too."""

    def __contains__(self, value: Sequence[float]) -> bool:
        """Returns whether a list is allowed."""
        if not value:
            return self.optional
        return len(value) == 2 and value[0] <= value[1]

    def __str__(self) -> str:
        """Returns what is allowed."""
        return "two numbers, the smaller one first" + (", or none" if self.optional else "")


@dataclass(frozen=True)
class Text:
    """Texts that match a pattern."""

    pattern: str
    meaning: str
    """What the pattern allows, in words."""

    def __str__(self) -> str:
        """Returns what is allowed."""
        return self.meaning


# 64-bit sizes overflow beyond; nothing that fits in memory is as large.
Count = Annotated[int, Range(1, 2**31 - 1)]
Size = Annotated[int, Range(0, 2**31 - 1)]
Fraction = Annotated[float, Range(0.0, 1.0)]
NonNegative = Annotated[float, Range(0.0)]
Positive = Annotated[float, Range(0.0, above=True)]

_LIMITS = (Range, Length, Span, Text)
_WHOLE = Range(-(2**63), 2**63 - 1)


def hints_of(schema: type) -> dict[str, Any]:
    """Returns the annotated type of every field of a dataclass."""
    return get_type_hints(schema, include_extras=True)


def parts_of(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Returns a type without its annotations, and the limits among them."""
    if get_origin(hint) is not Annotated:
        return hint, ()
    kind, *extras = get_args(hint)
    return kind, tuple(extra for extra in extras if isinstance(extra, _LIMITS))


def allowed(hint: Any) -> str:
    """Returns the values that a type allows, in words."""
    kind, limits = parts_of(hint)
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_origin(kind) is list:
        inner, inner_limits = parts_of(get_args(kind)[0])
        examples = {int: "[64,32]", str: "[hip,knee]"}
        example = f"a list such as {examples.get(inner, '[0.25,0.5]')}"
        return ", ".join([example, *_each(inner_limits, limits)])
    if get_origin(kind) is dict:
        inner, inner_limits = parts_of(get_args(kind)[1])
        example = "[0,0,0.1]" if get_origin(inner) is list else "1.5" if inner is float else "name"
        return ", ".join(
            ["a mapping such as {name: " + example + "}", *_each(inner_limits, limits)]
        )
    what = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
    words = [] if limits and kind is str else [what.get(kind, str(kind))]
    return " ".join([*words, *map(str, limits)])


def _each(of_elements: Sequence[Any], of_whole: Sequence[Any]) -> list[str]:
    """Returns the limits of a list's or mapping's elements and of the whole, in words."""
    return [*(f"each {limit}" for limit in of_elements), *map(str, of_whole)]


def convert(key: str, value: Any, hint: Any) -> Any:
    """Returns a value as the type of its key, as long as nothing is lost.

    Types other than bool, int, float, str, Literal, and lists of them and mappings from names to
    them, are returned unchanged.

    Raises:
        UsageError: The value is of another type or beyond the limits.
    """
    kind, limits = parts_of(hint)
    if get_origin(kind) in (Union, UnionType) and type(None) in get_args(kind):
        others = [part for part in get_args(kind) if part is not type(None)]
        return value if value is None or len(others) > 1 else convert(key, value, others[0])
    if kind not in _CONVERTERS and get_origin(kind) not in (list, dict, Literal):
        return value
    try:
        if get_origin(kind) is list:
            inner = get_args(kind)[0]
            if not isinstance(value, list) or len(value) > LONGEST:
                raise TypeError
            converted: Any = [convert(key, element, inner) for element in value]
        elif get_origin(kind) is dict:
            inner = get_args(kind)[1]
            if not isinstance(value, Mapping) or len(value) > LONGEST:
                raise TypeError
            names = {_text(name): part for name, part in value.items()}
            converted = {
                name: convert(f"{key}.{name}", part, inner) for name, part in names.items()
            }
        elif get_origin(kind) is Literal:
            converted = value
            if value not in get_args(kind):
                raise TypeError
        else:
            converted = _CONVERTERS[kind](value)
    except (TypeError, ValueError, OverflowError):
        raise _refusal(key, value, f"expected {allowed(hint)}", kind) from None
    _check(key, converted, limits)
    return converted


def _refusal(key: str, value: Any, reason: str, allowed: Any) -> UsageError:
    """Returns the refusal of a value, with what is allowed: a limit, values, or else a type."""
    every = get_args(allowed) if get_origin(allowed) is Literal else (allowed,)
    return UsageError(f"{key}={shown(value)}: {reason}", key=key, value=value, allowed=every)


def _check(key: str, value: Any, limits: tuple[Any, ...]) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        limit = next((x for x in limits if isinstance(x, Range)), None)
        default = _WHOLE if isinstance(value, int) else Range()
        wanted = limit or default
        if value not in wanted:
            raise _refusal(key, value, f"must be {_described(value, wanted)}", wanted)
    for limit in limits:
        if isinstance(limit, Length) and not limit.least <= len(value) <= limit.most:
            raise _refusal(key, value, f"must have {limit}", limit)
        if isinstance(limit, Span) and value not in limit:
            raise _refusal(key, value, f"must be {limit}", limit)
        if isinstance(limit, Text) and not re.fullmatch(limit.pattern, value):
            raise _refusal(key, value, f"must be {limit}", limit)


def _described(value: float, wanted: Range) -> str:
    """Returns what is allowed; for NaN and infinity, also that they are not."""
    text = str(wanted)
    if math.isfinite(value) or text == str(Range()):
        return text
    return f"a {'number' if wanted.infinite else 'finite number'}, {text}"


def check_fields(config: Any, prefix: str = "") -> None:
    """Checks every field of a configuration against the limits that its type states.

    Raises:
        UsageError: A value is beyond them.
    """
    hints = hints_of(type(config))
    for name in (field.name for field in fields(config)):
        value = getattr(config, name)
        if is_dataclass(value):
            check_fields(value, f"{prefix}{name}.")
        else:
            convert(f"{prefix}{name}", value, hints[name])


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _truth(value: Any) -> bool:
    word = str(value).lower()
    if word not in (*_TRUE, *_FALSE):
        raise TypeError
    return word in _TRUE


def _text(value: Any) -> str:
    if isinstance(value, list | Mapping) or value is None:
        raise TypeError
    text = str(value)
    if len(text) > LONGEST or not text.isprintable():
        raise ValueError
    return text


_CONVERTERS: Mapping[Any, Any] = {int: _whole, float: _number, bool: _truth, str: _text}


def _written(value: float) -> str:
    if 0 < abs(value) < 1:
        return f"{value:g}"
    return str(int(value)) if value == int(value if math.isfinite(value) else 0) else f"{value:g}"
