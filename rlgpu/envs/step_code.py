"""The tensor code of a control step, as Python or compiled ahead of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from rlgpu.compiler import Function, NotRecordable, Program, Recorded, compile_programs
from rlgpu.envs.environments import Step
from rlgpu.envs.task_state import TaskState

_CLOSE = 1e-4
"""Largest difference of two codes, as a share of the largest number of a column."""
_ALIKE = 0.9
"""Share of the rows of each column that must be close: contacts amplify rounding errors."""


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
    draw: Callable[[], None]
    """Draws the random numbers of a step."""
    restore: Callable[[], None]
    """Returns to the state before the trial."""
    changed: Mapping[str, Tensor]
    """What else a step changes."""


class Compiled(NamedTuple):
    """Code of which as much as possible is compiled."""

    code: StepCode
    """Its steps are overwritten by the next call."""
    reasons: list[str]
    """Why parts are not."""


def compile_steps(
    plain: StepCode,
    trial: Trial,
    state: TaskState,
    announce: Callable[[], None],
    *,
    restarts: bool = True,
) -> Compiled:
    """Returns the code of a step compiled, if it does what the plain code does.

    It steps the environments a few times; the caller restores them.

    Args:
        plain: The code.
        trial: How to try it.
        state: The task's, of which nothing may be replaced in a step.
        announce: Called before anything is compiled, which takes a while.
        restarts: Whether resets are operations of torch that do not depend on values.

    Raises:
        NoCompiler: There is no C++ compiler.
    """
    recorded, reasons = _recorded(plain, trial, restarts=restarts)
    trial.draw()
    if name := state.replaced():
        said = f"{name} is replaced in each step; a tensor that is written in place would do"
        return Compiled(plain, [said])
    try:
        programs = compile_programs(list(recorded.values()), announce=announce)
    except NotRecordable as error:
        return Compiled(plain, [*reasons, str(error)])
    code = plain
    for name, program in zip(recorded, programs, strict=True):
        if name == "begin":
            code = code._replace(begin=program)
        elif name == "evaluate":
            code = code._replace(evaluate=partial(_evaluated, program))
        else:
            code = code._replace(restart=partial(_restarted, program))
    if differing := _differing(plain, code, trial):
        return Compiled(plain, [f"compiled, it gives another result ({differing})"])
    return Compiled(code, reasons)


def _evaluated(run: Program) -> Step:
    return Step(*run())


def _restarted(run: Program, step: Step) -> Step:
    return Step(*run(*step))


def _recorded(
    plain: StepCode, trial: Trial, *, restarts: bool
) -> tuple[dict[str, Recorded], list[str]]:
    """Returns the parts of a step that can be recorded, and why others cannot."""
    step = _tried(plain, trial)

    def begin(given: Tensor) -> tuple[Tensor, ...]:
        plain.begin(given)
        return ()

    def restart(*fields: Tensor) -> Step:
        return plain.restart(Step(*fields))

    parts: list[tuple[Function, tuple[Tensor, ...]]] = [
        (begin, (trial.actions.clone(),)),
        (plain.evaluate, ()),
    ]
    if restarts:
        parts.append((restart, tuple(step.values())))
    recorded: dict[str, Recorded] = {}
    reasons = []
    for name, (function, args) in zip(StepCode._fields, parts, strict=False):
        if name == "restart" and "evaluate" in recorded:
            args = recorded["evaluate"].recording.results  # noqa: PLW2901  (its own memory)
        try:
            recorded[name] = Recorded(function, args)
        except NotRecordable as error:
            reasons.append(f"{name}: {error}")
    return recorded, reasons


def _differing(plain: StepCode, code: StepCode, trial: Trial) -> str | None:
    """Returns what differs between two codes after a few steps each; None if nothing does."""
    results: list[dict[str, Tensor]] = []
    for each in (plain, code):
        trial.restore()
        found: dict[str, Tensor] = {}
        for i, scale in enumerate((1.0, -0.5, 0.25)):
            step = _tried(each, trial, scale, ends=i == 1)
            found |= {f"{name} of step {i}": value for name, value in step.items()}
        results.append(found | {name: x.clone() for name, x in trial.changed.items()})
    one, other = results
    return next((name for name, x in one.items() if not _are_close(x, other[name])), None)


def _are_close(one: Tensor, other: Tensor) -> bool:
    """Returns whether most rows of every column are close, or a whole turn apart."""
    if not one.numel():
        return True
    rows = one.shape[0] if one.dim() else 1
    a, b = (x.double().reshape(rows, -1) for x in (one, other))
    scale = a.masked_fill(~a.isfinite(), 0.0).abs().amax(0)
    # Columns of rounding errors are measured by the others.
    limit = _CLOSE * torch.maximum(scale, 1e-3 * scale.max()) + 1e-9
    apart = (a - b).abs()
    near = (apart <= limit) | ((apart - 2 * math.pi).abs() <= limit) | (a == b)
    near |= a.isnan() & b.isnan()
    return bool((near.double().mean(0) >= _ALIKE).all())


def _tried(
    code: StepCode, trial: Trial, scale: float = 1.0, *, ends: bool = False
) -> dict[str, Tensor]:
    """Returns the results of a step, in which every second episode may be made to end."""
    code.begin(trial.actions * scale)
    trial.step_physics()
    trial.draw()
    step = code.evaluate()
    before = {f"{name} before resets": x.clone() for name, x in step._asdict().items()}
    step.terminated[::2] |= ends
    after = {name: x.clone() for name, x in code.restart(step)._asdict().items()}
    return {**after, **before} if ends else after
