"""Completes what a task has to know of a robot with what its file says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlgpu.config import ROBOT, by_joint, named_joints
from rlgpu.errors import Unreadable, UsageError, list_some, nearest
from rlgpu.robots.floating import FloatingRobot, read_floating
from rlgpu.robots.robot import SCALAR_JOINTS
from rlgpu.robots.survey.files import located
from rlgpu.robots.survey.gains import drives_of
from rlgpu.robots.survey.pose import Pose, poses
from rlgpu.robots.survey.settings import RobotSettings
from rlgpu.robots.survey.stance import Foot, Stance, stand
from rlgpu.robots.survey.symmetry import mirror_of
from rlgpu.sim.scene import Drive

KEY = "task.robot."
_LYING = 0.5
"""Height of the base, as a share of that in the tallest pose, below which a robot lies."""
_SWING, _STILL = 0.4, 0.15
"""How far joints that swing legs, and others, go from their default positions in a walk [rad]."""
_BY_JOINT = ("effort_limit", "armature", "stiffness", "damping", "action_scale")
_MAPPINGS = ("default_joint_pos", "pose_width", *_BY_JOINT)


def _is_complete(settings: RobotSettings) -> bool:
    """Returns whether nothing is left to be found in the file."""
    joints = set(settings.joints)
    mappings = (getattr(settings, name) for name in _MAPPINGS)
    known = all(joints <= set(values) for values in mappings)
    others = (settings.base, settings.base_height, settings.feet, settings.failing_bodies)
    return bool(joints) and known and all(map(bool, others))


def complete(settings: RobotSettings) -> RobotSettings:
    """Returns settings in which everything is said; what was given stays.

    Args:
        settings: What the user gave.

    Raises:
        UsageError: The file cannot be used, or a value names a joint or body that it lacks.
    """
    settings = located(settings)
    file = Path(settings.file)
    try:
        robot = read_floating(file)
    except ValueError as error:
        said = f"robot={file}: {error}"
        raise Unreadable(said, "form", key=ROBOT, value=str(file), path=file) from error
    _check_names(settings, robot, file)
    joints = settings.joints or _driven(robot)
    every = _joints_of(robot)
    spread: dict[str, Any] = {name: by_joint(getattr(settings, name), joints) for name in _MAPPINGS}
    spread["default_joint_pos"] = by_joint(settings.default_joint_pos, every)
    given = [name for name in _MAPPINGS if getattr(settings, name)]
    settings = replace(settings, joints=list(joints), **spread)
    if _is_complete(settings):
        return settings
    stance = Stance(robot.spec, robot.base)
    found, pose = _standing(settings, robot, stance, joints)
    sources = {"joints": "the file's actuators" if robot.actuators else "all joints of the file"}
    sources |= found.sources | {"default_joint_pos": pose.source}
    for name in given:
        if set(getattr(settings, name)) >= set(joints):
            sources[name] = "given"
        else:
            sources[name] = f"{sources.get(name, 'the file')}, some joints given"
    return replace(found, sources=sources, digest=digest_of(file))


def digest_of(file: Path) -> str:
    """Returns the SHA-256 of a robot's file, by which a change of it is noticed."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _joints_of(robot: FloatingRobot) -> list[str]:
    """Returns the names of a robot's joints in the file's order, the free one left out."""
    return [joint.name for joint in robot.spec.joints if joint.type in SCALAR_JOINTS]


def _driven(robot: FloatingRobot) -> list[str]:
    """Returns the joints that a file's actuators drive; all if it has none."""
    acted_on = {actuator.joint for actuator in robot.actuators}
    return [name for name in _joints_of(robot) if not acted_on or name in acted_on]


def _check_names(settings: RobotSettings, robot: FloatingRobot, file: Path) -> None:
    """Refuses names of joints and bodies that the file does not have, and feet that are no places.

    Raises:
        UsageError: There is one.
    """
    joints = _joints_of(robot)
    bodies = [body.name for body in robot.spec.bodies[1:]]
    for key in _MAPPINGS:
        for part in getattr(settings, key):
            if not named_joints(part, joints):
                raise _unknown(f"{key}.{part}", part, joints, "joint", file)
    images = [image.removeprefix("-") for image in settings.mirror.values()]
    for key, names, known, kind in (
        ("joints", settings.joints, joints, "joint"),
        ("mirror", [*settings.mirror, *images], joints, "joint"),
        ("feet", list(settings.feet), bodies, "body"),
        ("failing_bodies", settings.failing_bodies, bodies, "body"),
        ("base", [settings.base] if settings.base else [], [robot.base], "floating body"),
    ):
        for name in names:
            if name not in known:
                raise _unknown(key, name, known, kind, file)
    for name, point in settings.feet.items():
        if len(point) != 3:
            said = f"{KEY}feet.{name}={point}: wanted a place of three numbers [m]"
            raise UsageError(said, key=f"{KEY}feet.{name}", value=point)
    if twice := [name for name in settings.joints if settings.joints.count(name) > 1]:
        said = f"{KEY}joints: {twice[0]} is there twice"
        raise UsageError(said, key=f"{KEY}joints", value=twice[0])


def _unknown(key: str, name: str, known: Sequence[str], kind: str, file: Path) -> UsageError:
    said = f"{KEY}{key}: {file.name} has no {kind} {name}; it has {list_some(known)}"
    return UsageError(
        said + nearest(name, known), key=f"{KEY}{key}", value=name, allowed=known, path=file
    )


def _standing(
    settings: RobotSettings, robot: FloatingRobot, stance: Stance, joints: Sequence[str]
) -> tuple[RobotSettings, Pose]:
    """Returns complete settings of a robot in a pose in which it stands.

    Raises:
        UsageError: It stands in none.
    """
    given = settings.default_joint_pos
    if len(given) == len(stance.joints) or set(given) >= set(joints):
        options = [Pose({**stance.drawn, **given}, "given")]
    else:
        options = [pose._replace(joint_pos=pose.joint_pos | given) for pose in poses(robot, stance)]
    heights = [stance.put(pose.joint_pos) for pose in options]
    tried = []
    for pose, height in zip(options, heights, strict=True):
        if height < _LYING * max(heights):
            tried.append(f"{pose.source}: it lies")
            continue
        found = _in_pose(settings, robot, stance, joints, pose)
        if len(found.feet) < 2:
            tried.append(f"{pose.source}: no two limbs touch the ground")
            continue
        drives = {
            name: Drive(
                "position",
                found.stiffness[name],
                found.damping[name],
                found.effort_limit[name],
            )
            for name in joints
        }
        stood = stand(stance, drives)
        if stood.stays or pose.source == "given":
            return found, pose
        tried.append(
            f"{pose.source}: it sinks to {stood.height:.0%} of its height, tilted by "
            f"{stood.tilt:.2f} rad"
        )
    raise UsageError(
        f"robot={Path(settings.file).name} stands in no pose ({tried[0]}); give "
        f"{KEY}default_joint_pos, or a larger {KEY}stiffness or {KEY}effort_limit",
        key=f"{KEY}default_joint_pos",
        value=settings.default_joint_pos,
    )


def _in_pose(
    settings: RobotSettings,
    robot: FloatingRobot,
    stance: Stance,
    joints: Sequence[str],
    pose: Pose,
) -> RobotSettings:
    """Returns settings with what is found in a pose, which is not checked to be stable."""
    names = list(stance.joints)
    stance.put(stance.drawn)
    drawn = {foot.body: foot for foot in stance.feet() if foot.is_flat}
    height = stance.put(pose.joint_pos)
    if settings.feet:
        feet = [Foot(b, (at[0], at[1], at[2]), False) for b, at in settings.feet.items()]
    else:  # the whole sole counts, though the foot may be tilted a little in this pose
        feet = [drawn.get(foot.body, foot) for foot in stance.feet()]
    if len(feet) < 2:
        return replace(settings, feet={})
    mirror = settings.mirror or mirror_of(stance, joints)
    found = drives_of(
        robot,
        stance,
        feet,
        joints,
        natural_frequency=settings.natural_frequency,
        damping_ratio=settings.damping_ratio,
        effort_limit=settings.effort_limit,
        armature=settings.armature,
        stiffness=settings.stiffness,
        mirror=mirror,
    )
    values: dict[str, Any] = {
        name: getattr(found, name) | getattr(settings, name) for name in _BY_JOINT
    }
    return replace(
        settings,
        base=robot.base,
        joints=list(joints),
        default_joint_pos={name: pose.joint_pos[name] for name in names},
        base_height=settings.base_height or round(height, 4),
        feet={foot.body: list(foot.point_b) for foot in feet},
        failing_bodies=settings.failing_bodies or _trunk(stance, feet),
        mirror=mirror,
        pose_width=_widths(stance, feet, joints) | settings.pose_width,
        sources=found.sources,
        **values,
    )


def _widths(stance: Stance, feet: Sequence[Foot], joints: Sequence[str]) -> dict[str, float]:
    """Returns how far joints go from their default positions in a walk [rad or m]."""
    legs = {name for foot in feet for name in stance.chain(foot.body)}
    swinging = {name for name in legs if abs(stance.axis(name)[1]) > 0.7}
    return {name: _SWING if name in swinging else _STILL for name in joints}


def _trunk(stance: Stance, feet: Sequence[Foot]) -> list[str]:
    """Returns the bodies that must not touch the ground: the base, and above it what has no feet.

    Of what is not a leg, only what carries further limbs counts: a torso, not an arm.
    """
    model = stance.model
    legs = {body for foot in feet for body in stance.limb(foot.body)}
    parents = model.body_parentid
    children = [
        [b for b in range(1, model.nbody) if parents[b] == body] for body in range(model.nbody)
    ]

    def carries(body: int) -> bool:
        """Returns whether several limbs hang on a body, or on one that hangs on it alone."""
        below = children[body]
        return len(below) > 1 or (len(below) == 1 and carries(below[0]))

    trunk = {stance.base_id}
    for body in range(stance.base_id + 1, model.nbody):
        is_rigid = model.body_jntnum[body] == 0
        if parents[body] in trunk and body not in legs and (is_rigid or carries(body)):
            trunk.add(body)
    return [model.body(body).name for body in sorted(trunk)]
