"""Turns a specification that a file gave into an asset."""

from __future__ import annotations

import mujoco
import numpy as np

from rlgpu.isaacgym.assets.asset import (
    SCALAR_JOINTS,
    STAND_IN,
    Actuator,
    Asset,
    Drive,
)
from rlgpu.isaacgym.notes import note
from rlgpu.isaacgym.structs import AssetOptions

_MIN_MASS, _MIN_INERTIA = 1e-4, 1e-8
"""Of bodies that have none [kg, kg m^2]."""
READ_BY_MUJOCO = (".stl", ".obj", ".msh")
"""Formats of meshes that MuJoCo reads."""
_MESH = mujoco.mjtGeom.mjGEOM_MESH
_CYLINDER, _CAPSULE = mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE


def finish(
    file: str,
    spec: mujoco.MjSpec,
    options: AssetOptions,
    drives: dict[str, Drive] | None = None,
    actuators: tuple[Actuator, ...] = (),
    links: dict[str, str] | None = None,
) -> Asset:
    """Returns the asset of a specification, which becomes its own.

    Args:
        file: What it was read from, for messages.
        spec: Bodies, joints and geoms; changed in place.
        options: How to load it.
        drives: What else is known of its joints, by name.
        actuators: The file's actuators.
        links: Names of the joints that hold bodies to their parents, by body.

    Raises:
        ValueError: It is not one articulation of hinges and slides.
    """
    root = _root(file, spec)
    # The world is no link in Isaac Gym: a root floats or is fixed, whatever joins it to the world.
    for joint in list(root.joints):
        if joint.type != mujoco.mjtJoint.mjJNT_FREE:
            note(f"{file}: joint {joint.name} holds the root to the world and is left out")
        spec.delete(joint)
    _name_all(file, spec)
    # An actor's pose is that of its root; a fixed root keeps the orientation that the file gives.
    root.pos = [0, 0, 0]
    if not options.fix_base_link:
        root.quat = [1, 0, 0, 0]
    for geom in list(spec.geoms):
        if options.replace_cylinder_with_capsule and geom.type == _CYLINDER:
            geom.type = _CAPSULE
    _drop_unreadable(spec)
    for joint in spec.joints:
        joint.armature = max(joint.armature, options.armature)
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0 if options.disable_gravity else 0.0
    try:
        _settle_inertia(file, spec, options)
        _drop_looks(spec)
        return Asset(file, spec, options, dict(drives or {}), actuators, links=links or {})
    except ValueError as error:
        raise ValueError(f"{file} cannot be compiled: {' '.join(str(error).split())}") from error


def _root(file: str, spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """Returns the only body under the world."""
    roots = list(spec.worldbody.bodies)
    if len(roots) != 1:
        names = ", ".join(body.name or "(unnamed)" for body in roots) or "none"
        raise ValueError(
            f"{file} is not one articulation: bodies under the world are {names}. Parts meant to "
            "be included in other files cannot be loaded alone; split scenes into an asset each"
        )
    return roots[0]


def _name_all(file: str, spec: mujoco.MjSpec) -> None:
    """Gives names to what has none, and refuses joints that the API's tensors cannot hold."""
    for i, body in enumerate(spec.bodies[1:]):
        body.name = body.name or (STAND_IN if i == 0 else f"body_{i}")
    for i, geom in enumerate(spec.geoms):
        geom.name = geom.name or f"shape_{i}"
    for i, joint in enumerate(spec.joints):
        joint.name = joint.name or f"joint_{i}"
        if joint.type not in SCALAR_JOINTS:
            kind = mujoco.mjtJoint(joint.type).name.removeprefix("mjJNT_").lower()
            raise ValueError(
                f"{file}: joint {joint.name} is a {kind} joint, which a DOF tensor of positions "
                "cannot hold; use three hinges"
            )


def _settle_inertia(file: str, spec: mujoco.MjSpec, options: AssetOptions) -> None:
    """Makes every body's inertia explicit, positive, and independent of later changes of shapes."""
    spec.compiler.balanceinertia = True
    # MJCF may ask for inertia from geoms even where bodies state their own.
    always = spec.compiler.inertiafromgeom == mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_TRUE
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_AUTO
    recompute = always or options.override_com or options.override_inertia
    for body in spec.bodies[1:]:
        if recompute and list(body.geoms):
            body.explicitinertial = False
        if not body.explicitinertial and list(body.geoms):
            spec.adopt_inertial(body)
        if not body.mass > _MIN_MASS or not np.all(np.isfinite(body.inertia)):
            if body.mass <= 0:
                note(f"{file}: body {body.name} has no mass; it gets {_MIN_MASS} kg")
            body.explicitinertial = True
            body.mass = max(body.mass, _MIN_MASS)
        if body.explicitinertial and not np.isfinite(np.asarray(body.fullinertia)).all():
            body.inertia = np.maximum(body.inertia, _MIN_INERTIA)


def _is_drawn_mesh(geom: mujoco.MjsGeom) -> bool:
    return geom.type == _MESH and not (geom.contype or geom.conaffinity)


def _drop_unreadable(spec: mujoco.MjSpec) -> None:
    """Removes drawn meshes of formats that MuJoCo does not read; others count towards the mass."""
    files = {mesh.name: mesh.file.lower() for mesh in spec.meshes}
    for geom in list(spec.geoms):
        if _is_drawn_mesh(geom) and not files.get(geom.meshname, "").endswith(READ_BY_MUJOCO):
            spec.delete(geom)
    _drop_unused_meshes(spec)


def _drop_looks(spec: mujoco.MjSpec) -> None:
    """Removes meshes that are only drawn, and materials and textures."""
    for geom in list(spec.geoms):
        geom.material, geom.group = "", 0
        if _is_drawn_mesh(geom):
            spec.delete(geom)
    _drop_unused_meshes(spec)
    for kind in ("sites", "cameras", "lights", "materials", "textures"):
        for element in list(getattr(spec, kind)):
            spec.delete(element)


def _drop_unused_meshes(spec: mujoco.MjSpec) -> None:
    used = {geom.meshname for geom in spec.geoms}
    for mesh in list(spec.meshes):
        if mesh.name not in used:
            spec.delete(mesh)
