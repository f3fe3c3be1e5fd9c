"""Functions from a user's files, by name in YAML: terms of the reward, failures and events.

They are called with all environments at once, in every step, and may be compiled with the task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.envs.own_functions import functions_by_name, own_functions
from rlgpu.envs.task import Outcome, Task
from rlgpu.errors import UsageError, line_in
from rlgpu.sim import SimState, Simulator

NUM_RANDOM = 16
"""Random numbers that an event has for each environment."""
_LONGEST = 1e6
"""Longest time between events [s]."""
_GOLDEN = 0.6180339887498949
"""Irrational step that spreads numbers evenly, whatever their number."""


class Moment(NamedTuple):
    """What terms of the reward and failures are functions of: all environments after a step.

    Walking tasks have a richer one, in ``tasks/legged_rewards.py``.
    """

    task: Any
    """The task, with its ``buffers``, ``config`` and ``columns``."""
    state: SimState
    actions: Tensor
    """Clamped actions of the step, shape [N, A]."""
    observations: Tensor
    """Observations without noise, shape [N, O]."""
    terminated: Tensor
    """Whether the task says that the episode ended in failure, shape [N], bool."""
    step_dt: float
    """Length of a control step [s]."""


class Event(NamedTuple):
    """What an event is a function of. It changes environments that are ``chosen``, and no others.

    An event may return a number or a tensor of shape [N], which is logged.
    """

    task: Any
    """The task. Tensors in its ``buffers`` are saved, and are changed in place."""
    sim: Simulator
    """The engine, with ``set_root_velocity``."""
    state: SimState
    chosen: Tensor
    """Environments in which it happens, shape [N], bool."""
    random: Tensor
    """Random numbers of this step, uniform in [-1, 1), shape [N, 16]."""
    steps: Tensor
    """Control steps since the start of training, shape [], int64."""
    step_dt: float
    """Length of a control step [s]."""


class OwnFailures:
    """Whether an episode failed by a user's functions: where one is above its limit."""

    def __init__(self, limits: Mapping[str, float], n: int) -> None:
        """Loads them; ``limits`` is ``own_terminations``, ``n`` the number of environments."""
        functions = own_functions("task.own_terminations", limits, n)
        self._tests = list(zip(functions.items(), limits.values(), strict=True))

    @property
    def names(self) -> list[str]:
        """Names of what they report."""
        return [f"failed_{name}" for (name, _), _ in self._tests]

    def __call__(self, moment: Any) -> dict[str, Tensor]:
        """Returns whether episodes failed by each function, by ``failed_<name>``, [N], bool."""
        return {
            # NaN is not within a limit either.
            f"failed_{name}": ~(function(moment) <= limit)
            for (name, function), limit in self._tests
        }


def any_of(failures: Mapping[str, Tensor], terminated: Tensor) -> Tensor:
    """Returns whether episodes failed by a user's functions or before, shape [N], bool."""
    for failed in failures.values():
        terminated = terminated | failed
    return terminated


class _Happening(NamedTuple):
    """An event and its times."""

    name: str
    function: Callable[[Event], Any]
    every: int
    """Control steps between two; 0: at resets."""
    offsets: Tensor
    """Steps by which each environment is ahead, shape [N], int64."""


class OwnTerms:
    """A user's functions for one task."""

    def __init__(self, task: Task, sim: Simulator) -> None:
        """Loads them, and adds to the task's buffers what they need.

        Raises:
            UsageError: There is no such function.
        """
        config, n, device = task.config, sim.num_envs, sim.device
        self._task, self._sim, self._step_dt = task, sim, config.timing().step_dt
        judges = not task.judges_own_terms
        scales = config.own_rewards if judges else {}
        rewards = own_functions("task.own_rewards", scales, n)
        self._rewards = {
            name: (function, scale * self._step_dt)
            for (name, function), scale in zip(rewards.items(), scales.values(), strict=True)
            if scale
        }
        self._failures = OwnFailures(config.own_terminations if judges else {}, n)
        self._events = self._load_events(config.own_events)
        self._logged: set[int] = set()
        self._random = torch.zeros(n, NUM_RANDOM if self._events else 0, device=device)
        if self._events:
            task.buffers["own_steps"] = torch.zeros((), dtype=torch.int64, device=device)
            task.buffers["own_events"] = torch.zeros(len(self._events), device=device)

    def _load_events(self, intervals: Mapping[str, float]) -> list[_Happening]:
        """Returns the events with their times."""
        key, device, found = "task.own_events", self._sim.device, []
        turns = torch.arange(self._sim.num_envs, dtype=torch.float64, device=device) * _GOLDEN % 1.0
        functions = functions_by_name(key, intervals)
        for (name, function), seconds in zip(functions.items(), intervals.values(), strict=True):
            if not 0.0 <= seconds <= _LONGEST:
                said = f"{key}: {name}: {seconds}: wanted seconds between events, or 0 for resets"
                raise UsageError(said, key=key, value=seconds)
            every = max(round(seconds / self._step_dt), 1) if seconds else 0
            found.append(_Happening(name, function, every, (turns * every).long()))
        return found

    @property
    def names(self) -> list[str]:
        """Names of the numbers that they report."""
        rewards = [f"reward_{name}" for name in self._rewards]
        rewards += self._failures.names
        return rewards + [f"event_{self._events[number].name}" for number in sorted(self._logged)]

    def check_events(self) -> None:
        """Calls every event once, for all environments; restores the engine and the buffers.

        Raises:
            UsageError: One fails, returns something else, or replaces a buffer.
        """
        if not self._events:
            return
        task, state, before = self._task, self._sim.state, self._sim.state_dict()
        buffers = dict(task.buffers)
        values = {name: buffer.clone() for name, buffer in buffers.items()}
        everyone = torch.ones(self._sim.num_envs, dtype=torch.bool, device=self._sim.device)
        for number, (name, *_) in enumerate(self._events):
            with _explained("task.own_events", name, task.config.own_events):
                if self._happen(number, state, everyone):
                    self._logged.add(number)
                    self._happen(number, state, everyone)
            now = {key for key, buffer in task.buffers.items() if buffer is buffers.get(key)}
            if wrong := (buffers.keys() | task.buffers.keys()) - now:
                said = f"task.own_events: {name} replaces or adds buffers[{min(wrong)!r}]; change "
                said += "buffers in place, by copy_ or +=, and make none"
                raise UsageError(said, key="task.own_events", value=name)
        for name, value in values.items():
            task.buffers[name].copy_(value)
        self._sim.load_state_dict(before)

    def check_terms(self, actions: Tensor, observations: Tensor) -> None:
        """Calls every term and failure once, on the states after a reset.

        Raises:
            UsageError: One fails, or returns something else.
        """
        if not (self._rewards or self._failures.names):
            return
        task, state = self._task, self._sim.state
        no_one = torch.zeros(len(actions), dtype=torch.bool, device=actions.device)
        moment = Moment(task, state, actions, observations, no_one, self._step_dt)
        given = {**state._asdict(), "actions": actions, "observations": observations}
        before = {name: value.clone() for name, value in given.items()}
        for name, (function, _) in self._rewards.items():
            with _explained("task.own_rewards", name, task.config.own_rewards):
                function(moment)
        with _explained("task.own_terminations", "", task.config.own_terminations):
            self._failures(moment)
        changed = [n for n, value in given.items() if not _same(value, before[n])]
        if changed:
            said = f"task.own_rewards or task.own_terminations: a function changes {changed[0]}; "
            raise UsageError(f"{said}terms only read", key="task.own_rewards", value=changed[0])

    def load_progress(self, saved: Mapping[str, Tensor]) -> None:
        """Takes over the number of steps from a task's saved buffers, if it is there."""
        if self._events and "own_steps" in saved:
            self._task.buffers["own_steps"].copy_(saved["own_steps"])

    def draw(self, generator: torch.Generator) -> None:
        """Draws the events' random numbers of a step."""
        if self._events:
            self._random.uniform_(-1.0, 1.0, generator=generator)

    def advance(self, state: SimState) -> None:
        """Has those events happen that are due after a step."""
        if not self._events:
            return
        steps = self._task.buffers["own_steps"]
        steps += 1
        for number, event in enumerate(self._events):
            if event.every:
                due = (steps + event.offsets) % event.every == 0
                self._happen(number, state, due)

    def after_reset(self, state: SimState, mask: Tensor) -> None:
        """Has those events happen that belong to resets."""
        for number, event in enumerate(self._events):
            if not event.every:
                self._happen(number, state, mask)

    def _happen(self, number: int, state: SimState, chosen: Tensor) -> bool:
        """Calls an event; returns whether it returned a number."""
        name, function, *_ = self._events[number]
        steps = self._task.buffers["own_steps"]
        event = Event(self._task, self._sim, state, chosen, self._random, steps, self._step_dt)
        value = function(event)
        if number in self._logged and value is not None:
            if isinstance(value, Tensor) and value.shape not in ((), chosen.shape):
                raise UsageError(_said_of(name, tuple(value.shape)))
            if not isinstance(value, Tensor | float | int):
                raise UsageError(_said_of(name, type(value).__name__))
            mean = torch.as_tensor(value, dtype=torch.float32, device=steps.device).mean()
            logged = self._task.buffers["own_events"]
            logged[number] = torch.where(chosen.any(), mean, logged[number])
        return value is not None

    def judge(
        self, state: SimState, actions: Tensor, observations: Tensor, outcome: Outcome
    ) -> Outcome:
        """Returns a task's outcome with a user's terms and failures."""
        rewards, terminated, reported = Outcome(*outcome)
        reported = dict(reported or {})
        moment = Moment(self._task, state, actions, observations, terminated, self._step_dt)
        failures = self._failures(moment)
        terminated = any_of(failures, terminated)
        reported |= {name: failed.float() for name, failed in failures.items()}
        moment = moment._replace(terminated=terminated)
        for name, (function, scale) in self._rewards.items():
            term = scale * function(moment)
            rewards = rewards + term
            reported[f"reward_{name}"] = term / self._step_dt
        for number in self._logged:
            name = self._events[number].name
            reported[f"event_{name}"] = self._task.buffers["own_events"][number]
        return Outcome(rewards, terminated, reported)


def _said_of(event: str, found: object) -> str:
    return f"task.own_events: {event}: wanted nothing, a number or one for each robot, got {found}"


def _same(now: Tensor, before: Tensor) -> bool:
    return bool(((now == before) | now.isnan()).all())


@contextmanager
def _explained(key: str, name: str, words: Mapping[str, float]) -> Iterator[None]:
    """Turns an error in a user's function into a refusal that shows the line of its file.

    Args:
        key: The key that it is given for.
        name: Its name; empty: any of them.
        words: All functions of that key.

    Raises:
        UsageError: It failed.
    """
    try:
        yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        word = next(word for word in words if word.endswith(f":{name}" if name else ""))
        file = Path(word.rpartition(":")[0])
        said = f"{key}: {line_in(error, file)}"
        raise UsageError(said, key=key, value=word, path=file) from error
