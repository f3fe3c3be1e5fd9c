"""Options, parameters and properties of Isaac Gym's API, with its names and defaults.

What the engines here make of each is in ``docs/isaacgym.md``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from rlgpu.isaacgym.enums import (
    CONSTANTS,
    ContactCollection,
    MeshNormalMode,
    SoftMaterialType,
    TendonType,
    UpAxis,
    UsdMaterialMode,
)
from rlgpu.isaacgym.fields import Field, Record
from rlgpu.isaacgym.geometry import Mat33, Quat, Transform, Vec3, Velocity

__all__ = [
    "ActionEvent", "ActuatorProperties", "AssetOptions", "AttractorProperties",
    "CameraProperties", "DofFrame", "DofState", "FlexParams", "ForceSensor",
    "ForceSensorProperties", "HeightFieldParams", "IndexRange", "OmniConnectionParams",
    "ParticleState", "PerformanceTimers", "PhysXParams", "PlaneParams", "RigidBodyProperties",
    "RigidBodyState", "RigidShapeProperties", "SimParams", "SoftMaterial", "TendonProperties",
    "TriangleMeshParams", "UsdExportOptions", "Version", "VhacdParams",
]  # fmt: skip

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


class PhysXParams(Record):
    """Settings of PhysX. Only what MuJoCo has a counterpart for is used."""

    always_use_articulations = Field(False)
    bounce_threshold_velocity = Field(0.2)
    contact_collection = Field(ContactCollection.CC_ALL_SUBSTEPS)
    contact_offset = Field(0.02)
    default_buffer_size_multiplier = Field(2.0)
    friction_correlation_distance = Field(0.025)
    friction_offset_threshold = Field(0.04)
    max_depenetration_velocity = Field(100.0)
    max_gpu_contact_pairs = Field(1024 * 1024)
    num_position_iterations = Field(4)
    num_subscenes = Field(0)
    num_threads = Field(0)
    num_velocity_iterations = Field(1)
    rest_offset = Field(0.001)
    solver_type = Field(1)
    use_gpu = Field(True)


class FlexParams(Record):
    """Settings of Flex, which is not simulated."""

    contact_regularization = Field(1e-6)
    deterministic_mode = Field(False)
    dynamic_friction = Field(0.0)
    friction_mode = Field(2)
    geometric_stiffness = Field(0.0)
    max_rigid_contacts = Field(0)
    max_soft_contacts = Field(0)
    num_inner_iterations = Field(20)
    num_outer_iterations = Field(4)
    particle_friction = Field(0.0)
    relaxation = Field(0.75)
    return_contacts = Field(True)
    shape_collision_distance = Field(0.0)
    shape_collision_margin = Field(0.0)
    solver_type = Field(5)
    static_friction = Field(0.0)
    warm_start = Field(0.0)


class SimParams(Record):
    """Settings of a simulation."""

    dt = Field(1.0 / 60.0)
    """Time that one ``simulate`` advances [s]."""
    enable_actor_creation_warning = Field(True)
    flex = Field(FlexParams())
    gravity = Field(Vec3(0.0, -9.8, 0.0))
    """Gravity [m/s^2]."""
    num_client_threads = Field(0)
    physx = Field(PhysXParams())
    stress_visualization = Field(False)
    stress_visualization_max = Field(1e5)
    stress_visualization_min = Field(0.0)
    substeps = Field(2)
    """Physics steps in one ``simulate``."""
    up_axis = Field(UpAxis.UP_AXIS_Y)
    use_gpu_pipeline = Field(False)
    """Whether tensors are on the GPU."""


class VhacdParams(Record):
    """Settings of convex decomposition; meshes collide as their convex hulls here."""

    alpha = Field(0.05)
    beta = Field(0.05)
    concavity = Field(0.0)
    convex_hull_approximation = Field(True)
    convex_hull_downsampling = Field(4)
    max_convex_hulls = Field(64)
    max_num_vertices_per_ch = Field(64)
    min_volume_per_ch = Field(0.0001)
    mode = Field(0)
    ocl_acceleration = Field(True)
    pca = Field(0)
    plane_downsampling = Field(4)
    project_hull_vertices = Field(True)
    resolution = Field(100000)


class AssetOptions(Record):
    """How an asset is loaded."""

    angular_damping = Field(0.0)
    armature = Field(0.0)
    """Added to the inertia of every joint [kg m^2 or kg]."""
    collapse_fixed_joints = Field(False)
    """Whether bodies joined by fixed joints become one."""
    convex_decomposition_from_submeshes = Field(False)
    default_dof_drive_mode = Field(0)
    """A ``DofDriveMode`` for every DOF that the file gives no drive."""
    density = Field(1000.0)
    """For shapes of bodies whose mass the file does not state [kg/m^3]."""
    disable_gravity = Field(False)
    enable_gyroscopic_forces = Field(True)
    fix_base_link = Field(False)
    """Whether the root is fixed where its actor is created."""
    flip_visual_attachments = Field(False)
    linear_damping = Field(0.0)
    max_angular_velocity = Field(64.0)
    """Of free bodies [rad/s]."""
    max_linear_velocity = Field(1000.0)
    """Of free bodies [m/s]."""
    mesh_normal_mode = Field(MeshNormalMode.FROM_ASSET)
    min_particle_mass = Field(1e-12)
    override_com = Field(False)
    """Whether centres of mass follow from the shapes instead of the file."""
    override_inertia = Field(False)
    """Whether inertia follows from the shapes instead of the file."""
    replace_cylinder_with_capsule = Field(False)
    slices_per_cylinder = Field(20)
    tendon_limit_stiffness = Field(1.0)
    thickness = Field(0.02)
    use_mesh_materials = Field(False)
    use_physx_armature = Field(True)
    vhacd_enabled = Field(False)
    vhacd_params = Field(VhacdParams())


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

    _index = Field(0)
    _forces = Field(np.zeros(6))

    def get_forces(self) -> Any:
        """Returns force [N] and torque [N m]."""
        from rlgpu.isaacgym.geometry import SpatialForce  # noqa: PLC0415

        forces = SpatialForce()
        forces.force, forces.torque = Vec3(*self._forces[:3]), Vec3(*self._forces[3:])
        return forces

    def get_global_index(self) -> int:
        """Returns the sensor's row in the force sensor tensor."""
        return self._index


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


class PlaneParams(Record):
    """The ground plane: points p with normal . p + distance = 0."""

    distance = Field(0.0)
    dynamic_friction = Field(1.0)
    normal = Field(Vec3(0.0, 1.0, 0.0))
    restitution = Field(0.0)
    segmentation_id = Field(0)
    static_friction = Field(1.0)


class HeightFieldParams(Record):
    """A terrain of heights on a grid."""

    column_scale = Field(1.0)
    """Distance of columns, along y [m]."""
    dynamic_friction = Field(1.0)
    nbColumns = Field(0)
    nbRows = Field(0)
    restitution = Field(0.0)
    row_scale = Field(1.0)
    """Distance of rows, along x [m]."""
    segmentation_id = Field(0)
    static_friction = Field(1.0)
    transform = Field(Transform())
    vertical_scale = Field(1.0)
    """Height of one unit of the samples [m]."""


class TriangleMeshParams(Record):
    """A terrain of triangles."""

    dynamic_friction = Field(1.0)
    nb_triangles = Field(0)
    nb_vertices = Field(0)
    restitution = Field(0.0)
    segmentation_id = Field(0)
    static_friction = Field(1.0)
    transform = Field(Transform())


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


class CameraProperties(Record):
    """A camera or the viewer's window."""

    enable_tensors = Field(False)
    far_plane = Field(2000000.0)
    height = Field(CONSTANTS["DEFAULT_VIEWER_HEIGHT"])
    horizontal_fov = Field(90.0)
    """[degrees]"""
    near_plane = Field(0.0010000000474974513)
    supersampling_horizontal = Field(1)
    supersampling_vertical = Field(1)
    use_collision_geometry = Field(False)
    width = Field(CONSTANTS["DEFAULT_VIEWER_WIDTH"])


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


class Version(Record):
    """A version number."""

    major = Field(1)
    minor = Field(0)


class SoftMaterial(Record):
    """A soft material; soft bodies are not simulated."""

    activation = Field(0.0)
    activationMax = Field(0.0)
    damping = Field(0.0)
    model = Field(SoftMaterialType.MAT_COROTATIONAL)
    poissons = Field(0.0)
    youngs = Field(0.0)


class UsdExportOptions(Record):
    """Options of a USD export; there is no such export."""

    export_physics = Field(True)
    material_mode = Field(UsdMaterialMode.USD_MATERIAL_DISPLAY_COLOR)
    scale = Field(1.0)
    single_file = Field(True)
    use_geom_subsets = Field(False)
    use_physics_visuals = Field(False)


class OmniConnectionParams(Record):
    """A connection to Omniverse; there is none."""

    enable_cache = Field(False)
    enable_debug_output = Field(False)
    password = Field("")
    server = Field("")
    username = Field("")


class PerformanceTimers(Record):
    """Times of a frame [s]."""

    frame_idling = Field(0.0)
    graphics_image_retrieval = Field(0.0)
    graphics_sensor_rendering = Field(0.0)
    graphics_viewer_rendering = Field(0.0)
    physics_data_movement = Field(0.0)
    physics_sim = Field(0.0)
    total_time = Field(0.0)


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


class ParticleState(Record):
    """A particle of a soft body; soft bodies are not simulated."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(
        [("position", Quat.dtype), ("velocity", Vec3.dtype), ("normal", Quat.dtype)]
    )
    normal = Field(Quat(0, 0, 0, 0))
    position = Field(Quat(0, 0, 0, 0))
    velocity = Field(Vec3())
