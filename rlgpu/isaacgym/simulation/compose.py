"""Composes the model of one environment from its actors, the ground and the terrain."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from rlgpu.isaacgym.records.enums import CONSTANTS, ContactCollection
from rlgpu.isaacgym.records.geometry import Quat, Vec3
from rlgpu.isaacgym.records.properties import RigidShapeProperties
from rlgpu.isaacgym.records.scene import Actor, Env, Heights, Sim
from rlgpu.isaacgym.records.structs import PlaneParams
from rlgpu.isaacgym.simulation import collision
from rlgpu.isaacgym.simulation.drives import add_drives
from rlgpu.isaacgym.simulation.tendons import set_tendons
from rlgpu.robots.frames import moments_like, thickened
from rlgpu.robots.inertia import Masses, set_masses
from rlgpu.robots.joints import add_free_joint
from rlgpu.sim.mujoco.contact_sensors import add_contact_sensor

_GEOM, _OBJECT = mujoco.mjtGeom, mujoco.mjtObj
_BASE = 0.1
"""Depth of a terrain below its lowest point [m]. MuJoCo Warp's boxes slip off deeper ones."""
GRAVITY_OFF = CONSTANTS["RIGID_BODY_DISABLE_GRAVITY"]


def prefix(actor: Actor) -> str:
    """Returns what the names of an actor's parts begin with in a composed model."""
    return f"{actor.handle}/"


def body_names(actor: Actor) -> list[str]:
    """Returns the names of an actor's bodies in a composed model."""
    model = actor.asset.model
    return [prefix(actor) + model.body(i).name for i in range(1, model.nbody)]


def shape_names(actor: Actor) -> list[str]:
    """Returns the names of an actor's collision shapes in a composed model."""
    model = actor.asset.model
    return [prefix(actor) + model.geom(geom).name for geom in actor.asset.shapes]


def wxyz(quat: Quat) -> list[float]:
    """Returns a quaternion in MuJoCo's order."""
    return [quat.w, quat.x, quat.y, quat.z]


def compose_model(sim: Sim, env: Env) -> mujoco.MjSpec:
    """Returns the specification of an environment.

    Args:
        sim: Its simulation: parameters, ground and terrain.
        env: The environment; its actors' properties become the model's.
    """
    spec = mujoco.MjSpec()
    _set_options(spec, sim)
    shapes: list[tuple[str, collision.Shape]] = []
    _add_statics(spec, sim, shapes, env.origin)
    for actor in env.actors:
        _add_actor(spec, actor)
        shapes += _shapes_of(actor)
    _set_masks(spec, shapes)
    step = spec.option.timestep
    for actor in env.actors:
        by_joint, is_tied = sim.holds_armature_in_joints, bool(env.attractors)
        add_drives(spec, actor, prefix(actor), is_tied=is_tied, by_joint=by_joint)
    _average_friction(spec, sim, env)
    _add_attractors(spec, env, step)
    if sim.capabilities.has_contact_sensors:
        _add_sensors(spec, sim, env)
    return spec


def _set_options(spec: mujoco.MjSpec, sim: Sim) -> None:
    spec.compiler.degree = False
    spec.compiler.balanceinertia = True
    spec.option.timestep = sim.physics_dt
    spec.option.gravity = list(sim.params.gravity)
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    light = spec.visual.headlight
    light.ambient, light.diffuse = [0.35, 0.35, 0.35], [0.5, 0.5, 0.5]


def _add_statics(
    spec: mujoco.MjSpec, sim: Sim, shapes: list[tuple[str, collision.Shape]], origin: Vec3
) -> None:
    """Adds ground planes and terrains, with squares of a metre to see motion by.

    Terrains are where they are seen from an environment at ``origin``.
    """
    spec.add_texture(
        name="squares",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        width=64,
        height=64,
        rgb1=[0.42, 0.44, 0.46],
        rgb2=[0.36, 0.38, 0.40],
    )
    look = spec.add_material(name="squares", texrepeat=[0.5, 0.5], texuniform=True)
    look.textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = "squares"
    for i, plane in enumerate(sim.grounds):
        name = f"ground_{i}"
        spec.worldbody.add_geom(
            name=name,
            type=_GEOM.mjGEOM_PLANE,
            size=[0, 0, 1],
            pos=_foot(plane),
            quat=_upright(plane.normal),
            friction=[plane.dynamic_friction, 0.005, 0.0001],
            material="squares",
        )
        shapes.append((name, collision.Shape(collision.STATIC, -1, 0)))
    for i, terrain in enumerate(sim.terrains):
        name = f"terrain_{i}"
        _add_heights(spec, name, terrain, origin)
        shapes.append((name, collision.Shape(collision.STATIC, -1, 0)))


def _foot(plane: PlaneParams) -> list[float]:
    return list(plane.normal.normalize() * -plane.distance)


def _upright(normal: Vec3) -> list[float]:
    """Returns the rotation (w, x, y, z) of the z axis to a normal."""
    up = normal.normalize()
    quat = np.zeros(4)
    mujoco.mju_quatZ2Vec(quat, np.array(list(up)))
    return [float(value) for value in quat]


def _add_heights(spec: mujoco.MjSpec, name: str, terrain: Heights, origin: Vec3) -> None:
    """Adds a height field; MuJoCo's has its rows along y and is centred on its frame."""
    heights = terrain.values.T
    low, high = float(heights.min()), float(heights.max())
    rise = max(high - low, 1e-3)
    rows, columns = heights.shape
    middle = Vec3((columns - 1) * terrain.row_step / 2, (rows - 1) * terrain.column_step / 2, low)
    spec.add_hfield(
        name=name,
        nrow=rows,
        ncol=columns,
        size=[middle.x, middle.y, rise, _BASE],
        userdata=((heights - low) / rise).astype(np.float32).flatten(),
    )
    spec.worldbody.add_geom(
        name=name,
        type=_GEOM.mjGEOM_HFIELD,
        hfieldname=name,
        pos=list(terrain.pose.transform_point(middle) - origin),
        quat=wxyz(terrain.pose.r),
        friction=[terrain.friction, 0.005, 0.0001],
    )


def _add_actor(spec: mujoco.MjSpec, actor: Actor) -> None:
    asset, name = actor.asset, prefix(actor)
    child = asset.spec.copy()
    if actor.scale != 1.0:
        _scale(child, actor.scale)
    if actor.body_properties is not asset.body_properties:
        _set_masses(child, actor)
    frame = spec.worldbody.add_frame(pos=list(actor.pose.p), quat=wxyz(actor.pose.r))
    spec.attach(child, prefix=name, frame=frame)
    parts = [spec.body(body) for body in body_names(actor)]
    root = parts[0]
    if not asset.fixed:
        add_free_joint(root, f"{name}:free")
    else:
        root.mocap = True  # a base that scripts can move
        # MuJoCo lets a body fixed to the world touch its children, PhysX does not.
        for body in parts[1:]:
            if body.parent.name == root.name:
                spec.add_exclude(bodyname1=root.name, bodyname2=body.name)
    for i, color in actor.colors.items():
        for geom in parts[i].geoms:
            geom.rgba = [*color, 1.0]
    set_tendons(spec, actor, name)
    if actor.body_properties is not asset.body_properties:
        for body, properties in zip(parts, actor.body_properties, strict=True):
            body.gravcomp = float(bool(properties.flags & GRAVITY_OFF)) or body.gravcomp


def _set_masses(spec: mujoco.MjSpec, actor: Actor) -> None:
    """Writes an actor's mass properties into the specification of its asset."""
    model, found = actor.asset.model, {}
    for i, properties in enumerate(actor.body_properties, start=1):
        tensor = np.array(properties.inertia.rows())
        moments, axes = moments_like(tensor, model.body_inertia[i], model.body_iquat[i])
        found[model.body(i).name] = properties.mass, list(properties.com), moments, axes
    rows = [found[body.name] for body in spec.bodies[1:]]
    set_masses(spec, Masses(*(np.array(column) for column in zip(*rows, strict=True))))


def _scale(spec: mujoco.MjSpec, scale: float) -> None:
    """Scales lengths; masses grow with the volume."""
    for body in spec.bodies[1:]:
        body.pos, body.ipos = np.asarray(body.pos) * scale, np.asarray(body.ipos) * scale
        body.mass = body.mass * scale**3
        body.inertia = thickened(np.asarray(body.inertia) * scale**5)
    for inner in spec.frames:
        inner.pos = np.asarray(inner.pos) * scale
    for geom in spec.geoms:
        geom.pos, geom.size = np.asarray(geom.pos) * scale, np.asarray(geom.size) * scale
        if not math.isnan(geom.fromto[0]):
            geom.fromto = np.asarray(geom.fromto) * scale
    for mesh in spec.meshes:
        mesh.scale = np.asarray(mesh.scale) * scale
    for joint in spec.joints:
        joint.pos = np.asarray(joint.pos) * scale
        if joint.type == mujoco.mjtJoint.mjJNT_SLIDE:
            joint.range = np.asarray(joint.range) * scale
            joint.ref, joint.springref = joint.ref * scale, joint.springref * scale


def _shapes_of(actor: Actor) -> list[tuple[str, collision.Shape]]:
    """Returns names and collision rules of an actor's shapes."""
    model, found = actor.asset.model, []
    shapes = zip(shape_names(actor), actor.asset.shapes, actor.shape_properties, strict=True)
    for name, geom, properties in shapes:
        own, bits = None, actor.filter | properties.filter
        if actor.filter == -1:  # the file's own rules
            own = (int(model.geom_contype[geom]), int(model.geom_conaffinity[geom]))
            bits = properties.filter
        found.append((name, collision.Shape(actor.handle, actor.group, bits, own)))
    return found


def _set_masks(spec: mujoco.MjSpec, shapes: list[tuple[str, collision.Shape]]) -> None:
    masks = dict(zip([n for n, _ in shapes], collision.masks([s for _, s in shapes]), strict=True))
    for geom in spec.geoms:
        geom.contype, geom.conaffinity = masks.get(geom.name, (0, 0))


def ground_friction(sim: Sim) -> float | None:
    """Returns the friction of the ground or terrain; None without any."""
    if sim.grounds:
        return sim.grounds[0].dynamic_friction
    return sim.terrains[0].friction if sim.terrains else None


def averaged(sim: Sim, friction: np.ndarray | float) -> np.ndarray | float:
    """Returns what MuJoCo must be told for PhysX's average of two frictions.

    MuJoCo uses the larger of two, or that of the geom of higher priority. Shapes have priority
    over the ground and hold their average with it; between two shapes that is their average only
    where they or their frictions equal the ground's.
    """
    ground = ground_friction(sim)
    return friction if ground is None else 0.5 * (friction + ground)


def rolls(shape: RigidShapeProperties) -> bool:
    """Returns whether friction resists a shape's rolling or turning on the spot."""
    return shape.rolling_friction > 0 or shape.torsion_friction > 0


def turning_friction(shape: RigidShapeProperties) -> list[float]:
    """Returns a shape's torsional and rolling friction as MuJoCo takes them [m]."""
    return [max(shape.torsion_friction, 1e-5), shape.rolling_friction]


def _average_friction(spec: mujoco.MjSpec, sim: Sim, env: Env) -> None:
    for actor in env.actors:
        for name, shape in zip(shape_names(actor), actor.shape_properties, strict=True):
            geom = spec.geom(name)
            geom.priority = 1
            geom.friction[0] = averaged(sim, shape.friction)
            geom.condim = 6 if rolls(shape) else 3
            if rolls(shape):
                geom.friction[1:] = turning_friction(shape)


def _add_attractors(spec: mujoco.MjSpec, env: Env, step: float) -> None:
    """Ties attracted frames to movable ones by soft constraints of the same strength."""
    names = [name for actor in env.actors for name in body_names(actor)]
    for i, attractor in enumerate(env.attractors):
        target = attractor.target
        place = spec.worldbody.add_body(
            name=f"attractor_{i}", mocap=True, pos=list(target.p), quat=wxyz(target.r)
        )
        body = names[attractor.rigid_handle]
        offset = attractor.offset
        # Sites are made to coincide; between bodies MuJoCo would keep their initial distance.
        ends = (
            spec.body(body).add_site(
                name=f"attracted_{i}", pos=list(offset.p), quat=wxyz(offset.r)
            ),
            place.add_site(name=f"target_{i}"),
        )
        turns = bool(attractor.axes & CONSTANTS["AXIS_ROTATION"])
        tie = spec.add_equality(
            name=f"attractor_{i}",
            objtype=_OBJECT.mjOBJ_SITE,
            name1=ends[0].name,
            type=mujoco.mjtEq.mjEQ_WELD if turns else mujoco.mjtEq.mjEQ_CONNECT,
            name2=ends[1].name,
        )
        mass = max(float(spec.body(body).mass), 1e-3)
        fast = 1.0 / math.sqrt(max(attractor.stiffness, 1e-6) / mass)
        tie.solref = [max(2.0 * step, fast), 1.0]


def felt_bodies(sim: Sim, env: Env) -> list[tuple[Actor, int]]:
    """Returns the bodies whose contacts are summed, in the order of their sensors.

    All of them; without contact collection, those of actors with force sensors for contacts.
    """
    felt = []
    for actor in env.actors:
        sensors = actor.asset.sensors
        # Sensors are read together, so one that wants contacts has the others' bodies felt too.
        wanted = any(sensor.properties.enable_constraint_solver_forces for sensor in sensors)
        bodies = {sensor.body for sensor in sensors if wanted}
        for body in range(len(actor.asset.bodies)):
            if sim.params.physx.contact_collection != ContactCollection.CC_NEVER or body in bodies:
                felt.append((actor, body))
    return felt


def _add_sensors(spec: mujoco.MjSpec, sim: Sim, env: Env) -> None:
    """Adds a contact sensor to every felt body."""
    for actor, body in felt_bodies(sim, env):
        add_contact_sensor(spec, body_names(actor)[body])
