"""Checks, once before the first step, of what no engine refuses but a user hardly means.

A finding that is certain is a refusal; one that some task may want is a warning. Both say what was
found, what is right and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from rlgpu.config import Range
from rlgpu.envs.findings import Finding, Remark
from rlgpu.envs.task import Task
from rlgpu.errors import list_some
from rlgpu.sim import ResetState, SceneSpec, Simulator

_LOOKED_AT = 16
"""Environments whose start pose is examined."""
_DEEP, _SHALLOW = 0.05, 0.01
"""Overlaps, as shares of the robot's size: certainly wrong, and worth a word."""


def check_drives(task: Task, scene: SceneSpec) -> None:
    """Checks the gains, before an engine is built with them.

    Raises:
        UsageError: Drives can do nothing, or push away from their targets.
    """
    for finding in _check_gains(task, scene):
        if finding.is_certain:
            raise finding.refusal(type(task).__name__)


def check_start(
    task: Task, sim: Simulator, scene: SceneSpec, states: ResetState, targets: Tensor
) -> list[Remark]:
    """Checks the scene and the first episodes' start.

    Args:
        task: The task, bound.
        sim: The engine, reset to ``states``.
        scene: The task's scene.
        states: What ``reset_state`` returned.
        targets: The drive targets for actions of zero, shape [N, J].

    Returns:
        Warnings, a sentence each.

    Raises:
        UsageError: Something is certainly wrong.
    """
    mirror = sim.mirror()
    name = type(task).__name__
    warnings: list[Remark] = []
    for finding in (
        *_check_root(mirror.model, scene, states),
        *_check_quaternions(mirror.model, scene, states),
        *_check_gains(task, scene),
        *_check_file(mirror.model, scene),
        *_check_pose(sim, states.joint_pos, "reset_state starts", "reset_state.joint_pos"),
        *_check_targets(sim, scene, targets),
        *_check_surroundings(task, sim, scene, mirror),
    ):
        if finding.is_certain:
            raise finding.refusal(name)
        warnings.append(finding.warning(name))
    return warnings


_ROOT_FIELDS = ("root_pos_w", "root_quat_w", "root_lin_vel_w", "root_ang_vel_w")


def _check_root(model: Any, scene: SceneSpec, states: ResetState) -> Iterator[Finding]:
    """Yields a root pose or velocity that a fixed root cannot take, or that moves nothing."""
    from rlgpu.sim.mujoco.start import root_facts  # noqa: PLC0415  (MuJoCo is imported late)

    root = root_facts(model, scene)
    given = [field for field in _ROOT_FIELDS if getattr(states, field) is not None]
    if root.is_free or not given:
        return
    asset = scene.file
    own = {"root_pos_w": root.pos_w, "root_quat_w": root.quat_w}
    others = [body for body in root.free_bodies if body not in scene.object_bodies]
    advice = (
        f"name its root in the scene, root={others[0]!r}"
        if others
        else f"add <freejoint/> to {root.body!r} in {asset.name}"
    )
    about = ("scene.root", root.body, tuple(others), asset)
    for field in given:
        value = getattr(states, field)
        stays = torch.as_tensor(own.get(field, 0.0), dtype=value.dtype, device=value.device)
        differs = (value - stays).abs().amax(-1) > 1e-4
        if field == "root_quat_w":  # q and -q are one orientation
            differs &= (value + stays).abs().amax(-1) > 1e-4
        if bool(differs.any()):
            yield Finding(
                True,
                f"reset_state gives {field}, but the root body {root.body!r} has no free joint and "
                f"stays where it is; {advice}, or leave {field} out",
                *about,
            )
            return
    yield Finding(
        False,
        f"reset_state gives {' and '.join(given)}, but the root body {root.body!r} has no free "
        f"joint and never moves; {advice} if it should, or leave them out",
        *about,
    )


def _check_quaternions(model: Any, scene: SceneSpec, states: ResetState) -> Iterator[Finding]:
    """Yields orientations that are not of length 1, or that look as if w came first."""
    for field in ("root_quat_w", "object_quat_w"):
        value = getattr(states, field)
        if value is None or not value.numel():
            continue
        length = value.norm(dim=-1)
        if bool(((length - 1.0).abs() > 1e-3).any()):
            worst = float(length.flatten()[(length.flatten() - 1.0).abs().argmax()])
            yield Finding(
                True,
                f"reset_state: {field} has a quaternion of length {worst:.3g}; they are of length "
                "1, (x, y, z, w), upright (0, 0, 0, 1)",
                f"reset_state.{field}",
                worst,
                (1.0,),
            )
        elif field == "root_quat_w" and _is_w_first(value):
            row = tuple(value[0].tolist())
            shown = ", ".join(f"{x:.3g}" for x in row)
            yield Finding(
                False,
                f"reset_state: root_quat_w ({shown}) turns the robot over; if its w comes first, "
                "write (x, y, z, w), upright (0, 0, 0, 1)",
                "reset_state.root_quat_w",
                row,
                ((*row[1:], row[0]),),
            )


def _is_w_first(quat: Tensor) -> bool:
    """Returns whether rows tilt a robot as they are, but hardly if they were (w, x, y, z)."""

    def tilt(x: Tensor, y: Tensor) -> Tensor:
        """Returns the angles of the up axis from the vertical [rad]."""
        return (1.0 - 2.0 * (x * x + y * y)).clamp(-1.0, 1.0).acos()

    as_given = tilt(quat[..., 0], quat[..., 1])
    if_w_first = tilt(quat[..., 1], quat[..., 2])
    return bool(as_given.mean() > math.pi / 4) and bool(if_w_first.max() < math.pi / 6)


def _check_gains(task: Task, scene: SceneSpec) -> Iterator[Finding]:
    """Yields drives that can do nothing, or push away from their targets."""
    drives, settings = scene.drives, task.config
    for gain in ("stiffness", "damping", "effort_limit"):
        if wrong := [n for n, drive in drives.items() if getattr(drive, gain) < 0.0]:
            yield Finding(
                True,
                f"the drives of {list_some(wrong)} have a negative {gain}; use 0 or more",
                f"drives.{wrong[0]}.{gain}",
                getattr(drives[wrong[0]], gain),
                (Range(0.0),),
            )
            return
    varied = settings.randomize and bool(settings.randomization.stiffness.range)
    position = [n for n, drive in drives.items() if drive.mode == "position"]
    limp = [n for n in position if drives[n].stiffness == 0.0 and not varied]
    powerless = [n for n, drive in drives.items() if drive.effort_limit == 0.0]
    for names, what in ((limp, "stiffness"), (powerless, "effort_limit")):
        if names:
            all_of_them = len(names) == len(drives) and not task.pushes_bodies
            yield Finding(
                all_of_them,
                f"the drives of {list_some(names)} have {what} 0, so they never follow their "
                f"targets; give Drive({what}=...)",
                f"drives.{names[0]}.{what}",
                0.0,
                (Range(0.0, above=True),),
            )
    if not drives and not task.pushes_bodies:
        said = "its scene has no drives and no force_bodies: actions move nothing"
        yield Finding(False, said, "scene.drives", ())


def _check_file(model: Any, scene: SceneSpec) -> Iterator[Finding]:
    """Yields what the asset's file says that MuJoCo takes for something else, or switches off."""
    from rlgpu.sim.mujoco.start import drives_are_off, roomless_limits  # noqa: PLC0415

    asset, file = scene.file, scene.file.name
    if scene.drives and drives_are_off(model):
        yield Finding(
            True,
            f'{file} switches its actuators off, the drives too; remove actuation="disable" from '
            "its <flag>",
            "flag.actuation",
            "disable",
            ("enable",),
            asset,
        )
    for joint, (low, high) in roomless_limits(model).items():
        yield Finding(
            False,
            f"joint {joint!r} in {file} has the limits {low:g} to {high:g}, with which MuJoCo does "
            "not limit it; give the smaller one first, or none",
            f"{joint}.range",
            (low, high),
            path=asset,
        )


def _check_pose(sim: Simulator, pos: Tensor, what: str, key: str) -> Iterator[Finding]:
    """Yields joints that are beyond their limits, or so far around that they look like degrees.

    Args:
        sim: The engine.
        pos: Joint positions, shape [N, J].
        what: Begins the sentence.
        key: The method or field that they are from.
    """
    lower, upper = sim.joint_lower, sim.joint_upper
    reach = (upper - lower).clamp(max=1e6)
    excess = torch.maximum(lower - pos, pos - upper)  # [N, J], negative within
    far_beyond = excess > 0.01 + 0.05 * reach
    always = far_beyond.all(0)
    # legged_gym's habit of half to one and a half times a pose reaches a little beyond at times.
    sometimes = far_beyond.any(0) | (excess > 0.01).all(0)
    for is_certain, wrong in ((True, always), (False, sometimes & ~always)):
        ids = wrong.nonzero().flatten().tolist()
        if not ids:
            continue
        j = ids[0]
        value, limits = (
            float(pos[int(excess[:, j].argmax()), j]),
            (float(lower[j]), float(upper[j])),
        )
        names = list_some([sim.joint_names[i] for i in ids])
        degrees = "; positions are in radians, not degrees" if abs(value) > math.pi else ""
        yield Finding(
            is_certain,
            f"{what} {names} beyond their limits: {sim.joint_names[j]} at {value:.3g}, limits "
            f"{limits[0]:.3g} to {limits[1]:.3g}{degrees}",
            f"{key}.{sim.joint_names[j]}",
            value,
            (Range(*limits),),
        )
    far = (lower.isinf() & upper.isinf() & (pos.abs() > 2.0 * math.pi).all(0)).nonzero().flatten()
    if len(far):
        j, value = int(far[0]), float(pos[0, int(far[0])])
        names = list_some([sim.joint_names[i] for i in far.tolist()])
        yield Finding(
            False,
            f"{what} {names} more than a turn away: {sim.joint_names[j]} at {value:.3g}; in "
            "radians, not degrees",
            f"{key}.{sim.joint_names[j]}",
            value,
            (Range(-2.0 * math.pi, 2.0 * math.pi),),
        )


def _check_targets(sim: Simulator, scene: SceneSpec, targets: Tensor) -> Iterator[Finding]:
    """Yields position drives whose target for an action of 0 is beyond the joint's limits."""
    tracked = [
        j
        for j, name in enumerate(sim.joint_names)
        if name in scene.drives and scene.drives[name].mode == "position"
    ]
    inside = sim.joint_lower.clamp(min=-1e6), sim.joint_upper.clamp(max=1e6)
    targets = targets.clone()
    for j in set(range(len(sim.joint_names))) - set(tracked):
        targets[:, j] = 0.5 * (inside[0][j] + inside[1][j])
    for finding in _check_pose(sim, targets, "an action of 0 drives", "targets"):
        yield finding._replace(is_certain=False)


def _check_surroundings(
    task: Task, sim: Simulator, scene: SceneSpec, mirror: Any
) -> Iterator[Finding]:
    """Yields a robot that falls forever, or that starts within the ground or itself."""
    from rlgpu.sim.mujoco.start import may_fall, overlaps, robot_size  # noqa: PLC0415

    file = scene.file.name
    if may_fall(mirror.model, scene) and not task.pushes_bodies:
        yield Finding(
            False,
            f"no ground in {file} can hold the robot, which falls forever; add "
            '<geom type="plane" size="10 10 1"/> to it, or check contype, conaffinity and <flag>',
            "ground",
            path=scene.file,
        )
    found = []
    for env_id in range(min(sim.num_envs, _LOOKED_AT)):
        mirror.show(env_id)
        found.append((*overlaps(mirror), robot_size(mirror, scene)))
    size = max(size for _, _, size in found)
    grounds, others = [ground for ground, _, _ in found], [other for _, other, _ in found]
    deepest = max(grounds)
    if deepest.depth > _SHALLOW * size > 0.0:
        # What lies around the robot may be meant to.
        is_robot = deepest.body not in scene.object_bodies
        advice = "start the robot higher, or with its legs bent" if is_robot else "start it higher"
        yield Finding(
            is_robot and min(grounds).depth > _DEEP * size,
            f"{deepest.body!r} starts {deepest.depth:.2g} m deep in the ground; {advice}",
            f"overlap.{deepest.body}.ground",
            deepest.depth,
            (Range(high=_DEEP * size),),
        )
    if (pair := max(others)).depth > _DEEP * size > 0.0:
        yield Finding(
            False,
            f"{pair.body!r} starts {pair.depth:.2g} m deep in {pair.other!r}; change the pose "
            f"or exclude their contact in {file}",
            f"overlap.{pair.body}.{pair.other}",
            pair.depth,
            (Range(high=_DEEP * size),),
        )
