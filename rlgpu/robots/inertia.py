"""Mass, centre of mass and inertia of an asset's bodies."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.robots.frames import possible, principal, thickened
from rlgpu.robots.reports import report
from rlgpu.robots.robot import ReadOptions
from rlgpu.robots.shapes import drop_unused_meshes

_MIN_MASS, _MIN_INERTIA = 1e-4, 1e-8
"""Of bodies that have none [kg, kg m^2]."""
_NONE = 1e-15
"""What MuJoCo takes for no mass or inertia."""
_FROM_GEOMS = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_TRUE
_IF_MISSING = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_AUTO


class Masses(NamedTuple):
    """Mass properties of all bodies of a specification but the world."""

    mass: np.ndarray
    """[kg], shape [bodies]."""
    centre: np.ndarray
    """Centres of mass in the bodies' frames [m], shape [bodies, 3]."""
    moments: np.ndarray
    """Principal moments of inertia [kg m^2], shape [bodies, 3]."""
    axes: np.ndarray
    """Their axes in the bodies' frames, quaternions (w, x, y, z), shape [bodies, 4]."""


def read_masses(file: str, spec: mujoco.MjSpec, options: ReadOptions) -> Masses:
    """Returns the mass properties that a file gives its bodies, all of them positive.

    Args:
        file: What the specification was read from, for messages.
        spec: All its bodies have names; tensors that no body can have are mended in place.
        options: Whether shapes decide instead of the file.
    """
    for body in spec.bodies[1:]:
        _mend_tensor(file, body)
    masses = _compiled_masses(spec)
    if options.override_com or options.override_inertia:
        _override(spec, masses, options)
    for i, body in enumerate(spec.bodies[1:]):
        if masses.mass[i] < _NONE:
            report(f"{file}: body {body.name} has no mass; it gets {_MIN_MASS} kg")
            masses.mass[i] = _MIN_MASS
        moments = masses.moments[i]
        masses.moments[i] = thickened(np.where(moments < _NONE, _MIN_INERTIA, moments))
    return masses


def _is_stated(body: mujoco.MjsBody) -> bool:
    """Returns whether the file states a body's mass properties and shapes do not overrule it."""
    overruled = body.compiler.inertiafromgeom == _FROM_GEOMS and bool(list(body.geoms))
    return bool(body.explicitinertial) and not overruled


def _mend_tensor(file: str, body: mujoco.MjsBody) -> None:
    """Replaces a stated tensor that no body can have, which MuJoCo would refuse."""
    if not _is_stated(body) or body.compiler.balanceinertia:
        return
    has_tensor = bool(np.isfinite(body.fullinertia).all())
    if has_tensor:
        xx, yy, zz, xy, xz, yz = body.fullinertia
        tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        moments, axes, mended = principal(tensor, float(body.mass))
    elif np.any(body.inertia):
        moments, mended = possible(np.array(body.inertia))
    else:
        return
    is_flat = moments.sum() - 2 * moments.max() < 1e-9 * moments.max()
    if not mended and not is_flat:  # what MuJoCo makes of it is right
        return
    body.inertia = moments
    if has_tensor:
        body.fullinertia, body.iquat = [np.nan, 0, 0, 0, 0, 0], axes
    if mended:
        report(f"{file}: body {body.name} has an impossible inertia tensor; mended")


def _compiled_masses(spec: mujoco.MjSpec) -> Masses:
    """Returns what MuJoCo's compiler makes of a specification."""
    still = spec.copy()
    # Of bodies that do not move, it accepts that they have no mass.
    for part in [*still.actuators, *still.tendons, *still.joints]:
        still.delete(part)
    for body in still.bodies[1:]:
        for geom in list(body.geoms) if _is_stated(body) else []:
            still.delete(geom)
    drop_unused_meshes(still)
    model = _quietly_compiled(still)
    order = [model.body(body.name).id for body in spec.bodies[1:]]
    return Masses(
        model.body_mass[order],
        model.body_ipos[order],
        model.body_inertia[order],
        model.body_iquat[order],
    )


def _quietly_compiled(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Returns a model that nobody simulates, without warnings of what it is like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return spec.compile()


def _override(spec: mujoco.MjSpec, masses: Masses, options: ReadOptions) -> None:
    """Replaces stated centres and tensors by those of the shapes; masses stay.

    Shapes are those that collide, and drawn ones only of bodies without others.
    """
    shaped = spec.copy()
    _set_plain(shaped, _FROM_GEOMS)
    stated = [_is_stated(body) and bool(list(body.geoms)) for body in spec.bodies[1:]]
    for body, is_stated in zip(shaped.bodies[1:], stated, strict=True):
        if not is_stated:
            continue
        drawn = [geom for geom in body.geoms if not (geom.contype or geom.conaffinity)]
        for geom in drawn if len(drawn) < len(list(body.geoms)) else []:
            shaped.delete(geom)
    of_shapes = _compiled_masses(shaped)
    for i in np.flatnonzero(np.array(stated) & (of_shapes.mass >= _NONE)):
        if options.override_com:
            masses.centre[i] = of_shapes.centre[i]
        if options.override_inertia:
            masses.moments[i] = of_shapes.moments[i] * (masses.mass[i] / of_shapes.mass[i])
            masses.axes[i] = of_shapes.axes[i]


def _set_plain(spec: mujoco.MjSpec, from_geoms: mujoco.mjtInertiaFromGeom) -> None:
    """Switches off what changes mass and inertia when MuJoCo compiles.

    Attached parts have the compiler settings of their own file.
    """
    for body in spec.bodies:
        compiler = body.compiler
        compiler.settotalmass, compiler.boundmass, compiler.boundinertia = -1, 0, 0
        compiler.balanceinertia, compiler.inertiafromgeom = False, from_geoms


def write_masses(spec: mujoco.MjSpec, masses: Masses, *, turned: bool) -> None:
    """Makes all mass properties explicit and puts the root where an actor's pose is.

    Args:
        spec: Changed in place; mass properties no longer follow from shapes or compiler settings.
        masses: Mass properties of its bodies.
        turned: Whether the root keeps the orientation that the file gives it.
    """
    _set_plain(spec, _IF_MISSING)
    for body in spec.bodies[1:]:
        body.explicitinertial = True
        body.ialt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
        body.fullinertia = [np.nan, 0, 0, 0, 0, 0]
    model = _with_masses(spec, masses)
    model.body_pos[1] = 0
    if not turned:
        model.body_quat[1] = [1, 0, 0, 0]
    spec.copy_back(model)
    for body in spec.bodies:
        body.compiler.balanceinertia = True  # scripts may set tensors that MuJoCo would refuse


def set_masses(spec: mujoco.MjSpec, masses: Masses) -> None:
    """Replaces explicit mass properties.

    Args:
        spec: The specification of an asset; changed in place.
        masses: New mass properties of its bodies.
    """
    if any(np.any(np.asarray(frame.scale) != 1) or frame.massscale for frame in spec.frames):
        spec.copy_back(_with_masses(spec, masses))  # which divides by the scales
        return
    for body, *values in zip(spec.bodies[1:], *masses, strict=True):
        body.mass, body.ipos, body.inertia, body.iquat = values


def _with_masses(spec: mujoco.MjSpec, masses: Masses) -> mujoco.MjModel:
    """Returns the model of a specification, with the given mass properties."""
    for body in spec.bodies[1:]:
        body.mass, body.inertia = 1.0, [1, 1, 1]
        body.ipos, body.iquat = [0, 0, 0], [1, 0, 0, 0]
    model = _quietly_compiled(spec)
    order = [model.body(body.name).id for body in spec.bodies[1:]]
    model.body_mass[order], model.body_ipos[order] = masses.mass, masses.centre
    model.body_inertia[order], model.body_iquat[order] = masses.moments, masses.axes
    return model
