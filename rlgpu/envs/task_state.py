"""What a task holds: which of it is replaced, and how to return to what it was."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgpu.errors import WrongShape

_PLAIN = (int, float, complex, str, bytes, bool, type(None))


class TaskState:
    """A task's attributes, in whatever objects, lists and dictionaries it keeps them.

    Random states of torch, NumPy and Python belong to it.
    """

    def __init__(self, task: object, others: Collection[object]) -> None:
        """Notes everything.

        Args:
            task: The task.
            others: Objects that are not the task's own, such as the engine.
        """
        self._task, self._others = task, others
        self._found = dict(_walk(task, others))
        self._contents = {name: _contents(value) for name, value in self._found.items()}
        self._tensors = [
            (x, x.clone()) for x in self._found.values() if isinstance(x, Tensor) and _is_own(x)
        ]
        self._random = torch.get_rng_state(), np.random.get_state(), random.getstate()

    def replaced(self) -> str | None:
        """Returns the name of an attribute that is another object or number now; None if none."""
        now = dict(_walk(self._task, self._others))
        for name in {**self._found, **now}:
            before, after = self._found.get(name, now), now.get(name, self._found)
            same = before == after if isinstance(before, _PLAIN) else before is after
            if not same or type(before) is not type(after):
                return f"{type(self._task).__name__}{name}"
        return None

    def restore(self) -> None:
        """Returns to what was noted."""
        for name, contents in self._contents.items():
            value: Any = self._found[name]
            if isinstance(value, list):
                value[:] = contents
            elif isinstance(value, dict):
                value.clear()
                value.update(contents)
            elif contents is not None:
                value.__dict__.clear()
                value.__dict__.update(contents)
        for tensor, before in self._tensors:
            tensor.copy_(before)
        torch_state, numpy_state, python_state = self._random
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def _contents(value: object) -> Any:
    """Returns a copy of what an object holds; None if it is not a container."""
    if isinstance(value, list | dict):
        return value.copy()
    return dict(vars(value)) if _has_attributes(value) else None


def _walk(task: object, others: Collection[object]) -> Iterator[tuple[str, object]]:
    """Yields every object that a task holds, with its name, once."""
    seen = {id(other) for other in others}
    waiting: list[tuple[str, Any]] = [("", task)]
    while waiting:
        name, value = waiting.pop()
        if not isinstance(value, _PLAIN):
            if id(value) in seen:
                continue
            seen.add(id(value))
        yield name, value
        if isinstance(value, dict):
            waiting += [(f"{name}[{key!r}]", x) for key, x in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(f"{name}[{i}]", x) for i, x in enumerate(value)]
        elif _has_attributes(value):
            waiting += [(f"{name}.{key}", x) for key, x in vars(value).items()]


def _has_attributes(value: object) -> bool:
    """Returns whether an object is one of a task's own kinds, which keep attributes."""
    module = type(value).__module__.partition(".")[0]
    is_library = module in ("torch", "numpy", "builtins", "mujoco")
    return hasattr(value, "__dict__") and not is_library and not isinstance(value, type)


def _is_own(tensor: Tensor) -> bool:
    """Returns whether every element has memory of its own, so that a tensor can be written."""
    return all(n <= 1 or s for n, s in zip(tensor.shape, tensor.stride(), strict=True))


def restore_buffers(buffers: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copies saved buffers into those of the same names.

    Raises:
        WrongShape: A buffer was not saved.
    """
    if missing := [name for name in buffers if name not in saved]:
        raise WrongShape(
            f"it has no {', '.join(missing)}, which the environments have now (another version of "
            "the task, or other settings); weights_only=True takes only the weights",
            name=missing[0],
            found=None,
            wanted=tuple(buffers[missing[0]].shape),
        )
    for name, buffer in buffers.items():
        buffer.copy_(saved[name])
