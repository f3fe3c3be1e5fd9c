"""Reads URDF files into MuJoCo specifications.

MuJoCo's own reader drops effort and velocity limits, fuses the base into the world and refuses
many public files, so links and joints are built here. Children follow their parents depth first,
in the order in which the file declares the joints.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import mujoco
import numpy as np

from rlgpu.errors import MalformedModel
from rlgpu.robots.finish import finish
from rlgpu.robots.frames import (
    Frame,
    frame_of,
    number,
    numbers,
    principal,
    rotation_of,
    word,
)
from rlgpu.robots.joints import ball_axes
from rlgpu.robots.meshes import MeshFiles
from rlgpu.robots.reports import report
from rlgpu.robots.robot import RESERVED, Drive, ReadOptions, Robot
from rlgpu.robots.urdf_shapes import add_shape, add_visual, colours_of

_LARGEST = float(np.finfo(np.float32).max)  # what one infinite limit of two is
_KINDS = {
    "revolute": mujoco.mjtJoint.mjJNT_HINGE,
    "continuous": mujoco.mjtJoint.mjJNT_HINGE,
    "prismatic": mujoco.mjtJoint.mjJNT_SLIDE,
    "spherical": mujoco.mjtJoint.mjJNT_BALL,
}


def read_urdf(path: Path, folders: list[Path], options: ReadOptions) -> Robot:
    """Returns the robot of a URDF file.

    Args:
        path: The file.
        folders: Where else its meshes may be: the asset root.
        options: How to load it.

    Raises:
        MalformedModel: It is no robot, or has joints that cannot be simulated.
    """
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        raise MalformedModel(f"it is not XML: {error}", "syntax", file=path.name) from error
    if root.tag != "robot":
        said = f"it is not URDF: its root element is <{root.tag}>"
        raise MalformedModel(said, "root", root.tag, file=path.name)
    try:
        builder = _Builder(root, path, folders, options)
        spec = builder.build()
    except MalformedModel as error:
        error.set_file(path.name)
        raise
    except ValueError as error:
        said = " ".join(str(error).split())
        raise MalformedModel(said, "value", file=path.name) from error
    links, owners = builder.holders, builder.meshes.owners
    return finish(path.name, spec, options, builder.drives, links=links, owners=owners)


class _Builder:
    """Builds a specification link by link."""

    def __init__(
        self, root: ET.Element, path: Path, folders: list[Path], options: ReadOptions
    ) -> None:
        self.path, self.options = path, options
        self.spec = mujoco.MjSpec()
        self.spec.compiler.degree = False
        self.spec.compiler.autolimits = False
        self.drives: dict[str, Drive] = {}
        self.holders: dict[str, str] = {}
        self.unbounded: list[str] = []
        self.meshes = MeshFiles(self.spec, path, folders, options)
        self.links = _by_name(root, "link")
        self.colours = colours_of(root)
        self.children: dict[str, list[ET.Element]] = {name: [] for name in self.links}
        self.root = self._tree(root)

    def _tree(self, root: ET.Element) -> str:
        """Sorts joints by their parents and returns the root link."""
        holders: dict[str, str] = {}
        for name, joint in _by_name(root, "joint").items():
            parent, child = joint.find("parent"), joint.find("child")
            if parent is None or child is None:
                raise MalformedModel(
                    f"joint {name} has no parent or child; a part meant to be included in other "
                    "files cannot be loaded alone",
                    "missing",
                    "joint",
                    name,
                )
            above, below = word(parent, "link"), word(child, "link")
            for link in (above, below):
                if link not in self.links:
                    raise MalformedModel(
                        f"joint {name} names link {link}, which the file does not have; a part "
                        "meant to be included cannot be loaded alone",
                        "unknown_link",
                        name,
                        link,
                    )
            if below in holders:
                said = f"link {below} has two parents, by joints {holders[below]} and {name}"
                raise MalformedModel(said, "two_parents", below, holders[below], name)
            self.children[above].append(joint)
            holders[below] = name
        roots = [name for name in self.links if name not in holders]
        if len(roots) != 1:
            none = "a circle" if self.links else "it has no links"
            raise MalformedModel(
                f"it has {len(roots)} root links ({', '.join(roots) or none}); an asset is one "
                "tree",
                "roots",
                *roots,
            )
        reached = set(self._below(roots[0]))
        if circle := [name for name in self.links if name not in reached]:
            said = f"links {', '.join(circle)} are in a circle; an asset is one tree"
            raise MalformedModel(said, "circle", *circle)
        return self._released(roots[0])

    def _released(self, root: str) -> str:
        """Returns the link that a floating joint frees from an empty root link, else the root."""
        below, link = self.children[root], self.links[root]
        floats = len(below) == 1 and word(below[0], "type") == "floating"
        is_empty = link.find("collision") is None and link.find("inertial") is None
        return _child(below[0]) if floats and is_empty else root

    def _below(self, link: str) -> Iterator[str]:
        """Yields a link and all below it."""
        yield link
        for joint in self.children[link]:
            yield from self._below(_child(joint))

    def build(self) -> mujoco.MjSpec:
        """Returns the specification."""
        # MuJoCo has a body named world already; finish() gives the link another name.
        body = self.spec.worldbody.add_body(name="" if self.root == RESERVED else self.root)
        self._fill(body, self.root)
        if self.unbounded:
            names = ", ".join(self.unbounded)
            report(
                f"{self.path.name}: without lower and upper limits, so unlimited: joints {names}"
            )
        return self.spec

    def _fill(self, body: mujoco.MjsBody, link: str) -> None:
        """Gives a body its link, the links collapsed into it, and its children."""
        parts = list(self._collapsed(link, Frame()))
        self._add_inertia(body, parts)
        for name, frame in parts:
            for collision in self.links[name].findall("collision"):
                add_shape(body, collision, frame, self.meshes, self.options)
            if self.options.visuals and name != link:  # a place where an IMU may be
                body.add_site(name=name, pos=frame.pos, quat=frame.quat)
            for visual in self.links[name].findall("visual") if self.options.visuals else ():
                add_visual(body, visual, frame, self.meshes, self.colours)
        for name, frame in parts:
            for joint in self.children[name]:
                if not self._collapses(joint):
                    self._add_child(body, joint, frame)

    def _collapses(self, joint: ET.Element) -> bool:
        kept = joint.attrib.get("dont_collapse", "false").lower() == "true"
        return word(joint, "type") == "fixed" and self.options.collapse_fixed_joints and not kept

    def _collapsed(self, link: str, frame: Frame) -> Iterator[tuple[str, Frame]]:
        """Yields a link and those fixed to it, with their frames in the body's."""
        yield link, frame
        for joint in self.children[link]:
            if self._collapses(joint):
                yield from self._collapsed(_child(joint), frame @ frame_of(joint))

    def _add_child(self, parent: mujoco.MjsBody, joint: ET.Element, frame: Frame) -> None:
        name, kind, link = joint.attrib["name"], word(joint, "type"), _child(joint)
        where = frame @ frame_of(joint)
        self.holders[link] = name
        body = parent.add_body(name=link, pos=where.pos, quat=where.quat)
        if joint.find("mimic") is not None:
            # Isaac Gym ignores it too: scripts drive both fingers of a Franka.
            report(f"{self.path.name}: joint {name} mimics another; it is a DOF of its own here")
        if kind in _KINDS:
            self._add_joint(body, joint)
        elif kind == "floating":
            said = f"joint {name} is floating; make it an own asset"
            raise MalformedModel(said, "joint_type", name, kind)
        elif kind != "fixed":
            raise MalformedModel(
                f"joint {name} is {kind}; joints are fixed, {', '.join(_KINDS)}",
                "joint_type",
                name,
                kind,
            )
        self._fill(body, link)

    def _add_joint(self, body: mujoco.MjsBody, joint: ET.Element) -> None:
        name, kind = joint.attrib["name"], joint.attrib["type"]
        axis = joint.find("axis")
        made = body.add_joint(name=name, type=_KINDS[kind])
        made.axis = numbers(axis, "xyz", [1, 0, 0])
        limit, dynamics = joint.find("limit"), joint.find("dynamics")
        if kind not in ("continuous", "spherical"):
            ends = [0.0 if limit is None else number(limit, x, 0.0) for x in ("lower", "upper")]
            is_bounded = limit is not None and not {"lower", "upper"}.isdisjoint(limit.attrib)
            made.range = np.clip(ends, -_LARGEST, _LARGEST)
            made.limited = is_bounded and not np.isinf(ends).all()
            if not is_bounded:
                self.unbounded.append(name)
        friction = 0.0
        if dynamics is not None:
            made.damping[0] = number(dynamics, "damping", 0.0)
            friction = number(dynamics, "friction", 0.0)
        drive = Drive(friction=friction)
        # Zero in these fields is common in files whose authors never set them.
        if effort := _bound(limit, "effort"):
            drive = drive._replace(effort=effort)
        if velocity := _bound(limit, "velocity"):
            drive = drive._replace(velocity=velocity)
        names = ball_axes(name) if kind == "spherical" else (name,)
        self.drives.update(dict.fromkeys(names, drive))

    def _add_inertia(self, body: mujoco.MjsBody, parts: list[tuple[str, Frame]]) -> None:
        """Combines the inertia of the links that make up a body."""
        known = []
        for name, frame in parts:
            inertial = self.links[name].find("inertial")
            stated = None if inertial is None else inertial.find("mass")
            tensor = None if inertial is None else inertial.find("inertia")
            mass, centre, own = 0.0, frame.pos, np.zeros((3, 3))
            if stated is None or tensor is None:
                mass, centre, own = self._from_shapes(name, frame, stated)
            if inertial is not None and tensor is not None:
                at = frame @ frame_of(inertial)
                centre, own = at.pos, at.matrix @ _tensor(tensor) @ at.matrix.T
            if stated is not None:
                mass = _mass(stated)
            known.append((mass, centre, own))
        total = sum(mass for mass, _, _ in known)
        body.explicitinertial = True
        body.mass = total
        if total <= 0:
            return
        com = np.sum([mass * pos for mass, pos, _ in known], axis=0) / total
        combined = np.zeros((3, 3))
        for mass, pos, own in known:
            arm = pos - com
            combined += own + mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))
        body.ipos = com
        body.inertia, body.iquat, mended = principal(combined, total)
        if mended:
            report(f"{self.path.name}: link {body.name} has an impossible inertia tensor; mended")

    def _from_shapes(
        self, link: str, frame: Frame, mass: ET.Element | None
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Returns mass, centre and inertia of a link as its shapes' and the density give them."""
        spec = mujoco.MjSpec()
        body = spec.worldbody.add_body()
        inertial = self.links[link].find("inertial")
        meshes = MeshFiles(spec, self.path, self.meshes.folders, self.options)
        for collision in self.links[link].findall("collision"):
            add_shape(body, collision, Frame(), meshes, self.options)
        if not list(body.geoms):
            value = 0.0 if mass is None else _mass(mass)
            at = frame if inertial is None else frame @ frame_of(inertial)
            return value, at.pos, np.eye(3) * value * 1e-3
        model = spec.compile()
        axes = rotation_of(model.body_iquat[1])
        ratio = 1.0 if mass is None else _mass(mass) / model.body_mass[1]
        tensor = frame.matrix @ (axes * model.body_inertia[1] * ratio) @ axes.T @ frame.matrix.T
        # A stated centre of mass counts, with or without a tensor.
        origin = None if inertial is None else inertial.find("origin")
        com = model.body_ipos[1] if origin is None else np.array(numbers(origin, "xyz", [0, 0, 0]))
        return float(model.body_mass[1] * ratio), frame.pos + frame.matrix @ com, tensor


def _mass(element: ET.Element) -> float:
    """Returns a ``mass`` element's value [kg].

    Raises:
        MalformedModel: It is negative, or missing.
    """
    value = number(element, "value")
    if value < 0:
        said = f"a <mass> has the value {value:g}; masses are at least 0"
        raise MalformedModel(said, "negative", element.tag, f"{value:g}")
    return value


def _child(joint: ET.Element) -> str:
    """Returns the link that a joint holds."""
    child = joint.find("child")
    assert child is not None
    return word(child, "link")


def _by_name(root: ET.Element, tag: str) -> dict[str, ET.Element]:
    """Returns the elements of a kind by name.

    Raises:
        MalformedModel: One has no name, or that of another.
    """
    found: dict[str, ET.Element] = {}
    for element in root.findall(tag):
        name = word(element, "name")
        if name in found:
            said = f"two {tag}s are called {name}; names must differ"
            raise MalformedModel(said, "twice", tag, name)
        found[name] = element
    return found


def _bound(limit: ET.Element | None, name: str) -> float:
    """Returns a bound of a ``limit`` element, 0 without one."""
    return 0.0 if limit is None else abs(number(limit, name, 0.0))


def _tensor(inertia: ET.Element) -> np.ndarray:
    value = {key: number(inertia, key, 0.0) for key in ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")}
    return np.array(
        [
            [value["ixx"], value["ixy"], value["ixz"]],
            [value["ixy"], value["iyy"], value["iyz"]],
            [value["ixz"], value["iyz"], value["izz"]],
        ]
    )
