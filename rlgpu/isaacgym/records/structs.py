"""Options and parameters of Isaac Gym's API, with its names and defaults.

What the engines here make of each is in ``docs/isaacgym.md``.
"""

from __future__ import annotations

from rlgpu.isaacgym.records.enums import (
    CONSTANTS,
    ContactCollection,
    MeshNormalMode,
    SoftMaterialType,
    UpAxis,
    UsdMaterialMode,
)
from rlgpu.isaacgym.records.fields import Field, Record
from rlgpu.isaacgym.records.geometry import Transform, Vec3

__all__ = [
    "AssetOptions",
    "CameraProperties",
    "FlexParams",
    "HeightFieldParams",
    "OmniConnectionParams",
    "PerformanceTimers",
    "PhysXParams",
    "PlaneParams",
    "SimParams",
    "SoftMaterial",
    "TriangleMeshParams",
    "UsdExportOptions",
    "UsdExporter",
    "Version",
    "VhacdParams",
]


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
    """Least armature of every joint [kg m^2 or kg]."""
    collapse_fixed_joints = Field(False)
    """Whether links of a URDF file joined by fixed joints become one body; MJCF bodies stay."""
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
    """Whether inertia tensors follow from the shapes instead of the file; masses stay."""
    replace_cylinder_with_capsule = Field(False)
    slices_per_cylinder = Field(20)
    tendon_limit_stiffness = Field(1.0)
    thickness = Field(0.02)
    use_mesh_materials = Field(False)
    use_physx_armature = Field(True)
    vhacd_enabled = Field(False)
    vhacd_params = Field(VhacdParams())


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


class UsdExporter(Record):
    """A USD export; there is none."""


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
