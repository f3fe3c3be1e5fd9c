"""Reads MJCF files, also those written for old versions of MuJoCo.

MuJoCo's own parser reads them. What an asset cannot hold is left out: the world's own geoms,
cameras, lights, sensors, keyframes, materials and options. Attributes and elements that MuJoCo no
longer knows are skipped, as old readers skipped what they did not know.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path, PureWindowsPath

import mujoco

from rlgpu.robots.finish import finish
from rlgpu.robots.markup import put_under_one_body, read_markup
from rlgpu.robots.reports import report
from rlgpu.robots.robot import ReadOptions, Robot

_UNKNOWN = re.compile(r"unrecognized attribute: '(\w+)'\s*Element '(\w+)'")
_UNKNOWN_ELEMENT = re.compile(r"unrecognized element\s*Element '(\w+)'")
_FREE = mujoco.mjtJoint.mjJNT_FREE
_OF_TARGET = {
    mujoco.mjtTrn.mjTRN_JOINT: "joint",
    mujoco.mjtTrn.mjTRN_JOINTINPARENT: "joint",
    mujoco.mjtTrn.mjTRN_TENDON: "tendon",
    mujoco.mjtTrn.mjTRN_BODY: "body",
}
"""What actuators act on; others act on sites, which assets do not hold."""


def read_mjcf(path: Path, options: ReadOptions) -> Robot:
    """Returns the robot of an MJCF file.

    Args:
        path: The file.
        options: How to load it.

    Raises:
        ValueError: It is no model, or more than one articulation.
    """
    root = read_markup(path)
    spec = _spec(root, path)
    _drop_empty_roots(spec)
    roots = list(spec.worldbody.bodies)
    if len(roots) > 1 and not any(map(_moves_freely, roots)):
        put_under_one_body(root)
        spec = _spec(root, path)
    roots = list(spec.worldbody.bodies)
    _simplify(spec)
    if len(roots) == 1:
        _release_root(path.name, roots[0], spec)
    _drop_what_assets_do_not_hold(spec)
    for joint in spec.joints:
        joint.frictionloss = 0.0  # Isaac Gym's importer does not read it
    return finish(path.name, spec, options)


def _spec(root: ET.Element, path: Path) -> mujoco.MjSpec:
    """Returns what MuJoCo reads, skipping what it does not know."""
    skipped: list[str] = []
    while True:
        try:
            spec = mujoco.MjSpec.from_string(ET.tostring(root, encoding="unicode"))
        except ValueError as error:
            said = str(error)
            name = _skip_unknown(root, said)
            if name is None:
                raise ValueError(f"{path.name}: {' '.join(said.split())}") from error
            skipped.append(name)
        else:
            if skipped:
                report(f"{path.name}: skipped what MuJoCo does not know: {', '.join(skipped)}")
            _find_files(spec, path.parent)
            for part in [*spec.worldbody.geoms, *spec.worldbody.sites]:
                spec.delete(part)
            return spec


def _skip_unknown(root: ET.Element, said: str) -> str | None:
    """Removes what MuJoCo says it does not know and returns its name; None if that is nothing."""
    found = False
    if match := _UNKNOWN.search(said):
        attribute, tag = match.groups()
        for element in root.iter(tag):
            found |= element.attrib.pop(attribute, None) is not None
        return f"{tag}/{attribute}" if found else None
    if match := _UNKNOWN_ELEMENT.search(said):
        for parent in list(root.iter()):
            for child in parent.findall(match[1]):
                parent.remove(child)
                found = True
        return match[1] if found else None
    return None


def _find_files(spec: mujoco.MjSpec, folder: Path) -> None:
    """Says where files are: the rules of ``meshdir`` are MuJoCo's, relative to the folder."""
    spec.modelfiledir = f"{folder.resolve()}/"
    if spec.strippath:  # which is lost when the specification is attached to a world's
        spec.strippath = False
        for part in [*spec.meshes, *spec.hfields]:
            part.file = PureWindowsPath(part.file).name


def _moves_freely(body: mujoco.MjsBody) -> bool:
    return bool(body.mocap) or any(joint.type == _FREE for joint in body.joints)


def _drop_empty_roots(spec: mujoco.MjSpec) -> None:
    """Deletes bodies of the world without shapes and joints beside others."""
    plane = mujoco.mjtGeom.mjGEOM_PLANE
    for body in list(spec.worldbody.bodies):
        shapes = [geom for geom in body.find_all("geom") if geom.type != plane]
        if len(spec.worldbody.bodies) > 1 and not shapes and not body.find_all("joint"):
            spec.delete(body)


def _simplify(spec: mujoco.MjSpec) -> None:
    """Fuses static bodies and discards drawn geoms if the file asks for it, as compiling would."""
    compiler = spec.compiler
    if compiler.fusestatic:
        for root in spec.worldbody.bodies:
            root.fuse = 0  # into the world, which is no link
        spec.fuse_static()
    if compiler.discardvisual:
        spec.discard_visual()
    for body in spec.bodies:
        body.compiler.fusestatic = body.compiler.discardvisual = False


def _release_root(file: str, root: mujoco.MjsBody, spec: mujoco.MjSpec) -> None:
    """Deletes the joints of a root: it floats or is fixed, whatever joins it to the world.

    The world is no link in Isaac Gym.
    """
    root.mocap = False
    for joint in list(root.joints):
        if joint.type != _FREE:
            report(f"{file}: joint {joint.name} holds the root to the world and is left out")
        spec.delete(joint)


def _drop_what_assets_do_not_hold(spec: mujoco.MjSpec) -> None:
    """Deletes sections without a meaning here, and what refers to parts that are not in the file.

    Files of objects include the hand's tendons and contact rules without the hand.
    """
    for kind in ("keys", "sensors", "numerics", "texts", "tuples", "equalities", "pairs"):
        for element in list(getattr(spec, kind)):
            spec.delete(element)
    for tendon in list(spec.tendons):
        joints = [part.type == mujoco.mjtWrap.mjWRAP_JOINT and part.target for part in tendon.path]
        if not all(joints):
            spec.delete(tendon)
    for rule in list(spec.excludes):
        if spec.body(rule.bodyname1) is None or spec.body(rule.bodyname2) is None:
            spec.delete(rule)
    for actuator in list(spec.actuators):
        moved = _OF_TARGET.get(actuator.trntype)
        if moved is None or actuator.plugin.active or getattr(spec, moved)(actuator.target) is None:
            spec.delete(actuator)
