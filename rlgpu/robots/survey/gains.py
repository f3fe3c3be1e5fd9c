"""Drives of a robot: how strong, how stiff, how damped, from what its file says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rlgpu.robots.floating import FloatingRobot
from rlgpu.robots.survey.stance import Foot, Stance

NATURAL_FREQUENCY, DAMPING_RATIO = 10.0, 1.0
"""Of a drive against the armature alone [Hz]; both are keys."""
_REACH = 1.0
"""Deflection at which a drive reaches its effort limit, of robots whose makers publish gains: 0.6
to 1.2 rad (Go2, A1, ANYmal C, G1, H1) [rad]."""
_SOFTEST, _STIFFEST = 1.5, 0.4
"""Bounds of that deflection [rad]."""
_SAG = 0.1
"""Most that a standing robot's weight may deflect a drive [rad]."""
_LEAST_SCALE, _LARGEST_SCALE = 0.1, 0.5
"""Bounds of the action scale [rad]."""
_LEG_EFFORT, _OTHER_EFFORT = 0.5, 0.1
"""Effort limits of legs and of other joints, as shares of weight times height, where a file states
none; 0.3 to 0.6 and 0.1 on the robots above."""


class Drives(NamedTuple):
    """Properties of drives by joint."""

    effort_limit: dict[str, float]
    armature: dict[str, float]
    stiffness: dict[str, float]
    damping: dict[str, float]
    action_scale: dict[str, float]
    sources: dict[str, str]
    """Where each of these is from."""


def drives_of(
    robot: FloatingRobot,
    stance: Stance,
    feet: Sequence[Foot],
    joints: Sequence[str],
    *,
    natural_frequency: float,
    damping_ratio: float,
    effort_limit: Mapping[str, float],
    armature: Mapping[str, float],
    stiffness: Mapping[str, float],
    mirror: Mapping[str, str],
) -> Drives:
    """Returns the drives of a robot in its default pose.

    Position actuators of the file are kept. Other gains follow from the armature, which a motor's
    inertia gives behind its gears: k = I w^2 and d = 2 zeta I w. Where the file has no armature, I
    is that of motors of this strength, which reach their limit at a deflection of 1 rad.

    Args:
        robot: The robot.
        stance: It in its default pose.
        feet: Where it stands.
        joints: The driven ones.
        natural_frequency: w / 2 pi [Hz].
        damping_ratio: zeta.
        effort_limit: Those that are given, by joint; the rest follows from these.
        armature: Likewise.
        stiffness: Likewise.
        mirror: The mirror images of joints, which carry alike.
    """
    legs = {name for foot in feet for name in stance.chain(foot.body)}
    effort, effort_source = _efforts(robot, stance, joints, legs)
    effort |= effort_limit
    omega = 2.0 * math.pi * natural_frequency
    loads = stance.loads(feet)
    images = {name: image.removeprefix("-") for name, image in mirror.items()}
    loads |= {name: max(loads[name], loads[image]) for name, image in images.items()}
    stated = {name: robot.spec.joint(name).armature for name in joints}
    has_armature = {name: float(value) for name, value in stated.items() if value > 0}
    given = _gains_of_actuators(robot)
    inertia, gains, damping = {}, dict(stiffness), {}
    for name in joints:
        motor = _rounded(effort[name] / (_REACH * omega**2))
        inertia[name] = armature.get(name, has_armature.get(name, motor))
        if name in given:
            gains.setdefault(name, given[name][0])
            damping[name] = given[name][1]
            continue
        wanted = max(inertia[name] * omega**2, loads[name] / _SAG, effort[name] / _SOFTEST)
        gains.setdefault(name, _rounded(min(wanted, effort[name] / _STIFFEST)))
        damping[name] = _rounded(2.0 * damping_ratio / omega * gains[name])
    scale = {
        name: _rounded(min(max(0.25 * effort[name] / k, _LEAST_SCALE), _LARGEST_SCALE))
        for name, k in gains.items()
    }
    by_motor = f"armature, {natural_frequency:g} Hz, damping ratio {damping_ratio:g}"
    part = _share(given, joints)
    mixed = f"position actuators of {part}; others: {by_motor}" if given else by_motor
    sources = {
        "effort_limit": effort_source,
        "armature": _share(has_armature, joints) if has_armature else "estimated from the effort",
        "stiffness": "the file's position actuators" if part == "the file" else mixed,
        "action_scale": f"a quarter of effort over stiffness, {_LEAST_SCALE} to {_LARGEST_SCALE}",
    }
    return Drives(effort, inertia, gains, damping, scale, sources)


def _gains_of_actuators(robot: FloatingRobot) -> dict[str, tuple[float, float]]:
    """Returns stiffness and damping that a file's position and velocity actuators give joints."""
    found: dict[str, tuple[float, float]] = {}
    for actuator in robot.actuators:
        if actuator.kind != "motor":
            stiffness, damping = found.get(actuator.joint, (0.0, 0.0))
            scale = actuator.gear**2
            found[actuator.joint] = (
                stiffness + scale * actuator.stiffness,
                damping + scale * actuator.damping,
            )
    return {name: gains for name, gains in found.items() if gains[0] > 0}


def _efforts(
    robot: FloatingRobot, stance: Stance, joints: Sequence[str], legs: set[str]
) -> tuple[dict[str, float], str]:
    """Returns effort limits by joint, all of them finite, and where they are from."""
    known = {name: robot.drives[name].effort for name in joints if name in robot.drives}
    known = {name: value for name, value in known.items() if math.isfinite(value) and value > 0}
    weight = float(stance.model.body_subtreemass[stance.base_id]) * 9.81
    whole = weight * float(stance.data.xpos[stance.base_id, 2])
    effort = {
        name: known.get(name, _rounded(whole * (_LEG_EFFORT if name in legs else _OTHER_EFFORT)))
        for name in joints
    }
    if len(known) == len(joints):
        return effort, "the file"
    where = f"the file for {len(known)} joints; others are " if known else ""
    return effort, f"{where}guessed from weight and height: give task.robot.effort_limit"


def _share(known: Mapping[str, object], joints: Sequence[str]) -> str:
    return "the file" if len(known) == len(joints) else f"{len(known)} joints"


def _rounded(value: float) -> float:
    """Returns a value with four digits, as somebody would write it."""
    return float(f"{value:.4g}")
