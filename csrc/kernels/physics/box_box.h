// Contacts of two boxes: separating axes, then one face clipped by the other or one pair of edges.
//
// Faces win ties, and a nearly parallel edge axis gives way to its face. A world's winning axis is
// not its neighbour's, so axes are chosen by select() and the rest is the same arithmetic for all.
// Each edge of the incident face is cut by the reference rectangle on its own, and corners of the
// rectangle inside the face are added: twelve candidates without a branch, of which at most eight
// exist. Source: MuJoCo, mjc_BoxBox; Y.-D. Liang, B. Barsky, A new concept and method for line
// clipping, 1984.
#pragma once

#include "boxes.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMostOfBoxes = 8, kCandidates = 12;

// What is found about two boxes, in the first one's axes unless said otherwise.
template <typename V>
struct BoxPair {
  Mat3<V> rot, back;     // the second box's axes in the first one's, and the reverse
  Vec3<V> pos21, pos12;  // either centre, in the other box's axes
  Vec3<V> size1, size2;
  Mask<V> apart, edge;        // worlds that are separated; those whose best axis is of two edges
  V face;                     // the best face: 0 to 2 of the first box, 3 to 5 of the second
  Vec3<V> edge_axis, e1, e2;  // of the best edges; either edge in its own box's axes
};

template <typename V>
RLGPU_HD Vec3<V> row_of(const Mat3<V>& m, int k) {
  return k == 0 ? m.x : k == 1 ? m.y : m.z;
}
template <typename V>
RLGPU_HD Vec3<V> magnitude(Vec3<V> v) {
  return {magnitude(v.x), magnitude(v.y), magnitude(v.z)};
}
// Per lane: the entry k + shift modulo 3, for k = 0, or 1 or 2 where a mask is set.
template <typename V>
RLGPU_HD V entry(Vec3<V> v, Mask<V> k1, Mask<V> k2, int shift) {
  return select<V>(k2, along_axis(v, (shift + 2) % 3),
                   select<V>(k1, along_axis(v, (shift + 1) % 3), along_axis(v, shift % 3)));
}

template <typename V>
RLGPU_STAGE void try_face_axes(BoxPair<V>& p, V slack, V& separation) {
  using R = Real<V>;
  separation = splat<V>(R(-1e30));
  for (int k = 0; k < 6; ++k) {
    const bool first = k < 3;
    const Vec3<V> row = row_of(first ? p.rot : p.back, k % 3);
    const V own = along_axis(first ? p.size1 : p.size2, k % 3);
    const V between = magnitude(along_axis(first ? p.pos21 : p.pos12, k % 3)) - own -
                      dot(magnitude(row), first ? p.size2 : p.size1);
    p.apart = p.apart | (between > slack);
    const Mask<V> better = between > separation;
    separation = select<V>(better, between, separation);
    p.face = select<V>(better, splat<V>(R(k)), p.face);
  }
}

template <typename V>
RLGPU_STAGE void try_edge_axes(BoxPair<V>& p, V slack, V face_separation, V& separation) {
  using R = Real<V>;
  const R noise = sizeof(R) == 4 ? R(1e-7) : R(1e-16);
  separation = face_separation;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) {
      const int i1 = (i + 1) % 3, i2 = (i + 2) % 3, j1 = (j + 1) % 3, j2 = (j + 2) % 3;
      const Vec3<V> row1 = row_of(p.rot, i1), row2 = row_of(p.rot, i2);
      const V r1 = along_axis(row1, j), r2 = along_axis(row2, j), norm2 = r1 * r1 + r2 * r2;
      const Mask<V> real = norm2 > noise;
      const V inverse = reciprocal(square_root(maximum(norm2, splat<V>(noise))));
      const V a1 = -r2 * inverse, a2 = r1 * inverse;
      const V b1 = a1 * along_axis(row1, j1) + a2 * along_axis(row2, j1);
      const V b2 = a1 * along_axis(row1, j2) + a2 * along_axis(row2, j2);
      const V between =
          magnitude(V(a1 * along_axis(p.pos21, i1) + a2 * along_axis(p.pos21, i2))) -
          along_axis(p.size1, i1) * magnitude(a1) - along_axis(p.size1, i2) * magnitude(a2) -
          along_axis(p.size2, j1) * magnitude(b1) - along_axis(p.size2, j2) * magnitude(b2);
      p.apart = p.apart | (real & (between > slack));
      const Mask<V> better = real & (between - R(1e-6) * magnitude(between) > separation) &
                             (between > face_separation);
      p.edge = p.edge | better;
      separation = select<V>(better, between, separation);
      const V parts[3] = {V{}, a1, a2};  // components i, i1, i2
      p.edge_axis = select(
          better, Vec3<V>{parts[(3 - i) % 3], parts[(4 - i) % 3], parts[(5 - i) % 3]}, p.edge_axis);
      p.e1 = select(better, unit_axis<V>(i), p.e1), p.e2 = select(better, unit_axis<V>(j), p.e2);
    }
}

// Adds contacts to the slots of a pair, packed to the front world by world.
template <typename V>
struct BoxContacts {
  V count, distance[kMostOfBoxes];
  Vec3<V> point[kMostOfBoxes];

  RLGPU_HD void add(Mask<V> where, V how_far, Vec3<V> at) {
    using R = Real<V>;
    for (const int lane : lanes_in<V>(where)) {
      const int k = static_cast<int>(lane_of(count, lane));
      if (k == kMostOfBoxes) continue;
      lane_of(distance[k], lane) = lane_of(how_far, lane);
      set_lane(point[k], lane, lane_of(at, lane));
      lane_of(count, lane) = R(k + 1);
    }
  }
};

// The incident face's corners within the reference rectangle, and the rectangle's within it.
// c: the incident face's centre; du, dv: half its edges; hx, hy: half the rectangle's; all across
// the reference face and above it.
template <typename V>
RLGPU_RARE void clip_rectangle(Vec3<V> c, Vec3<V> du, Vec3<V> dv, V hx, V hy, Mask<V> live,
                               Vec3<V>* found, Mask<V>* exists) {
  using R = Real<V>;
  constexpr bool kSingle = sizeof(R) == 4;
  const V none{}, one = splat<V>(1);
  const R tiny = kSingle ? R(1e-12) : R(1e-25);
  const R wider = kSingle ? R(1e-6) : R(1e-14), apart = kSingle ? R(1e-10) : R(1e-14);
  const Vec3<V> corner[4] = {c + du + dv, c - du + dv, c - du - dv, c + du - dv};
  const V two = splat<V>(2);
  const Vec3<V> along[4] = {-(two * du), -(two * dv), two * du, two * dv};
  const auto inverse = [&](V x) {
    return reciprocal(select<V>(magnitude(x) < tiny, splat<V>(tiny), x));
  };
  // A little wider than the face: a corner on its border must not be lost to rounding.
  const V wx = hx + wider * (hx + hy), wy = hy + wider * (hx + hy);
  for (int k = 0; k < 4; ++k) {
    const Vec3<V> p = corner[k], q = along[k];
    const V ix = inverse(q.x), iy = inverse(q.y);
    const V tx1 = (-wx - p.x) * ix, tx2 = (wx - p.x) * ix;
    const V ty1 = (-wy - p.y) * iy, ty2 = (wy - p.y) * iy;
    const V t0 = maximum(none, maximum(minimum(tx1, tx2), minimum(ty1, ty2)));
    const V t1 = minimum(one, minimum(maximum(tx1, tx2), maximum(ty1, ty2)));
    found[k] = p + t0 * q, exists[k] = t0 <= t1;
    found[4 + k] = p + t1 * q, exists[4 + k] = (t1 - t0 > wider) & (t1 < one);
  }
  const V area = reciprocal(V(du.x * dv.y - du.y * dv.x)), near = apart * (hx * hx + hy * hy);
  for (int k = 0; k < 4; ++k) {
    const V qx = k & 1 ? hx : -hx, qy = k & 2 ? hy : -hy, rx = qx - c.x, ry = qy - c.y;
    const V u = (rx * dv.y - ry * dv.x) * area, v = (du.x * ry - du.y * rx) * area;
    Mask<V> inside = (magnitude(u) < one) & (magnitude(v) < one);
    if (any(inside & live))
      for (int o = 0; o < 8; ++o) {  // an edge through the corner has given it already
        const V ex = found[o].x - qx, ey = found[o].y - qy;
        inside = inside & !(exists[o] & (ex * ex + ey * ey < near));
      }
    found[8 + k] = {qx, qy, c.z + u * du.z + v * dv.z}, exists[8 + k] = inside;
  }
}

// Face contacts, points in the reference box's axes and then in the world. Returns the normal.
template <typename V>
RLGPU_RARE Vec3<V> face_contacts(const BoxPair<V>& p, Mask<V> face, const Mat3<V>& frame1,
                                 Vec3<V> center1, const Mat3<V>& frame2, Vec3<V> center2, V margin,
                                 BoxContacts<V>& out) {
  using R = Real<V>;
  const V one = splat<V>(1), minus = splat<V>(R(-1));
  const Mask<V> first = p.face < R(2.5);
  const V axis = p.face - select<V>(first, V{}, splat<V>(3));
  const Mask<V> k1 = axis == one, k2 = axis == R(2);
  // The reference box and the incident one, with the reference axis last: x, y across the face.
  const Vec3<V> pi = select(first, p.pos21, p.pos12), sr = select(first, p.size1, p.size2),
                si = select(first, p.size2, p.size1);
  const V hx = entry<V>(sr, k1, k2, 1), hy = entry<V>(sr, k1, k2, 2), hz = entry<V>(sr, k1, k2, 0);
  const Mat3<V> m{select(first, p.rot.x, p.back.x), select(first, p.rot.y, p.back.y),
                  select(first, p.rot.z, p.back.z)};
  const auto pick = [&](int shift) {
    return select(k2, row_of(m, (shift + 2) % 3),
                  select(k1, row_of(m, (shift + 1) % 3), row_of(m, shift % 3)));
  };
  const Mat3<V> ri{pick(1), pick(2), pick(0)};
  const V px = entry<V>(pi, k1, k2, 1), py = entry<V>(pi, k1, k2, 2), pz = entry<V>(pi, k1, k2, 0);
  const V side = select<V>(pz < V{}, minus, one);
  // The incident face: the most opposed axis, the first of equals.
  const Vec3<V> az = magnitude(ri.z);
  const Mask<V> b2 = az.z > maximum(az.x, az.y), b1 = (az.y > az.x) & !b2;
  const V bz = entry<V>(ri.z, b1, b2, 0);
  const V far = select<V>(side * bz > V{}, minus, one) * entry<V>(si, b1, b2, 0);
  const V su = entry<V>(si, b1, b2, 1), sv = entry<V>(si, b1, b2, 2);
  const auto edge = [&](int shift) {
    return Vec3<V>{entry<V>(ri.x, b1, b2, shift), entry<V>(ri.y, b1, b2, shift),
                   side * entry<V>(ri.z, b1, b2, shift)};
  };
  const Vec3<V> out_of = edge(0);
  const Vec3<V> c{px + far * out_of.x, py + far * out_of.y, side * pz + far * out_of.z - hz};
  Vec3<V> found[kCandidates];
  Mask<V> exists[kCandidates];
  clip_rectangle(c, su * edge(1), sv * edge(2), hx, hy, face, found, exists);
  // To the world: the reference axes.
  const Mat3<V> frame{select(first, frame1.x, frame2.x), select(first, frame1.y, frame2.y),
                      select(first, frame1.z, frame2.z)};
  const auto world_axis = [&](int shift) {
    return Vec3<V>{entry<V>(frame.x, k1, k2, shift), entry<V>(frame.y, k1, k2, shift),
                   entry<V>(frame.z, k1, k2, shift)};
  };
  const Vec3<V> wx = world_axis(1), wy = world_axis(2), wz = side * world_axis(0);
  const Vec3<V> origin = select(first, center1, center2);
  for (int k = 0; k < kCandidates; ++k) {
    const Vec3<V>& f = found[k];
    out.add(face & exists[k] & (f.z <= margin), f.z,
            origin + f.x * wx + f.y * wy + (hz + R(0.5) * f.z) * wz);
  }
  return select(first, wz, -wz);
}

// The contact of two edges. Returns the normal.
template <typename V>
RLGPU_RARE Vec3<V> edge_contact(const BoxPair<V>& p, Mask<V> edge, const Mat3<V>& frame1,
                                Vec3<V> center1, V slack, BoxContacts<V>& out) {
  using R = Real<V>;
  const Vec3<V> n = select(dot(p.edge_axis, p.pos21) < V{}, -p.edge_axis, p.edge_axis);
  const Vec3<V> n2 = transposed_times(p.rot, n);
  // The corner that a direction selects, but the middle along the edge itself.
  const auto corner = [](Vec3<V> size, Vec3<V> d, Vec3<V> along) {
    const auto one = [](V s, V x, V e) {
      return select<V>(e > V{}, V{}, select<V>(x < V{}, -s, s));
    };
    return Vec3<V>{one(size.x, d.x, along.x), one(size.y, d.y, along.y), one(size.z, d.z, along.z)};
  };
  const Vec3<V> c1 = corner(p.size1, n, p.e1), c2 = p.pos21 - p.rot * corner(p.size2, n2, p.e2);
  const Vec3<V> d2 = p.rot * p.e2, e = c2 - c1;
  const V half1 = dot(p.size1, p.e1), half2 = dot(p.size2, p.e2), b = dot(p.e1, d2);
  const V d1e = dot(p.e1, e), d2e = dot(d2, e);
  V s = clamp(V((d1e - b * d2e) / maximum(V(R(1) - b * b), splat<V>(R(1e-7)))), -half1, half1);
  const V r = clamp(V(b * s - d2e), -half2, half2);
  s = clamp(V(d1e + b * r), -half1, half1);
  const Vec3<V> w1 = c1 + s * p.e1, w2 = c2 + r * d2;
  const V distance = dot(w2 - w1, n);
  out.add(edge & (distance <= slack), distance, center1 + frame1 * (splat<V>(R(0.5)) * (w1 + w2)));
  return frame1 * n;
}

template <typename V>
RLGPU_RARE void box_box(Work<V>& w, int slot, const Mat3<V>& frame1, Vec3<V> center1,
                        const Real<V>* s1, const Mat3<V>& frame2, Vec3<V> center2,
                        const Real<V>* s2, Mask<V> near, V margin) {
  using R = Real<V>;
  BoxPair<V> p{};
  p.size1 = splat3<V>(s1), p.size2 = splat3<V>(s2);
  const Vec3<V> apart = center2 - center1;
  p.pos21 = transposed_times(frame1, apart), p.pos12 = -transposed_times(frame2, apart);
  p.rot = relative_rotation(frame1, frame2), p.back = transposed(p.rot);
  for (int k = 0; k < kMostOfBoxes; ++k) w.active[slot + k] = Mask<V>{};
  // Boxes that overlap by less than rounding count as touching.
  const R rounding = sizeof(R) == 4 ? R(1e-6) : R(1e-13);
  const V slack = margin + rounding * (s1[0] + s1[1] + s1[2] + s2[0] + s2[1] + s2[2]);
  V face_separation, separation;
  try_face_axes(p, slack, face_separation);
  if (!any(near & !p.apart)) return;
  try_edge_axes(p, slack, face_separation, separation);
  const Mask<V> live = near & !p.apart;
  if (!any(live)) return;
  // An edge axis within about 8 degrees of the best face gives way to it, unless it is better by a
  // twentieth.
  const Mask<V> first = p.face < R(2.5);
  const V axis = p.face - select<V>(first, V{}, splat<V>(3));
  const Vec3<V> own{keep<V>(axis == V{}, splat<V>(1)), keep<V>(axis == R(1), splat<V>(1)),
                    keep<V>(axis == R(2), splat<V>(1))};
  const V aligned = magnitude(dot(p.edge_axis, select(first, own, p.rot * own)));
  const Mask<V> yields =
      (aligned > R(0.99)) & (separation < face_separation + R(0.05) * magnitude(face_separation));
  const Mask<V> edge = live & p.edge & !yields, face = live & !edge;
  BoxContacts<V> found{};
  Vec3<V> normal{};
  if (any(face)) normal = face_contacts(p, face, frame1, center1, frame2, center2, margin, found);
  if (any(edge))
    normal = select(edge, edge_contact(p, edge, frame1, center1, slack, found), normal);
  const Mat3<V> frame = frame_of(normal);
  for (int k = 0; k < kMostOfBoxes; ++k) {
    if (!begin_contact<V>(w, slot + k, found.count > R(k), found.distance[k])) break;
    w.contacts[slot + k].point = found.point[k], w.contacts[slot + k].frame = frame;
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
