"""A task's mistakes, met before the first step with one sentence instead of a wrong number.

Everything a task returns is checked once, while its environments are built; steps check nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.config import Range
from rlgpu.envs.findings import Remark
from rlgpu.envs.own_functions import has_own_functions
from rlgpu.envs.start import check_drives, check_start
from rlgpu.envs.task import Outcome, Task
from rlgpu.envs.varied_parameters import varied
from rlgpu.errors import NoEffect, UnknownName, UsageError, line_in, list_some
from rlgpu.sim import ResetState, SceneSpec, Simulator


@contextmanager
def explained(task: type[Task], method: str) -> Iterator[None]:
    """Turns any error in a task's method into a refusal that shows the line of the task's file.

    Args:
        task: The task's class.
        method: The method that is called.

    Raises:
        UsageError: The method failed.
    """
    try:
        yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        file, key = Path(inspect.getfile(task)), f"{task.__name__}.{method}"
        raise UsageError(f"{key} failed: {line_in(error, file)}", key=key, path=file) from error


def scene_of(task: Task) -> SceneSpec:
    """Returns a task's scene.

    Raises:
        UsageError: The method fails or returns something else, or drives that can do nothing.
    """
    with explained(type(task), "scene"):
        scene = task.scene()
    if not isinstance(scene, SceneSpec):
        raise _other_type(task, "scene", scene, "rlgpu.sim.SceneSpec")
    check_drives(task, scene)
    if not task.config.actuators.are_plain:
        scene = replace(scene, actuators=task.config.actuators)
    if has_own_functions(task.config):  # which may read anything
        scene = replace(scene, contact_forces=True, drive_forces=True, body_states=True)
    if not task.config.randomize:
        return scene
    names = [x for x in varied(task.config.randomization) if x not in scene.parameters]
    return replace(scene, parameters=(*scene.parameters, *names))


def bind(task: Task, sim: Simulator) -> None:
    """Binds a task to an engine that holds its scene.

    Raises:
        UsageError: The method fails; for a joint or body that is not there, with those that are.
    """
    with explained(type(task), "bind"):
        try:
            task.bind(sim)
        except UnknownName as error:
            joints, bodies = ", ".join(sim.joint_names), ", ".join(sim.body_names)
            file = Path(inspect.getfile(type(task)))
            raise UsageError(
                f"{type(task).__name__}.bind: {error.name!r} is not there ({line_in(error, file)})"
                f"; the joints are {joints}; the bodies are {bodies}",
                key=f"{type(task).__name__}.bind",
                value=error.name,
                allowed=[*sim.joint_names, *sim.body_names],
                path=file,
            ) from error
    if not hasattr(task, "buffers"):
        key = f"{type(task).__name__}.bind"
        raise UsageError(f"{key} must begin with super().bind(sim)", key=key)


def reset_state(task: Task, sim: Simulator, generator: torch.Generator) -> ResetState:
    """Returns a task's initial states, checked.

    Raises:
        UsageError: They have the wrong shape, dtype or device, or are not finite.
    """
    with explained(type(task), "reset_state"):
        states = task.reset_state(generator)
    if not isinstance(states, ResetState):
        raise _other_type(task, "reset_state", states, "rlgpu.sim.ResetState")
    for name, tensor in states._asdict().items():
        if tensor is not None or name.startswith("joint"):
            shape = getattr(sim.state, name).shape
            _check(task, f"reset_state.{name}", tensor, tuple(shape), sim.device)
    return states


def start(task: Task, sim: Simulator, states: ResetState, actions: Tensor) -> list[Remark]:
    """Checks the scene and the start of the first episodes; returns warnings.

    Args:
        task: The task, bound.
        sim: The engine, reset.
        states: What ``reset_state`` returned.
        actions: Actions of zero, shape [N, A].

    Raises:
        UsageError: Something is certainly wrong.
    """
    before = {name: buffer.clone() for name, buffer in task.buffers.items()}
    try:
        with explained(type(task), "targets"):
            targets = task.targets(actions)
    except UsageError as error:
        raise _other_width(task, sim, actions) or error from error
    for name, buffer in before.items():
        task.buffers[name].copy_(buffer)
    shape = (sim.num_envs, len(sim.joint_names))
    if isinstance(targets, Tensor) and targets.shape == actions.shape != shape:
        raise _wrong(
            task,
            "targets",
            tuple(targets.shape),
            shape,
            f"; num_actions is {task.num_actions}, and there is a column for each joint: "
            f"{list_some(sim.joint_names)}",
        )
    _check(task, "targets", targets, shape, sim.device)
    return check_start(task, sim, task.scene(), states, targets)


def _other_width(task: Task, sim: Simulator, actions: Tensor) -> UsageError | None:
    """Returns the refusal of a num_actions for which targets fails but for another does not."""
    shape = (sim.num_envs, len(sim.joint_names))
    for width in (len(task.scene().drives), len(sim.joint_names)):
        try:
            targets = task.targets(actions.new_zeros(len(actions), width))
        except Exception:  # whatever a user's code raises
            continue
        if width != task.num_actions and getattr(targets, "shape", None) == shape:
            return _wrong(
                task,
                "num_actions",
                task.num_actions,
                width,
                f": its method targets takes actions with {width} columns",
            )
    return None


def notes(task: Task, sim: Simulator) -> list[Remark]:
    """Returns what is right in a task but easily taken for something else."""
    own = [Remark(said, key="notes") for said in task.notes]
    drives = list(task.scene().drives)
    ordered = [name for name in sim.joint_names if name in drives]
    if drives == ordered:
        return own
    said = (
        f"{type(task).__name__}: its scene gives the drives in another order than the asset its "
        "joints; targets and joint_pos have a column for each joint in the asset's order, which "
        f"is {', '.join(sim.joint_names)}"
    )
    order = Remark(said, key="scene.drives", value=tuple(drives), allowed=[tuple(ordered)])
    return [*own, order]


def observation(task: Task, sim: Simulator, actions: Tensor) -> Tensor:
    """Returns a task's first observations, checked.

    Raises:
        UsageError: They have the wrong shape, dtype or device, or are not finite.
    """
    with explained(type(task), "observe"):
        observations = task.observe(sim.state, actions)
    shape = (sim.num_envs, task.num_observations)
    is_table = isinstance(observations, Tensor) and observations.dim() == 2
    if is_table and len(observations) == sim.num_envs and observations.shape != shape:
        raise _wrong(
            task,
            "observe",
            tuple(observations.shape),
            shape,
            f" by num_observations = {task.num_observations}; if the columns are right, write "
            f"num_observations = {observations.shape[1]}",
        )
    _check(task, "observe", observations, shape, sim.device)
    return observations


class CheckedStep(NamedTuple):
    """What is known of a task's steps from the states after a reset."""

    reported: list[str]
    """Names of the numbers that it reports."""
    warnings: list[Remark]
    """What looks like a mistake, a sentence each."""


def check_step(task: Task, sim: Simulator, actions: Tensor, observations: Tensor) -> CheckedStep:
    """Checks what a task returns in a step, on the states after a reset; restores its buffers.

    Rewards that are not finite there are only a warning: no step has been taken yet.

    Raises:
        UsageError: Something has the wrong shape, dtype or device, or a target is not finite.
    """
    num_envs, device = sim.num_envs, sim.device
    before = {name: buffer.clone() for name, buffer in task.buffers.items()}
    with explained(type(task), "targets"):
        targets = task.targets(actions)
    has_forces = task.pushes_bodies
    if task.scene().force_bodies and not has_forces:
        said = f"{type(task).__name__}: its scene has force_bodies, but no method forces"
        raise NoEffect(said, key="scene.force_bodies", needs=f"{type(task).__name__}.forces")
    if has_forces:
        with explained(type(task), "forces"):
            forces = task.forces(sim.state, actions)
        wanted = (num_envs, len(task.scene().force_bodies), 3)
        _check(task, "forces", forces, wanted, device)
    _check(task, "targets", targets, (num_envs, len(sim.joint_names)), device)
    with explained(type(task), "evaluate"):
        outcome = task.evaluate(sim.state, actions, observations)
    if not (isinstance(outcome, tuple) and len(outcome) in (2, 3)):
        raise _other_type(task, "evaluate", outcome, "rlgpu.envs.Outcome")
    rewards, terminated, reported = Outcome(*outcome)
    _check(task, "evaluate.rewards", rewards, (num_envs,), device, finite=False)
    _check(task, "evaluate.terminated", terminated, (num_envs,), device, torch.bool)
    for name, number in (reported or {}).items():
        shape = () if isinstance(number, Tensor) and number.dim() == 0 else (num_envs,)
        _check(task, f"evaluate.reported.{name}", number, shape, device, finite=False)
    for name, buffer in before.items():
        task.buffers[name].copy_(buffer)
    source = _nonfinite_source(task, Outcome(rewards, terminated, reported))
    count = int((~rewards.isfinite()).sum())
    warning = Remark(
        f"{source} returns a reward of NaN or infinity in {count} of {num_envs} environments, in "
        "the states after a reset; if it does so after a step, training stops",
        key=source,
        value=count,
    )
    return CheckedStep(list(reported or {}), [warning] if source else [])


def nan_source(task: Task, sim: Simulator, actions: Tensor, generator: torch.Generator) -> str:
    """Returns which of a task's methods returns NaN or infinity now, or an empty string."""
    copy = torch.Generator(device=generator.device)
    copy.set_state(generator.get_state())
    returned = {
        "observe": (task.observe(sim.state, actions),),
        "targets": (task.targets(actions),),
        "reset_state": task.reset_state(copy),
    }
    for method, tensors in returned.items():
        if not all(bool(tensor.isfinite().all()) for tensor in tensors if tensor is not None):
            return f"{type(task).__name__}.{method}"
    return ""


def nan_reward_source(task: Task, sim: Simulator, actions: Tensor, observations: Tensor) -> str:
    """Returns which rewards are NaN or infinite now, or an empty string; restores the buffers."""
    before = {name: buffer.clone() for name, buffer in task.buffers.items()}
    outcome = Outcome(*task.evaluate(sim.state, actions, observations))
    for name, buffer in before.items():
        task.buffers[name].copy_(buffer)
    return _nonfinite_source(task, outcome)


def _nonfinite_source(task: Task, outcome: Outcome) -> str:
    """Returns the method and terms behind rewards that are not finite, or an empty string."""
    if bool(outcome.rewards.isfinite().all()):
        return ""
    reported = outcome.reported or {}
    terms = [name for name, x in reported.items() if not bool(torch.as_tensor(x).isfinite().all())]
    return f"{type(task).__name__}.evaluate" + (f" ({', '.join(terms)})" if terms else "")


def _check(
    task: Task,
    what: str,
    tensor: Any,
    shape: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    *,
    finite: bool = True,
) -> None:
    if not isinstance(tensor, Tensor):
        raise _other_type(task, what, tensor, "torch.Tensor", f" of shape {list(shape)}")
    if tensor.shape != shape:
        raise _wrong(task, what, tuple(tensor.shape), shape)
    if tensor.dtype != dtype:
        raise _wrong(task, what, tensor.dtype, dtype)
    if tensor.device != device:
        raise _wrong(task, what, tensor.device, device)
    if finite and not bool(tensor.isfinite().all()):
        row = int((~tensor.isfinite()).flatten(1 if tensor.dim() > 1 else 0).nonzero()[0][0])
        wrong = float(tensor[row][~tensor[row].isfinite()].flatten()[0])
        key = f"{type(task).__name__}.{what}"
        said = f"{key}: got {wrong} in row {row}, wanted finite numbers after a reset"
        raise UsageError(said, key=f"{key}[{row}]", value=wrong, allowed=[Range()])


def _other_type(task: Task, what: str, found: Any, wanted: str, more: str = "") -> UsageError:
    return _wrong(task, what, type(found).__name__, wanted, more)


def _wrong(task: Task, what: str, found: Any, wanted: Any, more: str = "") -> UsageError:
    """Returns the refusal of what a task returned or states.

    Args:
        task: The task.
        what: The method or attribute, and the part of it.
        found: The value, or its shape, dtype, device or type.
        wanted: The one that is right.
        more: Ends the sentence.
    """
    key = f"{type(task).__name__}.{what}"
    said = f"{key}: got {_written(found)}, wanted {_written(wanted)}{more}"
    return UsageError(said, key=key, value=found, allowed=[wanted])


def _written(found: Any) -> str:
    if isinstance(found, tuple):
        return f"shape {list(found)}"
    return f"a tensor on {found}" if isinstance(found, torch.device) else str(found)
