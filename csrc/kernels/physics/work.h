// Everything that one group of worlds computes in a step: a flat block of values on the thread's
// own memory, carved into named arrays. MuJoCo's names where MuJoCo has the quantity.
#pragma once

#include "tables.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// What the cost of a contact depends on, see cone.h.
template <typename V>
struct Cost {
  V weight;           // D of each edge, 0 where inactive
  V softness, shift;  // of the normal
  Vec3<V> residual;   // of the normal and the scaled tangents: J a - aref
  Vec3<V> change;     // of the residual along the search direction
};

// A possible contact. Its pyramid's edges are normal + tangent and normal - tangent, for two
// tangents scaled by the friction coefficient; a frictionless contact has the normal alone.
template <typename V>
struct Contact : Cost<V> {
  V distance;     // negative in penetration
  V friction;     // mu
  Vec3<V> point;  // in world axes
  Mat3<V> frame;  // rows: normal from geom 1 to geom 2, two tangents
};

// The same of what a contact has beside a pyramid of three dimensions, see wide_cone.h.
template <typename V>
struct WideCost {
  Vec3<V> residual, change;  // of spin and both rolls
  // Of an elliptic cone: the ratio of its weights, and the shift.
  V inverse_mu2;
  Spatial<V> shift;
};

template <typename V>
struct Wide : WideCost<V> {
  Vec3<V> friction;  // of spin and both rolls
  V softness;        // of an elliptic cone, across its axis
};

// A contact as the line search reads it.
template <typename V>
struct SearchedContact {
  const Cost<V>* cost;
  const WideCost<V>* wide;  // null for a narrow contact
  int dims;                 // see cone_dims; kNarrow for a narrow contact
};

// A joint limit: the side that is nearer. Those of ball joints come last, and have no sign.
template <typename V>
struct Limit {
  V sign, weight, reference, residual, change;
};

// Dry friction in a joint: a force that opposes motion, bounded by the loss.
template <typename V>
struct Loss {
  V weight, reference, residual, change, most;
};

// A tendon: its length and velocity, the force along it, and how that falls with velocity.
template <typename V>
struct Tendon {
  V length, velocity, force, damping;
};

// A constraint over several joints, see couplings.h.
template <typename V>
struct Row {
  V weight, residual, change;
};

// A force on a body at its own centre of mass, and a torque, in world axes.
template <typename V>
struct Applied {
  Vec3<V> force, torque;
};

// How the force of a fluid on a body reacts to its velocity: a symmetric matrix in three blocks.
template <typename V>
struct Drag {
  Sym3<V> turning;
  Mat3<V> mixed;  // torques by linear velocities
  Sym3<V> moving;
};

template <typename V>
struct Work {
  V *qpos, *qvel, *ctrl;
  V* act;   // activations of the actuators that have one
  V* qacc;  // in: warm start; out: the solver's acceleration
  Vec3<V>*xpos, *xipos, *anchor, *geom_center;
  Vec3<V>* com;  // of each body's whole tree
  Quat<V>* xquat;
  Mat3<V>*xmat, *geom_frame;
  Inertia<V>*cinert, *crb;
  Spatial<V>*cdof, *cdof_dot, *cvel, *cacc, *cfrc;
  V *m, *h, *h_inv;  // rows of the mass matrix and of the solver's matrix, see factor.h
  int32_t *h_parent, *h_adr, *h_depth, *h_col;  // of the latter, see pattern.h
  V *qfrc_smooth, *qfrc_constraint, *qfrc_actuator, *implicit_damping;
  Drag<V>* drags;       // of all beyond a body, if there is a fluid
  V* implicit_entries;  // num_implicit: what else forces react to velocities, as entries of m
  V *gradient, *smooth_gradient, *direction;
  V* spread;  // of noslip.h
  Limit<V>* limits;
  Vec3<V>* limit_axes;  // Jacobians of the ball joints' limits
  Loss<V>* losses;
  Mask<V>* active;  // worlds in which each slot's contact exists; its fields are only valid there
  Mask<V>* found;   // the same of those in the gap as well, if there is adhesion
  Contact<V>* contacts;
  Vec3<V>* columns;  // Jacobians: (normal, tangent, tangent) of each column
  Wide<V>* wides;
  Vec3<V>* turning_columns;  // (spin, roll, roll)
  Tendon<V>* tendons;
  V* tendon_columns;  // how dofs change the tendons' lengths
  Spatial<V>* pulls;  // wrenches of a unit tension on bodies, about their trees' centres of mass
  Row<V>* rows;
  V* row_columns;
  int* live;  // slots that are active in any world of the group
  int num_live;
  int* open;  // those of them that are active in a world that the solver has not finished
  int num_open;
  // Of the worlds that search, see packed.h.
  SearchedContact<V>* searched;
  int num_searched;
  Cost<V>* packed;
  WideCost<V>* packed_wides;
  int* near;      // pairs whose geoms are near each other in any world of the group
  Vec3<V>* axes;  // of convex pairs, which may separate them; kept between steps for speed only
  Applied<V>* applied;  // only if is_pushed
  V* mocap_pose;        // position and orientation of each mocap body, only if is_posed
  bool is_pushed, is_posed;

  // Returns the bytes that the arrays need, and places them at memory unless it is null.
  RLGPU_HD size_t place(const Tables<Real<V>>& t, void* memory) {
    char* const start = static_cast<char*>(memory);
    size_t used = 0;
    const auto take = [&](auto*& array, int count) {
      using T = std::remove_reference_t<decltype(*array)>;
      array = reinterpret_cast<T*>(start + used);
      constexpr size_t kAlign = sizeof(V);
      used += (sizeof(T) * static_cast<size_t>(count) + kAlign - 1) / kAlign * kAlign;
    };
    take(qpos, t.nq), take(qvel, t.nv), take(ctrl, t.nu), take(qacc, t.nv);
    take(act, t.na);
    take(xpos, t.nbody), take(xipos, t.nbody), take(com, t.nbody);
    take(anchor, t.nv);
    take(xquat, t.nbody), take(xmat, t.nbody), take(cinert, t.nbody), take(crb, t.nbody);
    take(cdof, t.nv), take(cdof_dot, t.nv), take(cvel, t.nbody), take(cacc, t.nbody);
    take(cfrc, t.nbody), take(m, t.num_m), take(h, t.num_h), take(h_inv, t.nv);
    take(qfrc_smooth, t.nv), take(qfrc_constraint, t.nv), take(implicit_damping, t.nv);
    take(qfrc_actuator, t.nv), take(implicit_entries, t.num_implicit);
    take(drags, t.num_wet > 0 ? t.nbody : 0);
    take(gradient, t.nv), take(smooth_gradient, t.nv), take(direction, t.nv);
    take(limits, t.num_limits), take(limit_axes, t.num_ball_limits), take(losses, t.num_losses),
        take(active, t.num_slots);
    take(contacts, t.num_slots), take(found, t.num_adhesions > 0 ? t.num_slots : 0);
    take(columns, t.num_columns), take(geom_center, t.num_geoms), take(geom_frame, t.num_geoms);
    take(live, t.num_slots), take(open, t.num_slots), take(near, t.num_pairs),
        take(axes, t.num_convex);
    take(applied, t.nbody), take(wides, t.num_wide), take(turning_columns, t.num_turning);
    take(tendons, t.num_tendons), take(tendon_columns, t.num_tendon_columns);
    take(pulls, t.num_pulls), take(rows, t.num_rows), take(row_columns, t.num_row_columns);
    const bool has_pattern = Lanes<V>::kOwnPattern && t.num_bridges > 0;
    const int num_rows_of_h = has_pattern ? t.nv : 0;
    take(h_parent, num_rows_of_h), take(h_adr, num_rows_of_h), take(h_depth, num_rows_of_h);
    take(h_col, has_pattern ? t.num_h : 0);
    take(mocap_pose, 7 * t.nmocap), take(spread, t.noslip_iterations > 0 ? 5 * t.nv : 0);
    const int num_packable = Lanes<V>::kWidth > 1 ? t.num_slots : 0;
    take(packed, num_packable), take(packed_wides, t.num_wide > 0 ? num_packable : 0);
    take(searched, num_packable);
    num_live = num_open = num_searched = 0, is_pushed = is_posed = false;
    return used;
  }
};

// Where a point of a body is in the world.
template <typename V>
RLGPU_HD Vec3<V> point_on(const Work<V>& w, int body, Vec3<V> place) {
  return w.xpos[body] + w.xmat[body] * place;
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
