"""A loaded asset: one articulation, with the properties that Isaac Gym reports of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple, TypeVar

import mujoco
import numpy as np

from rlgpu.isaacgym.records.enums import DofDriveMode
from rlgpu.isaacgym.records.geometry import Transform, Vec3
from rlgpu.isaacgym.records.properties import (
    DOF_PROPERTIES,
    FLOAT_MAX,
    ActuatorProperties,
    ForceSensorProperties,
    RigidBodyProperties,
    RigidShapeProperties,
    TendonProperties,
)
from rlgpu.isaacgym.records.structs import AssetOptions
from rlgpu.robots import Actuator as RobotActuator
from rlgpu.robots import Drive, ReadOptions, Robot
from rlgpu.robots.frames import rotation_of
from rlgpu.robots.robot import RESERVED, STAND_IN

T = TypeVar("T")

_MODES = {
    "position": DofDriveMode.DOF_MODE_POS,
    "velocity": DofDriveMode.DOF_MODE_VEL,
}


class Actuator(NamedTuple):
    """An actuator of an MJCF file."""

    name: str
    joint: str
    properties: ActuatorProperties


class Sensor(NamedTuple):
    """A force sensor."""

    body: int
    pose: Transform
    properties: ForceSensorProperties


class TendonPath(NamedTuple):
    """The joints and coefficients that give the length of a fixed tendon."""

    joints: tuple[str, ...]
    coefficients: tuple[float, ...]
    """Of each joint's position."""
    offset: float = 0.0
    """Added to the length."""


class DriveTraits(NamedTuple):
    """What the drives of an asset's actors need; each of shape [D], true if any actor needs it."""

    driven: np.ndarray
    """Whether a position or velocity drive damps the joint."""
    stops: np.ndarray
    """Whether damping would stop the joint within a step."""


@dataclass(eq=False)
class Asset:
    """One articulation. Bodies and degrees of freedom are in depth-first order."""

    robot: Robot
    options: AssetOptions
    sensors: list[Sensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file, self.spec = self.robot.file, self.robot.spec
        self.actuators = tuple(map(_described, self.robot.actuators))
        self.model = self.spec.compile()
        model = self.model
        names = [model.body(i).name for i in range(1, model.nbody)]
        self.bodies = tuple(RESERVED if name == STAND_IN else name for name in names)
        joints = [model.joint(i) for i in range(model.njnt)]
        self.dofs = tuple(joint.name for joint in joints)
        """Names of the degrees of freedom."""
        self.joints = tuple(self._joint_of(i) for i in range(2, model.nbody))
        """Names of the joints: one a body but the root, also where it is fixed."""
        self.tendons = tuple(model.tendon(i).name for i in range(model.ntendon))
        self.shapes = tuple(i for i in range(model.ngeom) if collides(model, i))
        """Geoms that collide, in the model's order."""
        shapes = [model.geom(i).name for i in self.shapes]
        self.first_parts = tuple(
            i for i, name in enumerate(shapes) if name not in self.robot.owners
        )
        """Indices into ``shapes`` of the shapes that scripts see: of several parts, the first."""
        self.dof_properties = self._dof_properties()
        self.body_properties = [_body_properties(model, i) for i in range(1, model.nbody)]
        self.shape_properties = [self._shape_properties(i) for i in self.shapes]
        self.tendon_properties = [self._tendon_properties(i) for i in range(model.ntendon)]
        self.tendon_paths = [tendon_path(model, i) for i in range(model.ntendon)]
        self.drive_traits: DriveTraits | None = None
        """Set before the first step."""

    @property
    def fixed(self) -> bool:
        """Whether the root is fixed where its actor is created."""
        return self.options.fix_base_link

    def _joint_of(self, body: int) -> str:
        """Returns the name of the joint that holds a body; a body of several has the first's."""
        name = self.model.body(body).name
        if self.model.body_jntnum[body] > 1 and name in self.robot.links:
            return self.robot.links[name]  # a spherical joint
        if self.model.body_jntnum[body]:
            return str(self.model.joint(int(self.model.body_jntadr[body])).name)
        return self.robot.links.get(name, f"{name}_fixed")

    def _dof_properties(self) -> np.ndarray:
        model, options = self.model, self.options
        table = np.zeros(model.njnt, dtype=DOF_PROPERTIES)
        for i, name in enumerate(self.dofs):
            drive, dof = self.robot.drives.get(name, Drive()), model.jnt_dofadr[i]
            row = table[i : i + 1]
            row["hasLimits"] = bool(model.jnt_limited[i])
            row["lower"], row["upper"] = (
                model.jnt_range[i] if model.jnt_limited[i] else (-FLOAT_MAX, FLOAT_MAX)
            )
            mode = options.default_dof_drive_mode if drive.mode is None else _MODES[drive.mode]
            row["driveMode"], row["velocity"] = mode, drive.velocity
            row["effort"] = min(drive.effort, FLOAT_MAX)
            stiffness = model.jnt_stiffness[i] if drive.stiffness is None else drive.stiffness
            row["stiffness"], row["damping"] = stiffness, model.dof_damping[dof]
            row["friction"], row["armature"] = drive.friction, model.dof_armature[dof]
        return table

    def _shape_properties(self, geom: int) -> RigidShapeProperties:
        shape = RigidShapeProperties()
        shape.friction = float(self.model.geom_friction[geom, 0])
        shape.thickness = self.options.thickness
        return shape

    def _tendon_properties(self, tendon: int) -> TendonProperties:
        model, properties = self.model, TendonProperties()
        properties.stiffness = float(model.tendon_stiffness[tendon])
        properties.damping = float(model.tendon_damping[tendon])
        properties.is_fixed_limited = bool(model.tendon_limited[tendon])
        low, high = model.tendon_range[tendon]
        properties.fixed_lower_limit, properties.fixed_upper_limit = float(low), float(high)
        properties.limit_stiffness = self.options.tendon_limit_stiffness
        properties.fixed_spring_rest_length = float(model.tendon_lengthspring[tendon, 0])
        properties.num_joints = int(model.tendon_num[tendon])
        return properties

    def rotates(self, dof: int) -> bool:
        """Returns whether a degree of freedom is a rotation."""
        return bool(self.model.jnt_type[dof] == mujoco.mjtJoint.mjJNT_HINGE)

    def visible_shapes(self, values: Sequence[T]) -> list[T]:
        """Returns the values of the shapes that scripts see, given one for each of ``shapes``."""
        return [values[i] for i in self.first_parts]

    def expand_shapes(self, values: Sequence[T]) -> list[T]:
        """Returns a value for each of ``shapes``, given one for each shape that scripts see."""
        owners = np.searchsorted(self.first_parts, range(len(self.shapes)), side="right") - 1
        return [values[i] for i in owners]

    def body_shapes(self, body: int) -> tuple[int, int]:
        """Returns the first of a body's shapes and their number."""
        owners = [int(self.model.geom_bodyid[self.shapes[i]]) - 1 for i in self.first_parts]
        return sum(owner < body for owner in owners), owners.count(body)


def tendon_path(model: mujoco.MjModel, tendon: int) -> TendonPath:
    """Returns the joints of a fixed tendon and their coefficients."""
    first, count = int(model.tendon_adr[tendon]), int(model.tendon_num[tendon])
    own = range(first, first + count)
    joints = tuple(str(model.joint(int(model.wrap_objid[i])).name) for i in own)
    return TendonPath(joints, tuple(float(model.wrap_prm[i]) for i in own))


def read_options(options: AssetOptions) -> ReadOptions:
    """Returns the options that concern the reading of a file."""
    names = [part.name for part in fields(ReadOptions) if part.name != "visuals"]  # not drawn there
    return ReadOptions(**{name: getattr(options, name) for name in names})


def _described(actuator: RobotActuator) -> Actuator:
    """Returns an actuator as Isaac Gym describes it."""
    properties = ActuatorProperties()
    properties.type, properties.motor_effort = actuator.kind, actuator.effort
    properties.kp, properties.kv = actuator.stiffness, actuator.damping
    for name, limits in (("control", actuator.control_range), ("force", actuator.force_range)):
        setattr(properties, f"{name}_limited", limits is not None)
        if limits is not None:
            setattr(properties, f"lower_{name}_limit", limits[0])
            setattr(properties, f"upper_{name}_limit", limits[1])
    return Actuator(actuator.name, actuator.joint, properties)


def collides(model: mujoco.MjModel, geom: int) -> bool:
    """Returns whether a geom is a collision shape rather than only drawn."""
    return bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def _body_properties(model: mujoco.MjModel, body: int) -> RigidBodyProperties:
    properties = RigidBodyProperties()
    mass = float(model.body_mass[body])
    properties.mass, properties.invMass = mass, 1.0 / mass if mass else 0.0
    properties.com = Vec3(*model.body_ipos[body].tolist())
    rotation, diagonal = rotation_of(model.body_iquat[body]), model.body_inertia[body]
    properties.inertia.set_rows((rotation * diagonal) @ rotation.T)
    if diagonal.all():
        properties.invInertia.set_rows((rotation / diagonal) @ rotation.T)
    return properties
