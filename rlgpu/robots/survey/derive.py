"""Completes what a task has to know of a robot with what its file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from rlgpu.errors import Unreadable, UsageError, list_some, nearest
from rlgpu.robots.floating import FloatingRobot, read_floating
from rlgpu.robots.survey.files import located
from rlgpu.robots.survey.gains import drives_of
from rlgpu.robots.survey.pose import Pose, poses
from rlgpu.robots.survey.settings import RobotSettings
from rlgpu.robots.survey.stance import Foot, Stance, stand
from rlgpu.robots.survey.symmetry import mirror_of
from rlgpu.sim.scene import Drive

KEY = "task.robot."
_T = TypeVar("_T")
_SWING, _STILL = 0.4, 0.15
"""How far joints that swing legs, and others, go from their default positions in a walk [rad]."""
_BY_JOINT = ("effort_limit", "armature", "stiffness", "damping", "action_scale")


def is_complete(settings: RobotSettings) -> bool:
    """Returns whether nothing is left to be found in the file."""
    joints = set(settings.joints)
    by_joint = (getattr(settings, name) for name in ("default_joint_pos", *_BY_JOINT))
    known = all(joints <= set(values) for values in by_joint)
    return bool(joints and known and settings.base and settings.base_height and settings.feet)


def complete(settings: RobotSettings) -> RobotSettings:
    """Returns settings in which everything is said; what was given stays.

    Args:
        settings: What the user gave.

    Raises:
        UsageError: The file cannot be used, or a value names a joint or body that it lacks.
    """
    settings = located(settings)
    file = Path(settings.file)
    if is_complete(settings):
        return settings
    try:
        robot = read_floating(file)
    except ValueError as error:
        said = f"robot={file}: {error}"
        raise Unreadable(said, "form", key=f"{KEY}file", value=str(file), path=file) from error
    stance = Stance(robot.spec, robot.base)
    _check_names(settings, stance, file)
    joints = settings.joints or _driven(robot, stance)
    sources = {"joints": "the file's actuators" if robot.actuators else "all joints of the file"}
    found, pose = _standing(settings, robot, stance, joints)
    sources |= found.sources | {"default_joint_pos": pose.source}
    if settings.default_joint_pos:
        sources["default_joint_pos"] = "given"
    sources |= {name: "given" for name in _BY_JOINT if getattr(settings, name)}
    return replace(found, sources=sources)


def _driven(robot: FloatingRobot, stance: Stance) -> list[str]:
    """Returns the joints that a file's actuators drive; all if it has none."""
    acted_on = {actuator.joint for actuator in robot.actuators}
    return [name for name in stance.joints if not acted_on or name in acted_on]


def by_joint(values: Mapping[str, _T], joints: Sequence[str]) -> dict[str, _T]:
    """Returns what is given for joints: by their names, or by parts of names, the last one counts.

    Args:
        values: Values by name or part of a name.
        joints: The joints; those for which nothing is given are left out.
    """
    found: dict[str, _T] = {}
    for part, value in values.items():
        named = [part] if part in joints else [name for name in joints if part in name]
        found |= dict.fromkeys(named, value)
    return {name: found[name] for name in joints if name in found}


def _check_names(settings: RobotSettings, stance: Stance, file: Path) -> None:
    """Refuses names of joints and bodies that the file does not have."""
    joints = list(stance.joints)
    bodies = [stance.model.body(i).name for i in range(1, stance.model.nbody)]
    named = {name: list(getattr(settings, name)) for name in ("default_joint_pos", *_BY_JOINT)}
    for key, names in named.items():
        for part in names:
            if not any(part in joint for joint in joints):
                raise _unknown(f"{key}.{part}", part, joints, "joint", file)
    of_bodies = [*settings.feet, *settings.failing_bodies]
    for key, names, known, kind in (
        ("joints", settings.joints, joints, "joint"),
        ("mirror", list(settings.mirror), joints, "joint"),
        ("feet and failing_bodies", of_bodies, bodies, "body"),
    ):
        for name in names:
            if name not in known:
                raise _unknown(key, name, known, kind, file)


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
    given = by_joint(settings.default_joint_pos, list(stance.joints))
    if len(given) == len(stance.joints) or set(given) >= set(joints):
        options = [Pose(given, (1, 0, 0, 0), "given")]
    else:
        options = [pose._replace(joint_pos=pose.joint_pos | given) for pose in poses(robot, stance)]
    tried = []
    for pose in options:
        found = _in_pose(settings, robot, stance, joints, pose)
        if len(found.feet) < 2:
            tried.append(f"{pose.source}: it meets the ground with no two limbs")
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
            f"{pose.source}: after a moment the base is at {stood.height:.0%} of its height and "
            f"tilted by {stood.tilt:.2f} rad"
        )
    raise UsageError(
        f"robot={settings.file}: no pose was found in which it stands ({'; '.join(tried)}); give "
        f"{KEY}default_joint_pos={{joint: angle, ...}}, and {KEY}stiffness if it is too soft",
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
    stance.put(dict.fromkeys(names, 0.0))
    drawn = {foot.body: foot for foot in stance.feet() if foot.is_flat}
    height = stance.put(pose.joint_pos, pose.quat)
    if settings.feet:
        feet = [Foot(b, (at[0], at[1], at[2]), False) for b, at in settings.feet.items()]
    else:  # the whole sole counts, though the foot may be tilted a little in this pose
        feet = [drawn.get(foot.body, foot) for foot in stance.feet()]
    if len(feet) < 2:
        return replace(settings, feet={})
    found = drives_of(
        robot,
        stance,
        feet,
        joints,
        natural_frequency=settings.natural_frequency,
        damping_ratio=settings.damping_ratio,
        effort_limit=by_joint(settings.effort_limit, joints),
        armature=by_joint(settings.armature, joints),
        stiffness=by_joint(settings.stiffness, joints),
    )
    mirror = settings.mirror or mirror_of(stance, joints)
    values: dict[str, Any] = {
        name: _alike(getattr(found, name), mirror) | by_joint(getattr(settings, name), joints)
        for name in _BY_JOINT
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
        pose_width=_widths(stance, feet, joints) | by_joint(settings.pose_width, joints),
        sources=found.sources,
        **values,
    )


def _alike(values: Mapping[str, float], mirror: Mapping[str, str]) -> dict[str, float]:
    """Returns values by joint, with those of a joint's mirror image where that comes first."""
    names = list(values)
    images = {name: image.lstrip("-") for name, image in mirror.items()}
    first = {name: min(name, images.get(name, name), key=names.index) for name in names}
    return {name: values[first[name]] for name in names}


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
    legs = set()
    for foot in feet:
        at = int(model.body(foot.body).id)
        while at != stance.base_id:
            legs.add(at)
            at = int(model.body_parentid[at])
    trunk = {stance.base_id}
    for body in range(stance.base_id + 1, model.nbody):
        branches = sum(model.body_parentid[other] == body for other in range(model.nbody))
        carried = model.body_parentid[body] in trunk and body not in legs
        if carried and (branches > 1 or model.body_jntnum[body] == 0):
            trunk.add(body)
    return [model.body(body).name for body in sorted(trunk)]
