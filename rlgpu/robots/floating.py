"""Reads the file of a robot that stands or walks, as its author made it, for a task's scene.

Isaac Gym's assets lose what its importers do not read; here springs, friction, sensors, sites,
equalities and what is only drawn stay. What a task brings itself is taken out: the ground, lights,
other bodies of the world, actuators and keyframes. The last two are returned.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import mujoco
import numpy as np

from rlgpu.errors import MalformedModel, list_some
from rlgpu.robots.actuators import drives_of, take_actuators
from rlgpu.robots.drawn import thin_drawn_meshes
from rlgpu.robots.joints import add_free_joint, check_limits
from rlgpu.robots.reports import collected
from rlgpu.robots.robot import SCALAR_JOINTS, Actuator, Drive, ReadOptions
from rlgpu.robots.urdf import read_urdf
from rlgpu.robots.urdf_shapes import DRAWN

_FREE, _BALL = mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_BALL
_GRAVITY = [0.0, 0.0, -9.81]
_HIDDEN = 3
"""Group of shapes that viewers do not show."""
_TREE = "rlgpu_free"
"""Name of the free joint of a base whose file has none."""


@dataclass(frozen=True)
class Keyframe:
    """A pose that a file names."""

    name: str
    joint_pos: dict[str, float]
    """By joint [rad or m]."""


@dataclass(frozen=True)
class FloatingRobot:
    """A robot whose base floats, alone in its world."""

    file: Path
    spec: mujoco.MjSpec
    """Without actuators, keyframes and surroundings; never changed, but copied."""
    base: str
    """Name of the body that floats."""
    drives: dict[str, Drive] = field(default_factory=dict)
    """What the file says of the drives of joints, by name."""
    actuators: tuple[Actuator, ...] = ()
    keyframes: tuple[Keyframe, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out or added, for the user."""


def read_floating(file: Path) -> FloatingRobot:
    """Returns the robot of an MJCF or URDF file; a file that did not change is read once.

    Raises:
        MalformedModel: It is no such file, or has no robot whose base floats.
    """
    state = file.stat()
    return _read(file.resolve(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _read(file: Path, _modified: int, _size: int) -> FloatingRobot:
    return _read_urdf(file) if _is_urdf(file) else _read_mjcf(file)


def _is_urdf(file: Path) -> bool:
    """Returns whether a file's root element is URDF's; what is no XML is MuJoCo's to refuse."""
    try:
        return next(ET.iterparse(file, events=("start",)))[1].tag == "robot"
    except (ET.ParseError, StopIteration):
        return False


def _read_urdf(file: Path) -> FloatingRobot:
    options = ReadOptions(collapse_fixed_joints=True, visuals=True)
    with collected() as notes:
        robot = read_urdf(file, [file.parent], options)
    base = robot.spec.bodies[1]
    if not robot.spec.joints:
        raise MalformedModel("it has no joints that move", "no_robot", file=file.name)
    add_free_joint(base, _TREE)
    for body in robot.spec.bodies[1:]:  # what collides is shown only where nothing else is
        if any(geom.group == DRAWN for geom in body.geoms):
            for geom in body.geoms:
                geom.group = geom.group if geom.group == DRAWN else _HIDDEN
    for joint in robot.spec.joints:
        if joint.name in robot.drives:
            joint.frictionloss = robot.drives[joint.name].friction
    thin_drawn_meshes(robot.spec, robot.spec.copy().compile())
    bare = tuple(note.removeprefix(f"{file.name}: ") for note in notes)
    return FloatingRobot(file, robot.spec, base.name, robot.drives, notes=bare)


def _read_mjcf(file: Path) -> FloatingRobot:
    notes: list[str] = []
    with collected() as reports:
        try:
            spec = mujoco.MjSpec.from_file(str(file))
            base = _base_of(spec, file, notes)
            check_limits(file.name, spec)
            model = spec.compile()
        except MalformedModel:
            raise
        except Exception as error:
            said = f"MuJoCo cannot read it: {' '.join(str(error).split())}"
            raise MalformedModel(said, "value", file=file.name) from error
    notes += [said.removeprefix(f"{file.name}: ") for said in reports]
    keyframes = tuple(_keyframes(spec, model, base))
    thin_drawn_meshes(spec, model)
    _clear_world(spec, base, notes)
    for key in list(spec.keys):
        spec.delete(key)
    if list(spec.option.gravity) != _GRAVITY:
        notes.append(f"its gravity is {list(spec.option.gravity)}; it is {_GRAVITY} here")
        spec.option.gravity = _GRAVITY
    if not _free_joint_of(base):
        add_free_joint(base, _TREE)
        notes.append(f"base {base.name} is fixed in the file; it floats here")
    actuators = take_actuators(spec, model)
    drives = drives_of(actuators)
    for actuator in actuators:
        effort = min(_largest_force(actuator), _largest_of_joint(spec.joint(actuator.joint)))
        drives[actuator.joint] = drives[actuator.joint]._replace(effort=effort)
    return FloatingRobot(file, spec, base.name, drives, actuators, keyframes, tuple(notes))


def _largest_force(actuator: Actuator) -> float:
    """Returns the largest torque or force of an actuator [N m or N]."""
    limits = [math.inf]
    if actuator.force_range:
        limits.append(abs(actuator.gear) * max(map(abs, actuator.force_range)))
    if actuator.kind == "motor" and actuator.control_range:
        limits.append(abs(actuator.effort) * max(map(abs, actuator.control_range)))
    return min(limits)


def _largest_of_joint(joint: mujoco.MjsJoint) -> float:
    """Returns the largest torque or force that a joint takes from its actuators [N m or N]."""
    low, high = joint.actfrcrange.tolist()
    is_limited = joint.actfrclimited == mujoco.mjtLimited.mjLIMITED_TRUE
    implied = joint.actfrclimited == mujoco.mjtLimited.mjLIMITED_AUTO and low < high
    return max(-low, high) if is_limited or implied else math.inf


def _joints_below(body: mujoco.MjsBody) -> Iterator[mujoco.MjsJoint]:
    for joint in body.joints:
        if joint.type != _FREE:
            yield joint
    for child in body.bodies:
        yield from _joints_below(child)


def _free_joint_of(body: mujoco.MjsBody) -> mujoco.MjsJoint | None:
    return next((joint for joint in body.joints if joint.type == _FREE), None)


def _base_of(spec: mujoco.MjSpec, file: Path, notes: list[str]) -> mujoco.MjsBody:
    """Returns the root of the tree with the most joints, which must float or be without joints.

    Raises:
        MalformedModel: There is none, or it is held to the world.
    """
    roots = sorted(spec.worldbody.bodies, key=lambda body: -len(list(_joints_below(body))))
    if not roots or not list(_joints_below(roots[0])):
        said = "it has no robot: no body under the world has joints below it"
        raise MalformedModel(said, "no_robot", file=file.name)
    base = roots[0]
    taken = {body.name for body in spec.bodies}
    base.name = base.name or ("base" if "base" not in taken else "floating_base")
    for i, body in enumerate(spec.bodies[1:]):
        body.name = body.name or f"body_{i}"
    holding = [joint.name for joint in base.joints if joint.type != _FREE]
    if holding:
        raise MalformedModel(
            f"its base {base.name} is held to the world by {list_some(holding)}; a robot that walks"
            " floats: give the base a <freejoint/> and no other joint",
            "held",
            base.name,
            file=file.name,
        )
    if balls := [joint.name for joint in _joints_below(base) if joint.type == _BALL]:
        said = f"it has ball joints ({list_some(balls)}); use three hinges instead of each"
        raise MalformedModel(said, "ball_joints", *balls, file=file.name)
    for i, joint in enumerate(_joints_below(base)):
        joint.name = joint.name or f"joint_{i}"
    if others := [body.name or "(unnamed)" for body in roots[1:]]:
        notes.append(f"left out, beside the robot: {list_some(others)}")
    return base


def _keyframes(
    spec: mujoco.MjSpec, model: mujoco.MjModel, base: mujoco.MjsBody
) -> Iterator[Keyframe]:
    """Yields the joint positions that a file names; the base's place does not matter."""
    names = [joint.name for joint in _joints_below(base) if joint.type in SCALAR_JOINTS]
    for i, key in enumerate(spec.keys):
        qpos = np.array(model.key_qpos[i])
        where = {name: float(qpos[model.joint(name).qposadr[0]]) for name in names}
        yield Keyframe(key.name, where)


def _clear_world(spec: mujoco.MjSpec, base: mujoco.MjsBody, notes: list[str]) -> None:
    """Deletes everything in the world but the robot, and what refers to it."""
    world = spec.worldbody
    for body in list(world.bodies):
        if body.name != base.name:
            spec.delete(body)
    for kind in ("geoms", "sites", "cameras"):
        for part in list(getattr(world, kind)):
            spec.delete(part)
    for light in list(spec.lights):  # some follow the robot, which the scene lights already
        spec.delete(light)
    held = [tie for tie in spec.equalities if _holds_to_world(tie)]
    if held:
        names = list_some([tie.name or tie.name1 or "(unnamed)" for tie in held])
        notes.append(f"left out, as they hold it to the world: {names}")
    for tie in held:
        spec.delete(tie)
    sensors = [sensor.name for sensor in spec.sensors if not _refers(spec, sensor)]
    for sensor in [sensor for sensor in spec.sensors if sensor.name in sensors]:
        spec.delete(sensor)
    if sensors:
        notes.append(f"sensors of what is left out: {list_some(sensors)}")


def _holds_to_world(tie: mujoco.MjsEquality) -> bool:
    """Returns whether an equality constraint ties a body to the world."""
    kinds = mujoco.mjtEq
    of_places = tie.type in (kinds.mjEQ_WELD, kinds.mjEQ_CONNECT)
    return of_places and bool({tie.name1, tie.name2} & {"", "world"})


def _refers(spec: mujoco.MjSpec, sensor: mujoco.MjsSensor) -> bool:
    """Returns whether the robot has what a sensor measures."""
    kinds = mujoco.mjtObj
    find = {
        kinds.mjOBJ_SITE: spec.site,
        kinds.mjOBJ_BODY: spec.body,
        kinds.mjOBJ_XBODY: spec.body,
        kinds.mjOBJ_GEOM: spec.geom,
        kinds.mjOBJ_JOINT: spec.joint,
        kinds.mjOBJ_TENDON: spec.tendon,
        kinds.mjOBJ_CAMERA: spec.camera,
    }
    pairs = ((sensor.objtype, sensor.objname), (sensor.reftype, sensor.refname))
    is_known = [
        not name or kind not in find or find[kind](name) is not None for kind, name in pairs
    ]
    # What an actuator measures is gone with the actuators.
    return all(is_known) and sensor.objtype != kinds.mjOBJ_ACTUATOR
