"""Observations of any kind as one row of numbers, masks of forbidden actions included.

It imports Gymnasium and NumPy only, like the processes that step the environments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from rlgpu.errors import UsageError
from rlgpu.spaces import ObservationSpace, Part

MASK = "action_mask"
"""Key of a mask, in an observation that is a dictionary or in what ``step`` says beside it."""
_WHOLE = "observations"
"""Name of an observation that has no parts."""


class _Piece(NamedTuple):
    """Some columns, and how they follow from the whole observation."""

    part: Part
    read: Callable[[Any], np.ndarray]


def flattening(
    space: spaces.Space[Any], choices: int | None = None
) -> tuple[ObservationSpace, Callable[[Any], np.ndarray]]:
    """Returns what a space's observations become, and what makes a row of one.

    Args:
        space: Of the observations.
        choices: Number of choices of all actions, which masks are of; 0: actions are numbers, and
            masks plain ones. None: not known.

    Raises:
        UsageError: They cannot be made a row of numbers, or a mask does not fit the actions.
    """
    pieces = _pieces(_WHOLE, space, lambda x: x)
    if choices is not None:
        pieces = [piece._replace(part=_fitted(piece.part, choices)) for piece in pieces]
    parts = tuple(piece.part for piece in pieces)
    is_image = [part.kind for part in parts] == ["image"]
    scales = [255.0 if part.kind == "image" and not is_image else 1.0 for part in parts]
    precise: Literal["float32", "float64"] = "float64" if _needs_double(space) else "float32"
    layout = ObservationSpace(parts, "uint8" if is_image else precise)
    kind = np.dtype(layout.dtype)

    def row(observation: Any) -> np.ndarray:
        if len(pieces) == 1:
            return np.ravel(pieces[0].read(observation)).astype(kind)
        read = (np.ravel(piece.read(observation)) for piece in pieces)
        rows = [values / scale for values, scale in zip(read, scales, strict=True)]
        return np.concatenate(rows, dtype=kind)

    return layout, row


def _fitted(part: Part, choices: int) -> Part:
    """Returns a part with the meaning that it has beside actions of so many choices.

    Raises:
        UsageError: It is a mask of another number of choices.
    """
    if part.kind != "mask":
        return part
    if choices == 0:
        return replace(part, kind="numbers")
    _check_mask(part.size, choices)
    return part


def _check_mask(size: int, wanted: int) -> None:
    """Refuses a mask of another number of choices.

    Raises:
        UsageError: The numbers differ.
    """
    if size != wanted:
        raise UsageError(
            f"its {MASK} has {size} values; wanted {wanted}, one for each choice of its actions",
            key=MASK,
            value=size,
            allowed=[wanted],
        )


def _needs_double(space: spaces.Space[Any]) -> bool:
    """Returns whether float32 may not tell a space's observations apart.

    Float32 is enough for smaller types, for whole numbers up to 2**24, and for bounded numbers if
    its steps are below a millionth of their range.
    """
    if isinstance(space, spaces.Dict | spaces.Tuple):
        children = space.values() if isinstance(space, spaces.Dict) else space
        return any(_needs_double(child) for child in children)
    if not isinstance(space, spaces.Box) or np.can_cast(space.dtype, np.float32):
        return False
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    far = np.maximum(abs(low), abs(high))
    if np.issubdtype(space.dtype, np.integer):
        return bool((far > 2**24).any())
    with np.errstate(all="ignore"):  # infinite bounds
        steps = np.spacing(far.astype(np.float32)).astype(np.float64)
        return not bool((steps <= 1e-6 * (high - low)).all() and np.isfinite(far).all())


def _mask_beside(env: gymnasium.Env[Any, Any]) -> _Piece | None:
    """Returns the mask that an environment has beside its observations, if any."""
    if not isinstance(env.action_space, spaces.Discrete | spaces.MultiDiscrete):
        return None
    part = Part(MASK, (num_choices(env.action_space),), kind="mask")
    method = getattr(env.unwrapped, "action_masks", None)
    if callable(method):
        return _Piece(part, lambda info: np.asarray(method()))
    if MASK in env.reset()[1]:
        return _Piece(part, lambda info: np.asarray(info[MASK]))
    return None


class Flat(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose observations are rows of one of ``ObservationSpace``'s types.

    A mask of forbidden actions is a part of the row. It is looked for where environments have it:
    as ``action_mask`` in the observation or beside it (``info``), or as a method ``action_masks``.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Looks at what the environment observes.

        Raises:
            UsageError: Its observations cannot be made a row of numbers.
        """
        super().__init__(env)
        layout, self._flatten = flattening(env.observation_space, num_choices(env.action_space))
        masked = any(part.kind == "mask" for part in layout.parts)
        self._beside = None if masked else _mask_beside(env)
        if self._beside:
            precise: Literal["float32", "float64"] = (
                "float64" if layout.dtype == "float64" else "float32"
            )
            layout = ObservationSpace((*layout.parts, self._beside.part), precise)
        self.layout = layout
        """What the columns are."""
        low, high = (0, 255) if layout.dtype == "uint8" else (-np.inf, np.inf)
        kind = np.dtype(layout.dtype).type
        self.observation_space = spaces.Box(low, high, (layout.size,), kind)

    def _row(self, observation: Any, info: Mapping[str, Any]) -> np.ndarray:
        row = self._flatten(observation)
        if not self._beside:
            return row
        if row.dtype == np.uint8:
            row = row / np.float32(255)
        kind, mask = np.dtype(self.layout.dtype), np.ravel(self._beside.read(info))
        _check_mask(mask.size, self._beside.part.size)
        return np.concatenate((row, mask), dtype=kind)

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Returns the first row of an episode."""
        observation, info = self.env.reset(**options)
        return self._row(observation, info), {}

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Returns the row after a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._row(observation, info), reward, bool(terminated), bool(truncated), {}


def num_choices(space: spaces.Space[Any]) -> int:
    """Returns the number of choices of all of a space's actions; 0 for numbers."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    return int(np.sum(space.nvec)) if isinstance(space, spaces.MultiDiscrete) else 0


def _pieces(name: str, space: spaces.Space[Any], read: Callable[[Any], Any]) -> list[_Piece]:
    """Returns the columns that an observation becomes.

    Raises:
        UsageError: It has a part that is no number.
    """
    if isinstance(space, spaces.Dict | spaces.Tuple):
        children = space.items() if isinstance(space, spaces.Dict) else enumerate(space)
        return [
            piece
            for key, child in children
            for piece in _pieces(
                _path(name, key), child, partial(_entry, _path(name, key), read, key)
            )
        ]
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return [_box(name, space, read)]
    if isinstance(space, spaces.Discrete):
        first, eye = int(space.start), np.eye(int(space.n), dtype=np.float32)
        return [_Piece(Part(name, (int(space.n),)), lambda x: eye[int(read(x)) - first])]
    if isinstance(space, spaces.MultiDiscrete):
        starts = np.asarray(space.start).ravel()
        eyes = [np.eye(int(n), dtype=np.float32) for n in np.ravel(space.nvec)]

        def one_hots(x: Any) -> np.ndarray:
            values = np.ravel(checked(x)) - starts
            return np.concatenate([eye[i] for eye, i in zip(eyes, values, strict=True)])

        checked = _checked(name, tuple(space.nvec.shape), read)
        return [_Piece(Part(name, (num_choices(space),)), one_hots)]
    raise UsageError(
        f"its {name} are {type(space).__name__}; supported are Box, Discrete, MultiDiscrete, "
        "MultiBinary, and Dict and Tuple of them",
        key=name,
        value=type(space).__name__,
        allowed=["Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple"],
    )


def _path(name: str, key: Any) -> str:
    return str(key) if name == _WHOLE else f"{name}.{key}"


def _entry(name: str, read: Callable[[Any], Any], key: Any, observation: Any) -> Any:
    try:
        return read(observation)[key]
    except (IndexError, KeyError, TypeError) as error:
        said = f"its observation lacks {name}, which its observation_space has; change one of them"
        raise UsageError(said, key=name) from error


def _checked(
    name: str, shape: tuple[int, ...], read: Callable[[Any], Any], *, exactly: bool = False
) -> Callable[[Any], np.ndarray]:
    """Returns what reads a part of an observation and refuses it if its shape is another one.

    Args:
        name: The part.
        shape: Its shape in the space.
        read: Returns it.
        exactly: Whether another shape of the same size is refused, too.
    """
    size = int(np.prod(shape))

    def checked(observation: Any) -> np.ndarray:
        values = np.asarray(read(observation))
        if values.size != size or (exactly and values.shape != shape):
            raise UsageError(
                f"the shape of its {name} is {list(values.shape)}, but in its observation_space "
                f"{list(shape)}; change one of them",
                key=name,
                value=values.shape,
                allowed=[shape],
            )
        return values

    return checked


def _box(name: str, space: spaces.Box | spaces.MultiBinary, read: Callable[[Any], Any]) -> _Piece:
    shape = tuple(space.shape)
    checked = _checked(name, shape, read)
    if name.rpartition(".")[2] == MASK:
        return _Piece(Part(name, (int(np.prod(shape)),), kind="mask"), checked)
    if not (space.dtype == np.uint8 and len(shape) in (2, 3, 4) and isinstance(space, spaces.Box)):
        return _Piece(Part(name, (int(np.prod(shape)),)), lambda x: np.ravel(checked(x)))

    size = _upright(np.zeros(shape, np.uint8)).shape
    image = _checked(name, shape, read, exactly=True)
    return _Piece(Part(name, size, kind="image"), lambda x: _upright(image(x)))


def _upright(pixels: Any) -> np.ndarray:
    """Returns an image as height, width and channels; stacked images are more channels."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 2:
        return pixels[..., None]
    if pixels.ndim == 4:
        rows, columns, *others = pixels.shape
        if rows == columns > max(others):  # stacked at the end
            return pixels.reshape(rows, columns, -1)
        if _is_channels_first(pixels.shape[1:]):
            return np.moveaxis(pixels.reshape(-1, *others), 0, -1)
        return np.moveaxis(pixels, 0, -2).reshape(*pixels.shape[1:3], -1)
    return np.moveaxis(pixels, 0, -1) if _is_channels_first(pixels.shape) else pixels


def _is_channels_first(shape: tuple[int, ...]) -> bool:
    """Returns whether an image's channels come first, as far as its shape tells.

    Two equal sizes are height and width, at the end or at the beginning; without them, there are
    fewer channels than pixels. An image of three equal sizes has its channels last, as Gymnasium's
    rendering has.
    """
    first, middle, last = shape
    if middle in (first, last):
        return middle == last != first
    return first < last
