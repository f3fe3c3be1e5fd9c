"""Reads MJCF files, also those written for old versions of MuJoCo.

What an asset cannot hold is left out: the world's own geoms, cameras, lights, sensors, keyframes,
materials and options. Attributes and elements that MuJoCo no longer knows are skipped, as old
readers skipped what they did not know.
"""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import mujoco
import numpy as np

from rlgpu.isaacgym.assets.asset import Actuator, Asset, Drive
from rlgpu.isaacgym.assets.finish import finish
from rlgpu.isaacgym.notes import note
from rlgpu.isaacgym.properties import (
    FLOAT_MAX,
    ActuatorProperties,
)
from rlgpu.isaacgym.structs import AssetOptions

_DROPPED = ("option", "visual", "statistic", "keyframe", "sensor", "custom", "size", "extension")
_WORLD_ONLY = ("geom", "light", "camera", "site")
_UNKNOWN = re.compile(r"unrecognized attribute: '(\w+)'\s*Element '(\w+)'")
_UNKNOWN_ELEMENT = re.compile(r"unrecognized element\s*Element '(\w+)'")
_POSITION, _VELOCITY = 1, 2
_LOCKED = 1e-3
"""Play of a joint whose limits are equal [rad, degrees or m]."""


def load_mjcf(path: Path, options: AssetOptions) -> Asset:
    """Returns the asset of an MJCF file.

    Args:
        path: The file.
        options: How to load it.

    Raises:
        ValueError: It is no model, or more than one articulation.
    """
    root = _expanded(_parse(path), path)
    if root.tag != "mujoco":
        raise ValueError(f"{path.name} is not MJCF: its root element is <{root.tag}>")
    _clean(root)
    _join_roots(root)
    _rename_repeated(root, path)
    _drop_dangling(root)
    _absolute_meshes(root, path.parent)
    spec = _spec(root, path)
    actuators = tuple(_actuators(spec))
    drives = _drives(spec, actuators)
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for joint in spec.joints:
        joint.frictionloss = 0.0  # Isaac Gym's importer does not read it
    return finish(path.name, spec, options, drives, actuators)


def _parse(path: Path) -> ET.Element:
    try:
        return ET.parse(path).getroot()
    except ET.ParseError as error:
        raise ValueError(f"{path.name} is not XML: {error}") from error


def _expanded(root: ET.Element, path: Path, depth: int = 0) -> ET.Element:
    """Returns a tree with the contents of included files in place of their ``include``s."""
    if depth > 10:
        raise ValueError(f"{path.name}: files include each other in a circle")
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag != "include":
                continue
            file = path.parent / child.attrib["file"]
            if not file.is_file():
                raise ValueError(f"{path.name} includes {file}, which does not exist")
            inside = _expanded(_parse(file), file, depth + 1)
            at = list(parent).index(child)
            parent.remove(child)
            for i, element in enumerate(inside):
                parent.insert(at + i, copy.deepcopy(element))
    return root


def _clean(root: ET.Element) -> None:
    for element in list(root):
        if element.tag in _DROPPED:
            root.remove(element)
        elif element.tag == "worldbody":
            for child in list(element):
                if child.tag in _WORLD_ONLY:
                    element.remove(child)
        elif element.tag == "asset":
            for child in list(element):
                if child.tag != "mesh":
                    element.remove(child)
    for element in root.iter():
        element.attrib.pop("material", None)
        if element.tag == "joint" and "range" in element.attrib:
            low, high = (float(value) for value in element.attrib["range"].split())
            if low == high:  # a locked joint; MuJoCo wants a range
                element.attrib["range"] = f"{low - _LOCKED} {high + _LOCKED}"
        inertials = element.findall("inertial")
        for again in inertials[1:]:
            element.remove(again)


def _moves_freely(body: ET.Element) -> bool:
    joints = body.findall("joint")
    free = body.find("freejoint") is not None or any(j.get("type") == "free" for j in joints)
    return free or body.get("mocap") == "true"


def _join_roots(root: ET.Element) -> None:
    """Leaves one body under the world: drops empty ones, and puts fixed ones under a common one."""
    world = root.find("worldbody")
    if world is None:
        return
    bodies = world.findall("body")
    for body in bodies:
        shapes = [geom for geom in body.iter("geom") if geom.get("type") != "plane"]
        if len(bodies) > 1 and not shapes and body.find(".//joint") is None:
            world.remove(body)
    bodies = world.findall("body")
    if len(bodies) > 1 and not any(map(_moves_freely, bodies)):
        base = ET.SubElement(world, "body", name=root.get("model", "base"))
        for body in bodies:
            world.remove(body)
            base.append(body)


def _rename_repeated(root: ET.Element, path: Path) -> None:
    """Gives parts of one kind and name different names; old readers did not compare them."""
    seen: set[tuple[str, str]] = set()
    for element in (part for world in root.iter("worldbody") for part in world.iter()):
        name = element.get("name")
        if name is None:
            continue
        new, count = name, 0
        while (element.tag, new) in seen:
            count += 1
            new = f"{name}_{count}"
        seen.add((element.tag, new))
        if count:
            element.set("name", new)
            note(f"{path.name}: a second {element.tag} {name} is called {new}")


def _drop_dangling(root: ET.Element) -> None:
    """Removes what refers to parts that are not in the file, and what assets do not hold.

    Files of objects include the hand's tendons and contact rules without the hand.
    """
    names: dict[str, set[str | None]] = {
        kind: {e.get("name") for world in root.iter("worldbody") for e in world.iter(kind)}
        for kind in ("body", "joint", "geom", "site")
    }
    links = {"joint": "joint", "body1": "body", "body2": "body", "site": "site", "geom": "geom",
             "tendon": "tendon"}  # fmt: skip
    names["tendon"] = set()

    def dangles(element: ET.Element) -> bool:
        inside = [part for part in element.iter() if part is not element or not len(element)]
        return any(
            value not in names[links[key]]
            for part in inside
            for key, value in part.attrib.items()
            if key in links
        )

    for section in [*root.findall("tendon"), *root.findall("contact"), *root.findall("actuator")]:
        for element in list(section):
            if element.tag in ("pair", "spatial") or dangles(element):
                section.remove(element)
        if section.tag == "tendon":
            names["tendon"] |= {element.get("name") for element in section}
    for section in root.findall("equality"):
        root.remove(section)


def _absolute_meshes(root: ET.Element, folder: Path) -> None:
    """Gives meshes absolute paths, and drops the folders that a compiler element names."""
    directory = folder
    for compiler in root.iter("compiler"):
        if "meshdir" in compiler.attrib:
            directory = folder / compiler.attrib["meshdir"]
        elif "assetdir" in compiler.attrib:
            directory = folder / compiler.attrib["assetdir"]
        for name in ("meshdir", "texturedir", "assetdir"):
            compiler.attrib.pop(name, None)
    for mesh in root.iter("mesh"):
        if "file" in mesh.attrib:
            file = mesh.attrib["file"]
            mesh.attrib.setdefault("name", Path(file).stem)
            mesh.attrib["file"] = str((directory / file).resolve())


def _spec(root: ET.Element, path: Path) -> mujoco.MjSpec:
    """Returns what MuJoCo reads, skipping what it does not know."""
    skipped: list[str] = []
    while True:
        try:
            spec = mujoco.MjSpec.from_string(ET.tostring(root, encoding="unicode"))
        except ValueError as error:
            said = str(error)
            if match := _UNKNOWN.search(said):
                attribute, tag = match.groups()
                for element in root.iter(tag):
                    element.attrib.pop(attribute, None)
                skipped.append(f"{tag}/{attribute}")
            elif match := _UNKNOWN_ELEMENT.search(said):
                for parent in list(root.iter()):
                    for child in list(parent):
                        if child.tag == match[1]:
                            parent.remove(child)
                skipped.append(match[1])
            else:
                raise ValueError(f"{path.name}: {' '.join(said.split())}") from error
            if len(skipped) > 100:
                raise
        else:
            if skipped:
                note(f"{path.name}: skipped what MuJoCo does not know: {', '.join(skipped)}")
            return spec


def _actuators(spec: mujoco.MjSpec) -> list[Actuator]:
    """Returns the actuators that act on joints, as Isaac Gym describes them."""
    found = []
    for actuator in spec.actuators:
        if actuator.trntype != mujoco.mjtTrn.mjTRN_JOINT:
            continue
        properties = ActuatorProperties()
        gain, bias = float(actuator.gainprm[0]), np.asarray(actuator.biasprm)
        if bias[1]:
            properties.type, properties.kp, properties.kv = "position", gain, float(-bias[2])
        elif bias[2]:
            properties.type, properties.kv = "velocity", gain
        else:
            properties.type, properties.motor_effort = "motor", float(actuator.gear[0]) * gain
        for name, limit, wanted in (
            ("control", actuator.ctrlrange, actuator.ctrllimited),
            ("force", actuator.forcerange, actuator.forcelimited),
        ):
            # An unset flag means: limited if there is a range.
            limited = wanted == 1 or (wanted == 2 and limit[0] < limit[1])
            setattr(properties, f"{name}_limited", bool(limited))
            if limited:
                setattr(properties, f"lower_{name}_limit", float(limit[0]))
                setattr(properties, f"upper_{name}_limit", float(limit[1]))
        found.append(Actuator(actuator.name, actuator.target, properties))
    return found


def _drives(spec: mujoco.MjSpec, actuators: tuple[Actuator, ...]) -> dict[str, Drive]:
    """Returns the drives that actuators give their joints."""
    drives = {}
    for _, joint, properties in actuators:
        limit = properties.upper_force_limit if properties.force_limited else FLOAT_MAX
        if properties.type == "position":
            drives[joint] = Drive(mode=_POSITION, stiffness=properties.kp, effort=limit)
        elif properties.type == "velocity":
            drives[joint] = Drive(mode=_VELOCITY, effort=limit)
        else:
            effort = properties.motor_effort if properties.control_limited else FLOAT_MAX
            drives[joint] = Drive(effort=min(limit, abs(effort)) if effort else limit)
    return drives
