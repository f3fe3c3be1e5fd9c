"""Builds the compiled model: the asset with the scene's actuators and the engine's options."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

from rlgpu.errors import UnknownName
from rlgpu.sim.mujoco.actuators import add_drive
from rlgpu.sim.mujoco.asset import read_asset
from rlgpu.sim.mujoco.contact_sensors import add_contact_sensor
from rlgpu.sim.mujoco.layout import SCALAR_JOINTS
from rlgpu.sim.scene import PARAMETERS, SceneSpec, Timing
from rlgpu.sim.terrain import HeightField

_SENSOR = "rlgpu_contact_"
"""Begins the names of contact sensors; a body's id follows."""


def build_model(
    scene: SceneSpec, timing: Timing, *, contact_sensors: bool = False
) -> mujoco.MjModel:
    """Compiles a scene into a MuJoCo model.

    Args:
        scene: What to simulate and measure.
        timing: Physics and control steps.
        contact_sensors: Whether bodies of which the scene measures contacts have contact sensors,
            as MuJoCo C needs; the other engines sum contacts themselves.

    Raises:
        ValueError: The asset is missing or malformed or has what a task cannot use, or a drive,
            body or parameter has an unknown name.
    """
    # Engines count and report warnings; MuJoCo would also print them and write MUJOCO_LOG.TXT.
    mujoco.set_mju_user_warning(lambda _text: None)
    spec = specification(scene, timing)
    sensed = _sensed_bodies(spec, scene) if contact_sensors else []
    for body in sensed:
        # Bodies may lack the name by which a specification refers to them: see below.
        add_contact_sensor(spec, "world", f"{_SENSOR}{body}")
    try:
        model = compiled(spec, free_centres="body_com" in scene.parameters)
    except Exception as error:
        raise ValueError(f"{scene.file.name} cannot be compiled: {_said(error)}") from error
    for body in sensed:
        model.sensor_objid[model.sensor(f"{_SENSOR}{body}").id] = body
    return model


def specification(scene: SceneSpec, timing: Timing) -> mujoco.MjSpec:
    """Returns a scene as a new specification: the asset, its drives and the engine's options.

    Raises:
        ValueError: As ``build_model``.
    """
    spec = read_asset(scene.asset)
    spec.option.timestep = timing.physics_dt
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.disableactuator = 0  # means groups of actuators that the file no longer has
    joints = [joint.name for joint in spec.joints if joint.type in SCALAR_JOINTS]
    bodies = [body.name for body in spec.bodies[1:]]
    for kind, wanted, known, where in (
        ("drives", scene.drives, joints, scene.file),
        ("wrench_bodies", scene.wrench_bodies, bodies, scene.file),
        ("force_bodies", scene.force_bodies, bodies, scene.file),
        (
            "jacobian_body",
            [scene.jacobian_body] if scene.jacobian_body else [],
            bodies,
            scene.file,
        ),
        ("root", [scene.root] if scene.root else [], bodies, scene.file),
        ("objects", scene.object_bodies, _free_bodies(spec), f"the free bodies of {scene.file}"),
        ("parameters", scene.parameters, list(PARAMETERS), "the supported parameters"),
    ):
        for name in wanted:
            if name not in known:
                said = f"{kind}: {name!r} is not in {where}; it has {known}"
                raise UnknownName(name, known, said, kind=kind)
    if len(set(scene.object_bodies)) < len(scene.object_bodies) or () in scene.choices:
        raise ValueError(f"objects: {scene.objects}: name each body once, at least one in a list")
    if scene.terrain is not None:
        _lay_terrain(spec, scene.terrain, scene.file)
    for joint in joints:
        if joint in scene.drives:
            add_drive(spec, joint, scene.drives[joint])
    return spec


def _sensed_bodies(spec: mujoco.MjSpec, scene: SceneSpec) -> list[int]:
    """Returns the ids of the bodies of which a scene measures contacts."""
    return [
        body
        for body, described in enumerate(spec.bodies)
        if body > 0 and (scene.contact_forces or described.name in scene.wrench_bodies)
    ]


def compiled(spec: mujoco.MjSpec, *, free_centres: bool) -> mujoco.MjModel:
    """Compiles a specification.

    Args:
        spec: The specification.
        free_centres: Whether centres of mass and principal axes may be written later, or differ
            between worlds: MuJoCo then takes no shortcut where they are those of the body.
    """
    if free_centres:
        for body in spec.bodies[1:]:
            body.simple = False
    model = spec.compile()
    if free_centres:
        model.body_sameframe[:] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
    return model


def _lay_terrain(spec: mujoco.MjSpec, terrain: HeightField, asset: Path) -> None:
    """Puts a height field in the place of the asset's plane."""
    planes = [g for g in spec.worldbody.geoms if g.type == mujoco.mjtGeom.mjGEOM_PLANE]
    if len(planes) != 1:
        raise ValueError(
            f"terrain takes the place of the ground's plane, of which {asset.name} has "
            f"{len(planes)}, not one"
        )
    heights, (plane,) = terrain.heights, planes
    low, high = float(heights.min()), float(heights.max())
    half = [(n - 1) / 2 * terrain.spacing for n in heights.shape]
    spec.add_hfield(
        name="terrain",
        nrow=heights.shape[1],
        ncol=heights.shape[0],
        size=[*half, max(high - low, 1e-3), 1.0],
        userdata=heights.T.astype(np.float32).flatten(),  # rows along y
    )
    # Colours by height do not exist; the material's grid shows the shape.
    plane.type, plane.hfieldname = mujoco.mjtGeom.mjGEOM_HFIELD, "terrain"
    plane.size = [0.0, 0.0, 0.0]
    plane.pos = [terrain.corner[0] + half[0], terrain.corner[1] + half[1], low]


def _free_bodies(spec: mujoco.MjSpec) -> list[str]:
    """Returns the names of the bodies with a free joint."""
    free = mujoco.mjtJoint.mjJNT_FREE
    return [b.name for b in spec.bodies if any(joint.type == free for joint in b.joints)]


def _said(error: Exception) -> str:
    """Returns MuJoCo's message on one line."""
    return " ".join(str(error).split())
