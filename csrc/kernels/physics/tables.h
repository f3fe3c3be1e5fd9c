// A compiled model as flat tables: what rlgpu/sim/mujoco/fused/tables.py writes and kernels read.
//
// The one idea: loops over tables instead of code generated for a robot, so that one build serves
// every model. The lists below name the tables once; Python asks for them by these names, so the
// two sides cannot disagree about an order.
#pragma once

#include "spatial.h"

// clang-format off
// Number of: positions, dofs, actuators, activations, bodies (the world included), entries of the
// mass matrix and of the solver's matrix, joint limits, dofs with friction loss, geoms, pairs of
// geoms, possible contacts (slots), all their Jacobian columns, bodies whose wrench is measured,
// physical parameters, free bodies whose tree has no other joint, levels of the trees, samples of
// the height field and of its blocks, along x and y, convex pairs, which keep an axis, and contacts
// with elliptic cones or more than three dimensions; their Jacobian columns of turning, bodies with
// gravity compensation, limits of ball joints, rotations with springs, actuators on ball joints,
// entries of the mass matrix in which forces react to velocities of other dofs, bodies in a fluid;
// tendons, their Jacobian columns, and bodies that they pull; those of them that are actuators at
// sites, and on bodies (adhesion.h); rows of couplings.h, their Jacobian columns, and what they come
// from; mocap bodies; sweeps of noslip.h; pairs whose contacts couple dofs, see pattern.h. Flags:
// whether gains depend on lengths and velocities.
#define RLGPU_PHYSICS_SIZES(X)                                                               \
  X(nq) X(nv) X(nu) X(na) X(nbody) X(num_m) X(num_h) X(num_limits) X(num_losses)             \
  X(num_geoms)                                                                               \
  X(num_pairs) X(num_slots) X(num_columns) X(num_watched) X(num_parameters) X(num_standalone) X(num_levels) \
  X(terrain_columns) X(terrain_rows) X(terrain_top_columns) X(terrain_top_rows) X(num_convex) \
  X(is_elliptic) X(num_wide) X(num_turning) X(num_lifted) X(has_gain_slopes)                 \
  X(num_ball_limits) X(num_sprung_balls) X(num_ball_actuators) X(num_implicit)                \
  X(num_tendons) X(num_tendon_columns) X(num_pulls) X(num_rows) X(num_row_columns)           \
  X(num_tendon_losses) X(num_tendon_limits) X(num_couplings) X(num_anchors) X(nmocap)        \
  X(noslip_iterations) X(num_wet) X(num_bridges) X(num_site_actuators) X(num_adhesions)

// Indices and flags. A hull's tables are in shapes.h and faces.h; an actuator's dof is -1 - i if it
// pulls tendon i. Of lists that belong to others in turn, such as tendon_columns, the table holds
// where each one's begins, and the end. An actuator at a site is a further tendon; sites_points are
// the site and the one that it refers to, or -1.
#define RLGPU_PHYSICS_INTS(X)                                                                \
  X(body_parent) X(body_root) X(body_joint) X(body_num_joints) X(body_moves) X(body_turned)  \
  X(joint_type) X(joint_qpos) X(joint_dof) X(joint_offset)                                   \
  X(dof_body) X(dof_qpos) X(m_adr) X(m_depth) X(m_col) X(h_adr) X(h_depth)         \
  X(h_col) X(h_parent) X(pair_bridge) X(limit_dof) X(loss_dof) X(actuator_dof) X(actuator_act) X(actuator_early)        \
  X(actuator_ball) X(ball_in_parent) X(sprung_dof) X(sprung_qpos) X(wet_body)                \
  X(geom_body)                                                                               \
  X(pair_kind) X(pair_geom1) X(pair_geom2) X(pair_slot) X(pair_frictionless)                 \
  X(slot_pair) X(slot_columns) X(slot_num_columns) X(column_dof)                             \
  X(watched_body) X(standalone_dof) X(level_adr) X(level_body) X(child_adr) X(child_body)    \
  X(below_adr) X(below_entry) X(below_dof)                                                   \
  X(pair_near) X(convex_pair) X(geom_shape) X(geom_hull)                       \
  X(hull_vertex_adr) X(hull_cell_adr) X(hull_face_adr) X(hull_around_adr)                    \
  X(cell_adr) X(face_adr) X(face_vertex) X(around_adr) X(around_face)                    \
  X(slot_wide) X(wide_dims) X(wide_columns) X(lifted_body) X(body_mocap)                     \
  X(path_adr) X(path_dof)                                                                    \
  X(point_body) X(wrap_body) X(wrap_is_cylinder) X(tendon_segments) X(segment_points)        \
  X(segment_wrap) X(segment_side) X(segment_pulls) X(tendon_pulls) X(pull_body)              \
  X(tendon_columns) X(tendon_dof) X(tendon_touches) X(touch_pull)                            \
  X(tendon_entries) X(entry_m) X(entry_first) X(entry_second)                                \
  X(tendon_sites) X(sites_points) X(sites_pulls)                                             \
  X(adhesion_tendon) X(adhesion_pairs) X(adhesion_pair) X(adhesion_signs)                    \
  X(row_columns) X(row_dof) X(row_sides) X(tendon_loss) X(tendon_loss_row)                   \
  X(tendon_limit) X(tendon_limit_row) X(coupling_sides) X(coupling_is_tendon)                \
  X(coupling_row) X(anchor_body) X(anchor_is_weld) X(anchor_row)

// Numbers that are the same in every world. An impedance is (stiffness, damping, least, most,
// 1 / width, midpoint, power), see impedance.h; noslip_gain is the least of a sweep; a
// pair's contacts push from its margin on, and are found from the distance of detection on; a
// terrain's frame its first sample's x and y, the distances of samples, and how low it ends; its ridges mark the convex edges from each sample, 1 along x, 2 along y, 4
// along both, and its crests are their heights; tops are the largest of them around blocks.
#define RLGPU_PHYSICS_CONSTANTS(X)                                                           \
  X(timestep) X(qpos0) X(body_pos) X(body_quat) X(joint_pos) X(joint_axis)                   \
  X(dof_spring_ref) X(dof_force_low) X(dof_force_high)                                       \
  X(limit_margin) X(limit_impedance) X(loss_impedance)                                       \
  X(actuator_gear) X(actuator_ctrl_low) X(actuator_ctrl_high)                                \
  X(act_leak) X(act_advance) X(act_low) X(act_high)                                          \
  X(ball_gear) X(ball_period) X(sprung_stiffness) X(sprung_ref) X(wet_mat) X(wind)           \
  X(geom_pos) X(geom_mat) X(geom_size)                                                       \
  X(pair_margin) X(pair_detection) X(pair_impedance) X(pair_friction_damping) X(pair_anisotropy)               \
  X(column_sign) X(inverse_impratio) X(noslip_gain)                                     \
  X(terrain_heights) X(terrain_ridges) X(terrain_crests) X(terrain_tops)                     \
  X(terrain_crest_tops) X(terrain_frame)                                                     \
  X(pair_reach) X(hull_x) X(hull_y) X(hull_z) X(face_normal)                \
  X(cell_point) X(geom_box)                                                                  \
  X(point_pos) X(wrap_pos) X(wrap_mat) X(wrap_radius) X(segment_scale) X(tendon_coef)        \
  X(tendon_stiffness) X(tendon_damping) X(tendon_slack) X(row_low) X(row_high)               \
  X(sites_gear) X(sites_quat) X(sites_period) X(adhesion_sign)                               \
  X(tendon_loss_impedance) X(tendon_limit_impedance) X(tendon_limit_range)                   \
  X(tendon_limit_margin) X(coupling_reference) X(coupling_polynomial) X(coupling_impedance)  \
  X(anchor_pos) X(anchor_quat) X(anchor_impedance) X(anchor_torquescale)

// Numbers that may differ between worlds.
#define RLGPU_PHYSICS_PARAMETERS(X)                                                          \
  X(body_mass) X(body_inertia) X(body_ipos) X(dof_armature) X(dof_damping) X(dof_invweight)  \
  X(pair_friction) X(pair_invweight) X(actuator_gain) X(actuator_bias) X(gravity) \
  X(pair_turning) X(actuator_gain_slope) X(wet_drag) X(row_invweight)                        \
  X(dof_stiffness) X(limit_low) X(limit_high) X(loss_force)                                  \
  X(actuator_force_low) X(actuator_force_high) X(lifted_share)
// clang-format on

namespace rlgpu::physics {

enum JointType : int { kFree = 0, kBall = 1, kSlide = 2, kHinge = 3 };  // MuJoCo's mjtJoint
enum PairKind : int {
  kPlaneSphere,
  kPlaneCapsule,
  kPlaneBox,
  kTerrainSphere,
  kTerrainCapsule,
  kTerrainBox,
  kSphereSphere,
  kSphereCapsule,
  kCapsuleCapsule,
  kPlaneCylinder,
  kPlaneEllipsoid,
  kPlaneHull,
  kSphereCylinder,
  kSphereBox,
  kCapsuleBox,
  kBoxBox,
  kConvex,
  kTerrainConvex
};
// How two geoms are found to be far from each other: not at all, by the height of the second one's
// centre over the first one's plane, or by the distance of their centres.
enum NearKind : int { kAlways, kOverPlane, kCentres };

// The dofs of a joint whose motion axes move with its body: all but a free joint's translations.
struct TurningDofs {
  int first, last;

  RLGPU_HD TurningDofs(int type, int dof)
      : first(type == kFree ? dof + 3 : dof),
        last(dof + (type == kFree   ? 6
                    : type == kBall ? 3
                                    : 1)) {}
};

constexpr int kImpedance = 7;         // numbers of an impedance
constexpr int kMostTerrainCells = 4;  // along a side, that a ball can touch
constexpr int kParameterBlock = 16;   // worlds whose parameters lie side by side
constexpr int kTerrainBlock = 8;      // cells along a side, of which the largest height is kept

inline namespace RLGPU_PHYSICS_BUILD {

// Pointers into the arrays that Python packs. The header holds the sizes, then the offset of every
// table in its array; parameter tables stay offsets into a row of parameters.
template <typename R>
struct Tables {
#define RLGPU_FIELD(name) int name;
  RLGPU_PHYSICS_SIZES(RLGPU_FIELD)
#undef RLGPU_FIELD
#define RLGPU_FIELD(name) const int32_t* name;
  RLGPU_PHYSICS_INTS(RLGPU_FIELD)
#undef RLGPU_FIELD
#define RLGPU_FIELD(name) const R* name;
  RLGPU_PHYSICS_CONSTANTS(RLGPU_FIELD)
#undef RLGPU_FIELD
#define RLGPU_FIELD(name) int name;
  RLGPU_PHYSICS_PARAMETERS(RLGPU_FIELD)
#undef RLGPU_FIELD

  RLGPU_HD Tables(const int32_t* header, const int32_t* ints, const R* constants) {
    const int32_t* next = header;
#define RLGPU_FIELD(name) name = *next++;
    RLGPU_PHYSICS_SIZES(RLGPU_FIELD)
#undef RLGPU_FIELD
#define RLGPU_FIELD(name) name = ints + *next++;
    RLGPU_PHYSICS_INTS(RLGPU_FIELD)
#undef RLGPU_FIELD
#define RLGPU_FIELD(name) name = constants + *next++;
    RLGPU_PHYSICS_CONSTANTS(RLGPU_FIELD)
#undef RLGPU_FIELD
#define RLGPU_FIELD(name) name = *next++;
    RLGPU_PHYSICS_PARAMETERS(RLGPU_FIELD)
#undef RLGPU_FIELD
  }
};

// One row of parameters for all worlds, or each world's own: blocks of kParameterBlock worlds, in
// which the numbers of one parameter lie side by side, as lanes read them.
template <typename V>
struct Parameters {
  const Real<V>* shared;
  const Real<V>* own;  // of the group's first world; null if shared

  RLGPU_HD V operator[](int i) const {
    if (own == nullptr) return splat<V>(shared[i]);
    V lanes;
    memcpy(&lanes, own + i * kParameterBlock, sizeof(V));
    return lanes;
  }
  RLGPU_HD Vec3<V> vec3(int i) const { return {(*this)[i], (*this)[i + 1], (*this)[i + 2]}; }
};

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
