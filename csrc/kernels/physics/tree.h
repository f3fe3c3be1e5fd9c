// Poses, inertias and velocities of the bodies of all trees.
//
// Source: MuJoCo, engine_core_smooth.c: mj_kinematics, mj_comPos, mj_comVel. As there, everything
// spatial is in world axes about the centre of mass of the body's whole tree.
#pragma once

#include "team.h"
#include "work.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Visits the bodies of one level of the trees after the other, those of a level in any order.
template <typename R, typename Team, typename Visit>
RLGPU_HD void visit_level(const Team& team, const Tables<R>& t, int level, const Visit& visit) {
  for (int i = t.level_adr[level] + team.first(); i < t.level_adr[level + 1]; i += team.step())
    visit(t.level_body[i]);
  team.sync();
}

// Parents before their children.
template <typename R, typename Team, typename Visit>
RLGPU_HD void outwards(const Team& team, const Tables<R>& t, const Visit& visit) {
  for (int level = 0; level < t.num_levels; ++level) visit_level(team, t, level, visit);
}

// Children before their parents.
template <typename R, typename Team, typename Visit>
RLGPU_HD void inwards(const Team& team, const Tables<R>& t, const Visit& visit) {
  for (int level = t.num_levels - 1; level >= 0; --level) visit_level(team, t, level, visit);
}

// Turns a body by a ball joint, notes the joint's anchor, and normalises its quaternion in qpos.
template <typename V>
RLGPU_RARE void apply_ball(const Tables<Real<V>>& t, Work<V>& w, int joint, Vec3<V>& pos,
                           Quat<V>& quat) {
  V* const q = w.qpos + t.joint_qpos[joint];
  const Quat<V> own = normalized(Quat<V>{q[0], q[1], q[2], q[3]});
  q[0] = own.w, q[1] = own.x, q[2] = own.y, q[3] = own.z;
  const Vec3<V> offset = splat3<V>(t.joint_pos + 3 * joint);
  const Vec3<V> anchor = pos + matrix_of(quat) * offset;
  w.anchor[t.joint_dof[joint]] = anchor;
  quat = quat * own;
  pos = anchor - matrix_of(quat) * offset;
}

// Turns or moves a body by one joint, and notes the joint's axis (in cdof) and anchor.
template <typename V>
RLGPU_STAGE void apply_joint(const Tables<Real<V>>& t, Work<V>& w, int joint, Vec3<V>& pos,
                             Quat<V>& quat) {
  const int dof = t.joint_dof[joint], adr = t.joint_qpos[joint];
  const Vec3<V> axis_b = splat3<V>(t.joint_axis + 3 * joint);
  const Mat3<V> mat = matrix_of(quat);
  const Vec3<V> axis = mat * axis_b;
  const V moved = w.qpos[adr] - t.qpos0[adr];
  w.cdof[dof].ang = axis;
  w.anchor[dof] = pos;
  if (t.joint_type[joint] == kSlide) {
    pos = pos + moved * axis;
    return;
  }
  quat = quat * rotation_about(axis_b, moved);
  if (t.joint_offset[joint]) {
    const Vec3<V> offset = splat3<V>(t.joint_pos + 3 * joint);
    w.anchor[dof] = pos + mat * offset;
    pos = w.anchor[dof] - matrix_of(quat) * offset;
  }
}

// Pose of one body, from its parent's and from qpos, or as the world has it; normalises a free
// joint's quaternion in qpos.
template <typename V>
RLGPU_STAGE void pose(const Tables<Real<V>>& t, Work<V>& w, int b) {
  const int parent = t.body_parent[b], first = t.body_joint[b];
  Vec3<V> pos;
  Quat<V> quat;
  if (t.body_num_joints[b] > 0 && t.joint_type[first] == kFree) {
    V* q = w.qpos + t.joint_qpos[first];
    pos = {q[0], q[1], q[2]};
    quat = normalized(Quat<V>{q[3], q[4], q[5], q[6]});
    q[3] = quat.w, q[4] = quat.x, q[5] = quat.y, q[6] = quat.z;
  } else {
    pos = point_on(w, parent, splat3<V>(t.body_pos + 3 * b));
    quat = w.xquat[parent];
    if (t.body_turned[b]) {
      quat = quat * splat4<V>(t.body_quat + 4 * b);
    }
    if (w.is_posed && t.body_mocap[b] >= 0) {  // a child of the world
      const V* own = w.mocap_pose + 7 * t.body_mocap[b];
      pos = {own[0], own[1], own[2]};
      quat = normalized(Quat<V>{own[3], own[4], own[5], own[6]});
    }
    for (int j = first; j < first + t.body_num_joints[b]; ++j) {
      if (t.joint_type[j] == kBall)
        apply_ball(t, w, j, pos, quat);
      else
        apply_joint(t, w, j, pos, quat);
    }
  }
  w.xpos[b] = pos, w.xquat[b] = quat, w.xmat[b] = matrix_of(quat);
}

// xpos, xquat, xmat of every body, level by level from the world.
template <typename V, typename Team>
RLGPU_STAGE void kinematics(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  const V zero{}, one = splat<V>(1);
  w.xpos[0] = {zero, zero, zero}, w.xquat[0] = {one, zero, zero, zero};
  w.xmat[0] = matrix_of(w.xquat[0]);
  team.sync();
  outwards(team, t, [&](int b) { pose(t, w, b); });
}

// Centres of mass of the trees, spatial inertias of the bodies.
template <typename V, typename Team>
RLGPU_STAGE void inertias(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                          Work<V>& w) {
  for (int b = 1 + team.first(); b < t.nbody; b += team.step())
    w.xipos[b] = point_on(w, b, p.vec3(t.body_ipos + 3 * b));
  team.sync();
  // A tree's bodies follow its root without gaps.
  for (int root = 1 + team.first(); root < t.nbody; root += team.step()) {
    if (t.body_root[root] != root) continue;
    Vec3<V> moment{};
    V mass{};
    int end = root;
    for (; end < t.nbody && t.body_root[end] == root; ++end) {
      moment = moment + p[t.body_mass + end] * w.xipos[end];
      mass += p[t.body_mass + end];
    }
    const Mask<V> massive = mass > Real<V>(1e-15);
    const Vec3<V> com = select(massive, reciprocal(mass) * moment, w.xipos[root]);
    for (int b = root; b < end; ++b) w.com[b] = com;
  }
  w.com[0] = Vec3<V>{};
  team.sync();
  for (int b = 1 + team.first(); b < t.nbody; b += team.step()) {
    if (!t.body_moves[b]) continue;
    const int i = t.body_inertia + 6 * b;
    const Sym3<V> own{p[i], p[i + 1], p[i + 2], p[i + 3], p[i + 4], p[i + 5]};
    w.cinert[b] = inertia_at(turned(w.xmat[b], own), p[t.body_mass + b], w.xipos[b] - w.com[b]);
  }
}

// Motion axes of a body's rotations about its own axes and a point.
template <typename V>
RLGPU_STAGE void turning_axes(const Work<V>& w, int b, Vec3<V> point, Spatial<V>* axes) {
  for (int k = 0; k < 3; ++k) {
    const Vec3<V> ang = column(w.xmat[b], k);
    axes[k] = {ang, cross(ang, w.com[b] - point)};
  }
}

// Motion axes of the dofs, from the joints' axes and anchors.
template <typename V, typename Team>
RLGPU_STAGE void motion_axes(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  const V zero{}, one = splat<V>(1);
  const Vec3<V> none{};
  for (int b = 1 + team.first(); b < t.nbody; b += team.step()) {
    for (int j = t.body_joint[b]; j < t.body_joint[b] + t.body_num_joints[b]; ++j) {
      Spatial<V>* axis = w.cdof + t.joint_dof[j];
      if (t.joint_type[j] == kFree) {
        axis[0] = {none, {one, zero, zero}};
        axis[1] = {none, {zero, one, zero}};
        axis[2] = {none, {zero, zero, one}};
        turning_axes(w, b, w.xpos[b], axis + 3);
      } else if (t.joint_type[j] == kBall) {
        turning_axes(w, b, w.anchor[t.joint_dof[j]], axis);
      } else if (t.joint_type[j] == kSlide) {
        *axis = {none, axis->ang};
      } else {
        axis->lin = cross(axis->ang, w.com[b] - w.anchor[t.joint_dof[j]]);
      }
    }
  }
}

// Velocity of one body from its parent's, and rates of change of its motion axes.
template <typename V>
RLGPU_STAGE void velocity(const Tables<Real<V>>& t, Work<V>& w, int b) {
  Spatial<V> velocity = w.cvel[t.body_parent[b]];
  for (int j = t.body_joint[b]; j < t.body_joint[b] + t.body_num_joints[b]; ++j) {
    const int dof = t.joint_dof[j];
    const TurningDofs turning(t.joint_type[j], dof);
    if (t.joint_type[j] == kFree) {
      // The axes of rotation move with the body's origin; those of translation stay.
      for (int k = 0; k < 3; ++k) w.cdof_dot[dof + k] = Spatial<V>{};
      velocity.lin = velocity.lin + Vec3<V>{w.qvel[dof], w.qvel[dof + 1], w.qvel[dof + 2]};
    }
    for (int k = turning.first; k < turning.last; ++k)
      w.cdof_dot[k] = cross_motion(velocity, w.cdof[k]);
    for (int k = turning.first; k < turning.last; ++k) velocity = velocity + w.qvel[k] * w.cdof[k];
  }
  w.cvel[b] = velocity;
}

template <typename V, typename Team>
RLGPU_STAGE void velocities(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  w.cvel[0] = Spatial<V>{};
  team.sync();
  outwards(team, t, [&](int b) { velocity(t, w, b); });
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
