"""Properties and states of actors' parts in Isaac Gym's API, with its names and defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from rlgpu.isaacgym.records.enums import CONSTANTS, TendonType
from rlgpu.isaacgym.records.fields import Field, Record
from rlgpu.isaacgym.records.geometry import (
    Int3,
    Mat33,
    Quat,
    SpatialForce,
    Transform,
    Vec2,
    Vec3,
    Velocity,
)

__all__ = [
    "ActionEvent",
    "ActuatorProperties",
    "AttractorProperties",
    "DofFrame",
    "DofState",
    "ForceSensor",
    "ForceSensorProperties",
    "IndexRange",
    "ParticleState",
    "RigidBodyProperties",
    "RigidBodyState",
    "RigidContact",
    "RigidShapeProperties",
    "SoftContact",
    "TendonProperties",
]

FLOAT_MAX = 3.4028234663852886e38
"""What stands for infinity in limits."""

DOF_PROPERTIES = np.dtype(
    [
        ("hasLimits", "?"),
        ("lower", "f4"),
        ("upper", "f4"),
        ("driveMode", "i4"),
        ("velocity", "f4"),
        ("effort", "f4"),
        ("stiffness", "f4"),
        ("damping", "f4"),
        ("friction", "f4"),
        ("armature", "f4"),
    ]
)
"""Layout of the properties of degrees of freedom."""


class ForceSensorProperties(Record):
    """What a force sensor measures."""

    enable_constraint_solver_forces = Field(True)
    """Whether contacts and other constraints count."""
    enable_forward_dynamics_forces = Field(True)
    """Whether gravity, joints and applied forces count."""
    use_world_frame = Field(False)
    """Whether readings are in world axes instead of the sensor's."""


class ForceSensor(Record):
    """A force sensor of an actor, as ``get_actor_force_sensor`` returns it."""

    index = Field(0)

    def __init__(self, index: int = 0, read: Callable[[], Sequence[float]] | None = None) -> None:
        """Describes a sensor.

        Args:
            index: Its row in the force sensor tensor.
            read: Returns force [N] and torque [N m] now, six numbers; zeros if None.
        """
        self.index = index
        self.__dict__["_read"] = read

    def get_forces(self) -> SpatialForce:
        """Returns force [N] and torque [N m] of the last step."""
        read, forces = self.__dict__["_read"], SpatialForce()
        if read is not None:
            values = read()
            forces.force, forces.torque = Vec3(*values[:3]), Vec3(*values[3:])
        return forces

    def get_global_index(self) -> int:
        """Returns the sensor's row in the force sensor tensor."""
        return self.index


class ActuatorProperties(Record):
    """An actuator of an MJCF file."""

    control_limited = Field(False)
    force_limited = Field(False)
    kp = Field(0.0)
    kv = Field(0.0)
    lower_control_limit = Field(-FLOAT_MAX)
    lower_force_limit = Field(-FLOAT_MAX)
    motor_effort = Field(0.0)
    """Gear of a motor [N m or N]."""
    upper_control_limit = Field(FLOAT_MAX)
    upper_force_limit = Field(FLOAT_MAX)
    type = Field("")
    """MJCF element, such as ``motor``."""


class TendonProperties(Record):
    """A fixed tendon of an MJCF file."""

    damping = Field(0.0)
    fixed_lower_limit = Field(0.0)
    fixed_spring_rest_length = Field(0.0)
    fixed_upper_limit = Field(0.0)
    is_fixed_limited = Field(False)
    limit_stiffness = Field(0.0)
    stiffness = Field(0.0)
    num_attachments = Field(0)
    num_joints = Field(0)
    type = Field(TendonType.TENDON_FIXED)


class RigidBodyProperties(Record):
    """Mass properties of a body."""

    com = Field(Vec3())
    """Centre of mass in the body's frame [m]."""
    flags = Field(0)
    inertia = Field(Mat33())
    """About the centre of mass, in the body's axes [kg m^2]."""
    invInertia = Field(Mat33())
    invMass = Field(0.0)
    mass = Field(0.0)
    """[kg]"""


class RigidShapeProperties(Record):
    """Contact properties of a shape."""

    compliance = Field(0.0)
    contact_offset = Field(0.02)
    filter = Field(0)
    """Shapes that share a bit do not collide."""
    friction = Field(1.0)
    rest_offset = Field(0.001)
    restitution = Field(0.0)
    rolling_friction = Field(0.0)
    thickness = Field(0.02)
    torsion_friction = Field(0.0)


class AttractorProperties(Record):
    """A spring that pulls a body to a pose."""

    axes = Field(CONSTANTS["AXIS_NONE"])
    """Sum of ``AXIS_*``."""
    damping = Field(0.0)
    offset = Field(Transform())
    """The attracted frame, in the body's."""
    rigid_handle = Field(CONSTANTS["INVALID_HANDLE"])
    stiffness = Field(0.0)
    target = Field(Transform())
    """Where it is pulled to, in the environment."""


class IndexRange(Record):
    """A range of indices."""

    count = Field(0)
    start = Field(0)


class ActionEvent(Record):
    """A subscribed action and its value: 1 when pressed, 0 when released."""

    action = Field("")
    value = Field(0.0)

    def __init__(self, action: str = "", value: float = 0.0) -> None:
        self.action, self.value = action, value


class DofState(Record):
    """Position and velocity of a degree of freedom."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype([("pos", "f4"), ("vel", "f4")])
    pos = Field(0.0)
    vel = Field(0.0)


class DofFrame(Record):
    """Origin and axis of a degree of freedom, in the environment."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype([("origin", Vec3.dtype), ("axis", Vec3.dtype)])
    axis = Field(Vec3())
    origin = Field(Vec3())

    def __init__(self, origin: Vec3 | None = None, axis: Vec3 | None = None) -> None:
        self.origin, self.axis = origin or Vec3(), axis or Vec3()

    @classmethod
    def from_buffer(cls, buffer: Any) -> DofFrame:
        """Returns the frame at the beginning of a buffer of this layout."""
        item = np.asarray(buffer).reshape(-1)[0]
        return cls(Vec3.from_buffer(item["origin"]), Vec3.from_buffer(item["axis"]))


class RigidBodyState(Record):
    """Pose and velocity of a body."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype([("pose", Transform.dtype), ("vel", Velocity.dtype)])
    pose = Field(Transform())
    vel = Field(Velocity())


class RigidContact(Record):
    """A contact, as ``get_env_rigid_contacts`` lists it."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(
        [
            ("env0", np.int32),
            ("env1", np.int32),
            ("body0", np.int32),
            ("body1", np.int32),
            ("localPos0", Vec3.dtype),
            ("localPos1", Vec3.dtype),
            ("minDist", np.float32),
            ("initialOverlap", np.float32),
            ("normal", Vec3.dtype),
            ("offset0", Vec3.dtype),
            ("offset1", Vec3.dtype),
            ("lambda", np.float32),
            ("lambdaFriction", Vec2.dtype),
            ("friction", np.float32),
            ("torsionFriction", np.float32),
            ("rollingFriction", np.float32),
        ]
    )
    body0 = Field(-1)
    body1 = Field(-1)
    env0 = Field(-1)
    env1 = Field(-1)
    friction = Field(0.0)
    initial_overlap = Field(0.0)
    lambda_friction = Field(Vec2())
    local_pos0 = Field(Vec3())
    local_pos1 = Field(Vec3())
    min_dist = Field(0.0)
    normal = Field(Vec3())
    offset0 = Field(Vec3())
    offset1 = Field(Vec3())
    rolling_friction = Field(0.0)
    torsion_friction = Field(0.0)


class SoftContact(Record):
    """A contact of a soft body; soft bodies are not simulated."""

    bodyIndex = Field(-1)
    env0 = Field(-1)
    env1 = Field(-1)
    normal = Field(Vec3())
    particleBarys = Field(Vec3())
    particleIndices = Field(Int3())


class ParticleState(Record):
    """A particle of a soft body; soft bodies are not simulated."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(
        [("position", Quat.dtype), ("velocity", Vec3.dtype), ("normal", Quat.dtype)]
    )
    normal = Field(Quat(0, 0, 0, 0))
    position = Field(Quat(0, 0, 0, 0))
    velocity = Field(Vec3())
