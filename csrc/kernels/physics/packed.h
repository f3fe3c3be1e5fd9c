// The contacts of the worlds that search along a direction, moved together.
//
// The one idea: the open contacts of a group are those of any of its worlds, many more than one
// world has, and a search computes their costs again and again. So the first contacts of all worlds
// become one, whichever slots they are in, then the second ones. A world's contacts come in the
// same order either way, first by the kinds of their costs, so its sums are the same.
#pragma once

#include "wide.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kNarrow = -1;
// Contacts are moved if no world has more than this share of them.
constexpr double kCrowded = 0.4;

template <typename V>
RLGPU_STAGE SearchedContact<V> searched_contact(const Tables<Real<V>>& t, const Work<V>& w,
                                                int slot) {
  const int wide = wide_of(t, slot);
  if (wide < 0) return {w.contacts + slot, nullptr, kNarrow};
  return {w.contacts + slot, w.wides + wide, cone_dims(t, wide)};
}

template <typename V, typename T>
RLGPU_HD void copy_lane(const T& from, T& to, int lane) {
  const V* const source = reinterpret_cast<const V*>(&from);
  V* const target = reinterpret_cast<V*>(&to);
  for (size_t i = 0; i < sizeof(T) / sizeof(V); ++i)
    lane_of(target[i], lane) = lane_of(source[i], lane);
}

// Moves the contacts with one kind of cost.
template <typename V>
RLGPU_STAGE void pack_alike(const Tables<Real<V>>& t, Work<V>& w, Mask<V> worlds, int dims) {
  int next[Lanes<V>::kWidth];  // place of each world's next contact
  for (int& place : next) place = w.num_searched;
  for (int i = 0; i < w.num_open; ++i) {
    const int slot = w.open[i];
    const SearchedContact<V> here = searched_contact(t, w, slot);
    if (here.dims != dims) continue;
    for (const int lane : lanes_in<V>(w.active[slot] & worlds)) {
      const int place = next[lane]++;
      if (place == w.num_searched) {
        w.searched[w.num_searched++] = {w.packed + place, w.packed_wides + place, dims};
        w.packed[place] = Cost<V>{};
        if (here.wide != nullptr) w.packed_wides[place] = WideCost<V>{};
      }
      copy_lane<V>(*here.cost, w.packed[place], lane);
      if (here.wide != nullptr) copy_lane<V>(*here.wide, w.packed_wides[place], lane);
    }
  }
}

// Calls a function with each kind of cost that a model's contacts have.
template <typename R, typename Function>
RLGPU_HD void each_kind(const Tables<R>& t, Function&& use) {
  use(kNarrow);
  if (t.num_wide == 0) return;
  if (t.is_elliptic) return use(0);
  use(4), use(6);
}

// Lists the contacts of some worlds by their kinds, moved together if this makes them far fewer.
template <typename V>
RLGPU_RARE void list_searched(const Tables<Real<V>>& t, Work<V>& w, Mask<V> worlds) {
  V counts{};
  w.num_searched = 0;
  each_kind(t, [&](int dims) {
    for (int i = 0; i < w.num_open; ++i) {
      const SearchedContact<V> here = searched_contact(t, w, w.open[i]);
      const Mask<V> active = w.active[w.open[i]] & worlds;
      if (here.dims != dims || !any(active)) continue;
      counts += keep<V>(active, splat<V>(1));
      w.searched[w.num_searched++] = here;
    }
  });
  if (any(counts > Real<V>(kCrowded) * Real<V>(w.num_searched))) return;
  w.num_searched = 0;
  each_kind(t, [&](int dims) { pack_alike(t, w, worlds, dims); });
}

// The contacts of the worlds that search; one world alone needs no list of them.
template <typename V>
RLGPU_STAGE int num_searched(const Work<V>& w) {
  return Lanes<V>::kWidth > 1 ? w.num_searched : w.num_open;
}
template <typename V>
RLGPU_STAGE SearchedContact<V> searched_at(const Tables<Real<V>>& t, const Work<V>& w, int i) {
  return Lanes<V>::kWidth > 1 ? w.searched[i] : searched_contact(t, w, w.open[i]);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
