"""What looks wrong with a robot's file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import mujoco
import numpy as np

from rlgpu.errors import list_some
from rlgpu.robots.floating import FloatingRobot
from rlgpu.robots.survey.settings import RobotSettings
from rlgpu.robots.survey.stance import Stance

_LIGHT = 1e-3
"""Mass below which a body that moves is likely to be a mistake [kg]."""
_HEIGHTS, _HEAVIEST = (0.05, 3.0), 500.0
"""Heights of bases [m], and the mass [kg], of robots that people build."""
_TURNS = 4.0 * math.pi
"""Limit of a hinge that is likely to be in degrees [rad]."""
_NARROW = 0.1
"""Range of a hinge that is likely to be a mistake [rad]."""
_HINGE = mujoco.mjtJoint.mjJNT_HINGE
_DEEP = 1e-3
"""Overlap of two bodies that is more than rounding [m]."""


def faults_of(robot: FloatingRobot, settings: RobotSettings) -> list[str]:
    """Returns what looks wrong with a robot's file, a sentence each.

    Args:
        robot: The robot.
        settings: Complete.
    """
    stance = Stance(robot.spec, robot.base)
    stance.put(settings.default_joint_pos)
    checks = (_masses(stance), _units(stance, settings), _limits(stance), _overlaps(stance))
    found = [*robot.notes, *(said for check in checks for said in check)]
    if "guessed" in settings.sources.get("effort_limit", ""):
        found.append("it states no effort limits for some joints; they are guessed")
    if not settings.mirror:
        found.append("left and right are not mirror images; train.symmetry.augment does nothing")
    return found


def _masses(stance: Stance) -> Iterator[str]:
    model = stance.model
    moving = [b for b in range(1, model.nbody) if model.body_weldid[b] == b]
    light = [model.body(b).name for b in moving if model.body_mass[b] < _LIGHT]
    if light:
        yield f"bodies that move weigh less than {_LIGHT * 1e3:g} g: {list_some(light)}"
    for body in stance.spec.bodies[1:]:
        if body.compiler.balanceinertia and not _is_possible(body):
            yield f"body {body.name} has an impossible inertia tensor, which MuJoCo mends"


def _is_possible(body: mujoco.MjsBody) -> bool:
    """Returns whether the moments of inertia that a file states keep the triangle inequality."""
    moments = np.sort(np.array(body.inertia))
    if np.isfinite(body.fullinertia).all():
        xx, yy, zz, xy, xz, yz = body.fullinertia
        moments = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return not moments.any() or bool(moments[0] > 0 and moments[0] + moments[1] >= moments[2])


def _units(stance: Stance, settings: RobotSettings) -> Iterator[str]:
    height, mass = settings.base_height, float(stance.model.body_subtreemass[stance.base_id])
    if not _HEIGHTS[0] < height < _HEIGHTS[1]:
        yield f"its base stands at {height:.3g} m: are meshes and places in metres?"
    if mass > _HEAVIEST:
        yield f"it weighs {mass:.3g} kg: are masses in kilograms?"
    model = stance.model
    ranges = {n: abs(model.jnt_range[j]).max() for n, j in stance.joints.items()}
    hinges = [n for n, j in stance.joints.items() if model.jnt_type[j] == _HINGE]
    if far := [name for name in hinges if ranges[name] > _TURNS]:
        yield f"limits beyond two turns, perhaps in degrees: {list_some(far)}"


def _limits(stance: Stance) -> Iterator[str]:
    model = stance.model
    bounds = {n: model.jnt_range[j] for n, j in stance.joints.items() if model.jnt_limited[j]}
    hinges = {n: b for n, b in bounds.items() if model.jnt_type[stance.joints[n]] == _HINGE}
    if small := [name for name, (low, high) in hinges.items() if high - low < _NARROW]:
        yield f"ranges below {_NARROW:g} rad: {list_some(small)}; are angles in degrees?"
    if off := [name for name, (low, high) in bounds.items() if low > 0 or high < 0]:
        yield f"limits exclude 0: {list_some(off)}"
    if free := [name for name in stance.joints if name not in bounds]:
        yield f"joints without limits: {list_some(free)}"


def _overlaps(stance: Stance) -> Iterator[str]:
    """Yields pairs of bodies that overlap in the pose, by the file's own rules of contact."""
    model, data = stance.model, stance.data
    pairs: list[str] = []
    for contact in data.contact:
        if contact.dist < -_DEEP and not contact.exclude and min(contact.geom) >= 0:
            first, second = (model.body(model.geom_bodyid[geom]).name for geom in contact.geom)
            pairs.append(f"{first} and {second}")
    if pairs:
        pairs = list(dict.fromkeys(pairs))
        yield f"shapes overlap in the default pose: {_some(pairs)}; see task.robot.self_collision"


def _some(pairs: Sequence[str]) -> str:
    more = f" and {len(pairs) - 5} more" if len(pairs) > 5 else ""
    return f"{', '.join(pairs[:5])}{more}"
