// Tendons around spheres and cylinders: where they touch, and how long they are there.
//
// In the plane through both ends and the sphere's centre, or across the cylinder's axis, the tendon
// is a string around a circle, or through a ring if its side site is inside the geom.
// Source: MuJoCo, mju_wrap (engine_util_misc.c).
#pragma once

#include "spatial.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMaxRingIterations = 16;

// A point of the plane.
template <typename V>
struct Flat {
  V x, y;
};

template <typename V>
RLGPU_HD V dot(Flat<V> a, Flat<V> b) {
  return a.x * b.x + a.y * b.y;
}
template <typename V>
RLGPU_HD V cross(Flat<V> a, Flat<V> b) {
  return a.x * b.y - a.y * b.x;
}
template <typename V>
RLGPU_HD Flat<V> operator+(Flat<V> a, Flat<V> b) {
  return {a.x + b.x, a.y + b.y};
}
template <typename V>
RLGPU_HD Flat<V> operator-(Flat<V> a, Flat<V> b) {
  return {a.x - b.x, a.y - b.y};
}
template <typename V>
RLGPU_HD Flat<V> operator*(V s, Flat<V> a) {
  return {s * a.x, s * a.y};
}
template <typename V>
RLGPU_HD Flat<V> select(Mask<V> mask, Flat<V> a, Flat<V> b) {
  return {select<V>(mask, a.x, b.x), select<V>(mask, a.y, b.y)};
}
template <typename V>
RLGPU_HD Flat<V> unit(Flat<V> a) {
  return reciprocal(maximum(square_root(dot(a, a)), splat<V>(Real<V>(1e-20)))) * a;
}

// Where a tendon touches a circle around the origin first and last, and its length between.
template <typename V>
struct Bend {
  Mask<V> wraps;
  V length;
  Flat<V> first, last;
};

// Whether two segments, from a to b and from c to d, cross.
template <typename V>
RLGPU_STAGE Mask<V> cross_each_other(Flat<V> a, Flat<V> b, Flat<V> c, Flat<V> d) {
  const V det = (d.y - c.y) * (b.x - a.x) - (d.x - c.x) * (b.y - a.y), one = splat<V>(1);
  const Mask<V> usable = magnitude(det) >= Real<V>(1e-15);
  const V inverse = reciprocal(select<V>(usable, det, one));
  const V x = ((d.x - c.x) * (a.y - c.y) - (d.y - c.y) * (a.x - c.x)) * inverse;
  const V y = ((b.x - a.x) * (a.y - c.y) - (b.y - a.y) * (a.x - c.x)) * inverse;
  return usable & (x >= V{}) & (x <= one) & (y >= V{}) & (y <= one);
}

// Where the segment between two points is nearest to the origin.
template <typename V>
RLGPU_STAGE Flat<V> nearest_to_origin(Flat<V> a, Flat<V> b) {
  const Flat<V> along = b - a;
  const V square = maximum(dot(along, along), splat<V>(Real<V>(1e-30)));
  return a + clamp(V(-dot(along, a) / square), V{}, splat<V>(1)) * along;
}

// The angle by which one turns around the origin on the straight way from a to b, from -pi to pi.
template <typename V>
RLGPU_STAGE V winding(Flat<V> a, Flat<V> b) {
  return angle_of(dot(a, b), cross(a, b));
}

// Around a circle: the shorter way or, with a side, a point outside of the circle's centre, the way
// that turns around the centre as the one over that point does.
template <typename V>
RLGPU_STAGE Bend<V> around_circle(Flat<V> a, Flat<V> b, bool has_side, Flat<V> side, V radius) {
  using R = Real<V>;
  const V a2 = dot(a, a), b2 = dot(b, b), r2 = radius * radius;
  const Flat<V> near = nearest_to_origin(a, b);
  const V over_side = has_side ? V(winding(a, side) + winding(side, b)) : V{};
  Mask<V> free = dot(near, near) > r2;
  if (has_side) free = free & (magnitude(V(over_side - winding(a, b))) < R(3.141592653589793));
  Mask<V> wraps = !free & (a2 >= r2) & (b2 >= r2) & (dot(b - a, b - a) >= R(1e-15));
  const V a_far = radius * square_root(maximum(a2 - r2, V{}));
  const V b_far = radius * square_root(maximum(b2 - r2, V{}));
  const V per_a2 = reciprocal(maximum(a2, splat<V>(R(1e-15))));
  const V per_b2 = reciprocal(maximum(b2, splat<V>(R(1e-15))));
  Flat<V> first[2], last[2];
  V good[2];
  Mask<V> crosses[2];
  for (int i = 0; i < 2; ++i) {  // clockwise, counterclockwise
    const V sign = splat<V>(R(i == 0 ? 1 : -1));
    first[i] = per_a2 * (r2 * a + (sign * a_far) * Flat<V>{a.y, -a.x});
    last[i] = per_b2 * (r2 * b + (sign * b_far) * Flat<V>{-b.y, b.x});
    const Flat<V> across = first[i] - last[i];
    crosses[i] = cross_each_other(a, first[i], b, last[i]);
    good[i] = select<V>(crosses[i], splat<V>(R(-10000)), V(-dot(across, across)));
  }
  const Mask<V> one = has_side ? over_side <= V{} : good[0] > good[1];
  wraps = wraps & !((one & crosses[0]) | (!one & crosses[1]));
  const Flat<V> from = select(one, first[0], first[1]), to = select(one, last[0], last[1]);
  if (has_side) {
    const V turn = over_side - winding(a, from) - winding(to, b);
    return {wraps, radius * magnitude(turn), from, to};
  }
  // The way from one to the other that continues the straight parts.
  const V turn = winding(from, to), angle = magnitude(turn);
  const Mask<V> far = (angle > R(1e-6)) & ((!one & (turn < V{})) | (one & (turn > V{})));
  const V whole_turn = splat<V>(R(6.283185307179586));
  return {wraps, radius * select<V>(far, whole_turn - angle, angle), from, to};
}

// Through a ring: the point of the circle at which the way from a to b is reflected. With phi the
// angle between the way and the circle's normal, asin(A sin phi) + asin(B sin phi) - 2 phi + G = 0,
// a falling concave function, on which Newton's method from pi / 2 cannot overshoot.
template <typename V>
RLGPU_STAGE Bend<V> through_ring(Flat<V> a, Flat<V> b, V radius) {
  using R = Real<V>;
  const V far_a = square_root(dot(a, a)), far_b = square_root(dot(b, b));
  const Flat<V> near = nearest_to_origin(a, b), middle = radius * unit(a + b);
  const Mask<V> outside = (far_a > radius) & (far_b > radius);
  const Mask<V> wraps = outside & (dot(near, near) > radius * radius);
  const V turn = cross(a, b), between = angle_of(dot(a, b), V(magnitude(turn)));
  const V one = splat<V>(1), ratio_a = radius / maximum(far_a, radius);
  const V ratio_b = radius / maximum(far_b, radius);
  V phi = splat<V>(R(1.5707963267948966)), sine = one, cosine{}, bent_a{}, bent_b{};
  Mask<V> found{}, busy = wraps;
  for (int i = 0; i < kMaxRingIterations && any(busy); ++i) {
    const V cos_a = square_root(maximum(one - ratio_a * ratio_a * sine * sine, V{}));
    const V cos_b = square_root(maximum(one - ratio_b * ratio_b * sine * sine, V{}));
    bent_a = angle_of(cos_a, V(ratio_a * sine)), bent_b = angle_of(cos_b, V(ratio_b * sine));
    const V value = bent_a + bent_b - R(2) * phi + between;
    if (i == 0) found = value <= V{};
    busy = busy & found & (value < R(sizeof(R) == 4 ? -1e-6 : -1e-13));
    const V tiny = splat<V>(R(1e-15));
    const V slope =
        ratio_a * cosine / maximum(cos_a, tiny) + ratio_b * cosine / maximum(cos_b, tiny) - R(2);
    phi = select<V>(busy, phi - value / minimum(slope, -tiny), phi);
    sine_cosine(phi, sine, cosine);
  }
  const Mask<V> left = turn > V{};
  const V angle = phi - select<V>(left, bent_a, bent_b);
  V turn_sine, turn_cosine;
  sine_cosine(angle, turn_sine, turn_cosine);
  const Flat<V> from = radius * unit(select(left, a, b));
  const Flat<V> point{turn_cosine * from.x - turn_sine * from.y,
                      turn_sine * from.x + turn_cosine * from.y};
  const Flat<V> touched = select(found & (turn != V{}), point, middle);
  return {wraps, V{}, touched, touched};
}

// Where a tendon between two points touches a geom, in world axes, and its length between.
template <typename V>
struct Wrap {
  Mask<V> wraps;
  V length;
  Vec3<V> first, last;
};

// The axes of the plane in which a tendon goes around a sphere.
template <typename V>
RLGPU_STAGE void plane_through(Vec3<V> a, Vec3<V> b, Vec3<V>& x, Vec3<V>& y) {
  x = unit(a);
  const Vec3<V> normal = cross(a, b), size{magnitude(x.x), magnitude(x.y), magnitude(x.z)};
  // Where both ends are in line with the centre, any plane: across the largest coordinate.
  const Mask<V> is_y = (size.y > size.x) & (size.y > size.z);
  const Mask<V> is_z = (size.z > size.x) & (size.z > size.y);
  const V one = splat<V>(1);
  const Vec3<V> other{keep<V>(is_y | is_z, one), select<V>(is_y, V{}, one),
                      select<V>(is_z, V{}, one)};
  const Mask<V> aligned = length(normal) < Real<V>(1e-15);
  y = unit(cross(unit(select(aligned, cross(x, other), normal)), x));
}

// frame: the geom's axes, of which a cylinder's is the third; side is used if there is one.
template <typename V>
RLGPU_RARE Wrap<V> wrap(bool is_cylinder, Vec3<V> centre, const Mat3<V>& frame, V radius, Vec3<V> a,
                        Vec3<V> b, bool has_side, Vec3<V> side) {
  using R = Real<V>;
  const Vec3<V> p = transposed_times(frame, a - centre), q = transposed_times(frame, b - centre);
  Vec3<V> x = unit_axis<V>(0), y = unit_axis<V>(1);
  if (!is_cylinder) plane_through(p, q, x, y);
  const auto flat = [&](Vec3<V> v) { return Flat<V>{dot(v, x), dot(v, y)}; };
  const Flat<V> from = flat(p), to = flat(q);
  const Vec3<V> s = transposed_times(frame, side - centre);
  Flat<V> beside = flat(s);
  beside.x = select<V>(dot(beside, beside) < R(1e-30), splat<V>(1), beside.x);
  Bend<V> bend = around_circle(from, to, has_side, beside, radius);
  const Mask<V> inside = length(s) < radius;
  if (has_side && any(inside)) {
    const Bend<V> ring = through_ring(from, to, radius);
    bend.wraps = (inside & ring.wraps) | (!inside & bend.wraps);
    bend.length = select<V>(inside, ring.length, bend.length);
    bend.first = select(inside, ring.first, bend.first);
    bend.last = select(inside, ring.last, bend.last);
  }
  bend.wraps = bend.wraps & (length(p) >= R(1e-15)) & (length(q) >= R(1e-15));
  Vec3<V> first = bend.first.x * x + bend.first.y * y;
  Vec3<V> last = bend.last.x * x + bend.last.y * y;
  if (is_cylinder) {  // along its axis in proportion to the way
    const Flat<V> before = from - bend.first, after = to - bend.last;
    const V len0 = square_root(dot(before, before)), len1 = square_root(dot(after, after));
    const V whole = len0 + bend.length + len1;
    const V rise = (q.z - p.z) / maximum(whole, splat<V>(R(1e-15)));
    first.z = p.z + rise * len0, last.z = p.z + rise * (len0 + bend.length);
    const V height = last.z - first.z;
    bend.length = square_root(bend.length * bend.length + height * height);
  }
  return {bend.wraps, bend.length, centre + frame * first, centre + frame * last};
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
