"""The tensor code of a control step, as Python or compiled ahead of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from rlgpu.compiler import Function, NotRecordable, Program, Recorded, compile_programs
from rlgpu.envs.environments import Step

_CLOSE = 1e-3
_ALIKE = 0.99
"""Share of the numbers that must be close; an angle may jump by a turn between two roundings."""


class StepCode(NamedTuple):
    """What a control step does before and after the physics."""

    begin: Callable[[Tensor], object]
    """Takes actions, [N, A]."""
    evaluate: Callable[[], Step]
    """Returns the results before any reset."""
    restart: Callable[[Step], Step]
    """Resets ended episodes; returns the step with their new observations."""


class Trial(NamedTuple):
    """What it takes to try the code of a step."""

    actions: Tensor
    """Actions, [N, A]."""
    step_physics: Callable[[], None]
    """Steps the engine."""
    restore: Callable[[], None]
    """Returns to the state before the trial."""


class Compiled(NamedTuple):
    """Code of which as much as possible is compiled."""

    code: StepCode
    """Its steps are overwritten by the next call."""
    reasons: list[str]
    """Why parts are not."""


def compile_steps(
    plain: StepCode,
    trial: Trial,
    owner: object,
    announce: Callable[[], None],
    *,
    restarts: bool = True,
) -> Compiled:
    """Returns the code of a step compiled, after it has stepped the environments a few times.

    Args:
        plain: The code.
        trial: How to try it.
        owner: The task, whose attributes must not be replaced in a step.
        announce: Called before anything is compiled, which takes a while.
        restarts: Whether resets are operations of torch that do not depend on values.

    Raises:
        NoCompiler: There is no C++ compiler.
    """
    first = _tried(plain, trial)
    names = StepCode._fields

    def begin(given: Tensor) -> tuple[Tensor, ...]:
        plain.begin(given)
        return ()

    def restart(*fields: Tensor) -> Step:
        return plain.restart(Step(*fields))

    functions: tuple[Function, ...] = (begin, plain.evaluate, restart)[: 3 if restarts else 2]
    reasons, recorded = [], {}
    args: tuple[Tensor, ...] = (trial.actions.clone(),)
    for name, function in zip(names, functions, strict=False):
        try:
            with _unchanged(owner):
                found = Recorded(function, args)
            recorded[name] = found
        except NotRecordable as error:
            reasons.append(f"{name}: {error}")
        args = ()
        if name == "evaluate":
            args = recorded[name].recording.results if name in recorded else tuple(first.values())
    try:
        programs = compile_programs(list(recorded.values()), announce=announce)
    except NotRecordable as error:
        return Compiled(plain, [str(error)])
    return Compiled(_with(plain, dict(zip(recorded, programs, strict=True))), reasons)


def differing(
    plain: StepCode, code: StepCode, trial: Trial, buffers: Mapping[str, Tensor]
) -> str | None:
    """Returns what differs between two codes after two steps each; None if nothing does.

    Args:
        plain: The one code.
        code: The other.
        trial: How to try them.
        buffers: What else a step changes.
    """
    results = []
    for each in (plain, code):
        trial.restore()
        steps = [_tried(each, trial, scale) for scale in (1.0, -0.5)]
        values = {f"{k} of step {i}": x for i, s in enumerate(steps) for k, x in s.items()}
        results.append(values | {name: x.clone() for name, x in buffers.items()})
    one, other = results
    for name, value in one.items():
        a, b = value.double(), other[name].double()
        close = torch.isclose(a, b, rtol=_CLOSE, atol=_CLOSE, equal_nan=True)
        if close.numel() and float(close.double().mean()) < _ALIKE:
            return name
    return None


def _tried(code: StepCode, trial: Trial, scale: float = 1.0) -> dict[str, Tensor]:
    code.begin(trial.actions * scale)
    trial.step_physics()
    step = code.restart(code.evaluate())
    return {name: value.clone() for name, value in step._asdict().items()}


def _with(plain: StepCode, programs: Mapping[str, Program]) -> StepCode:
    code = plain
    if "begin" in programs:
        code = code._replace(begin=programs["begin"])
    if "evaluate" in programs:
        evaluate = programs["evaluate"]
        code = code._replace(evaluate=lambda: Step(*evaluate()))
    if "restart" in programs:
        restart = programs["restart"]
        code = code._replace(restart=lambda step: Step(*restart(*step)))
    return code


@contextmanager
def _unchanged(owner: object) -> Iterator[None]:
    """Checks that code which is recorded once does not depend on its task's Python values.

    Raises:
        NotRecordable: An attribute was replaced.
    """
    before, failure = _attributes(owner), None
    try:
        yield
    except NotRecordable as error:
        failure = error
    after = _attributes(owner)
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            raise NotRecordable(
                f"{type(owner).__name__}.{name} is replaced in each step; a tensor that is written "
                "in place (copy_) would do"
            ) from failure
    if failure:
        raise failure


def _attributes(owner: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in vars(owner).items():
        if isinstance(value, dict):
            found |= {f"{name}[{key!r}]": _identity(x) for key, x in value.items()}
        elif isinstance(value, list | tuple):
            found[name] = [_identity(x) for x in value]
        else:
            found[name] = _identity(value)
    return found


def _identity(value: object) -> object:
    """Returns what tells a value from another: numbers by value, everything else by identity."""
    return value if isinstance(value, int | float | str | bool | type(None)) else id(value)
