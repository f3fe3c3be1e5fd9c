"""Writes an actor as MJCF that Isaac Gym's importer reads: only what it knows, nothing implied.

The importer hangs on actuators that it does not know, takes one body below the world, drops that
body's position and its joints, and ignores masses of geoms. So fixed trees get a common base,
bodies carry explicit inertia, and drives, gains, limits and what else it drops are set on the
actors.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import mujoco
import numpy as np

from rlgpu.sim.physx.actors import Actor
from rlgpu.sim.physx.collision import FURNITURE

_SHAPES = {
    mujoco.mjtGeom.mjGEOM_SPHERE: ("sphere", 1),
    mujoco.mjtGeom.mjGEOM_CAPSULE: ("capsule", 2),
    mujoco.mjtGeom.mjGEOM_CYLINDER: ("cylinder", 2),
    mujoco.mjtGeom.mjGEOM_BOX: ("box", 3),
}
"""Geoms that can be written: name, and how many numbers their size has."""
_JOINTS = {mujoco.mjtJoint.mjJNT_HINGE: "hinge", mujoco.mjtJoint.mjJNT_SLIDE: "slide"}
LEAST_MASS, _LEAST_INERTIA = 1e-4, 1e-7
"""Of bodies without any, which PhysX does not take [kg, kg m^2]."""


def can_write(kind: int) -> bool:
    """Returns whether geoms of a type can be written."""
    return mujoco.mjtGeom(kind) in _SHAPES


def mass_of(model: mujoco.MjModel, body: int) -> float:
    """Returns a body's mass [kg], at least what PhysX takes."""
    return max(float(model.body_mass[body]), LEAST_MASS)


def inertia_of(model: mujoco.MjModel, body: int) -> np.ndarray:
    """Returns a body's inertia about its centre of mass in its axes [kg m^2], shape [3, 3]."""
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, model.body_iquat[body])
    axes = turn.reshape(3, 3)
    return np.asarray(axes @ np.diag(_moments(model, body)) @ axes.T)


def _moments(model: mujoco.MjModel, body: int) -> np.ndarray:
    return np.maximum(np.asarray(model.body_inertia[body]), _LEAST_INERTIA)


def write(model: mujoco.MjModel, actor: Actor, geoms: Sequence[int]) -> str:
    """Returns an actor of a compiled model as MJCF.

    Args:
        model: The model.
        actor: Which part of it.
        geoms: The geoms to write; those of other actors are left out.
    """
    root = ET.Element("mujoco", model=actor.name)
    ET.SubElement(root, "compiler", angle="radian", coordinate="local", inertiafromgeom="false")
    world = ET.SubElement(root, "worldbody")
    elements = {0: world}
    if actor.base:
        elements[0] = ET.SubElement(world, "body", name=actor.base, pos="0 0 0")
        _inertial(elements[0], np.zeros(3), np.array([1.0, 0, 0, 0]), 1.0, np.ones(3))
    if actor.base == FURNITURE:
        _shapes(elements[0], model, 0, geoms)
    for body in actor.bodies:
        parent = elements[int(model.body_parentid[body])]
        elements[body] = _body(parent, model, body, geoms, is_root=parent is world)
    return ET.tostring(root, encoding="unicode")


def _body(
    parent: ET.Element, model: mujoco.MjModel, body: int, geoms: Sequence[int], *, is_root: bool
) -> ET.Element:
    element = ET.SubElement(parent, "body", name=model.body(body).name)
    # A root has its pose from the actor.
    element.set("pos", "0 0 0" if is_root else _text(model.body_pos[body]))
    if not is_root:
        element.set("quat", _text(model.body_quat[body]))
    _inertial(
        element,
        model.body_ipos[body],
        model.body_iquat[body],
        mass_of(model, body),
        _moments(model, body),
    )
    for joint in range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body]):
        kind = mujoco.mjtJoint(model.jnt_type[joint])
        name = model.joint(joint).name
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            ET.SubElement(element, "freejoint", name=name or "root")
            continue
        wanted = {
            "name": name,
            "type": _JOINTS[kind],
            "axis": _text(model.jnt_axis[joint]),
            "pos": _text(model.jnt_pos[joint]),
        }
        if model.jnt_limited[joint]:
            wanted |= {"limited": "true", "range": _text(model.jnt_range[joint])}
        ET.SubElement(element, "joint", wanted)
    _shapes(element, model, body, geoms)
    return element


def _shapes(element: ET.Element, model: mujoco.MjModel, body: int, geoms: Sequence[int]) -> None:
    """Writes the geoms of a body."""
    for geom in geoms:
        if model.geom_bodyid[geom] == body:
            kind, numbers = _SHAPES[mujoco.mjtGeom(model.geom_type[geom])]
            ET.SubElement(
                element,
                "geom",
                name=f"shape_{geom}",
                type=kind,
                size=_text(model.geom_size[geom][:numbers]),
                pos=_text(model.geom_pos[geom]),
                quat=_text(model.geom_quat[geom]),
                contype=str(model.geom_contype[geom]),
                conaffinity=str(model.geom_conaffinity[geom]),
            )


def _inertial(
    element: ET.Element, pos: np.ndarray, quat: np.ndarray, mass: float, moments: np.ndarray
) -> None:
    ET.SubElement(
        element,
        "inertial",
        pos=_text(pos),
        quat=_text(quat),
        mass=f"{mass:.9g}",
        diaginertia=_text(moments),
    )


def _text(values: np.ndarray) -> str:
    return " ".join(f"{value:.9g}" for value in values)
