// Worlds of several groups that the solver has not finished, gathered in the lanes of one.
//
// The one idea: a vector computes until its slowest world is done, and most worlds are done long
// before. So a group hands those that are left to a shared one, which goes on with full vectors,
// and gets their results back. A world's numbers depend on its own alone, so this changes none.
#pragma once

#include "../../kernels/physics/newton.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

inline int count(FloatsMask mask) { return __builtin_popcount(bits_of(mask)); }

// Which lanes of one group take the place of which of another.
struct Passage {
  FloatsMask from{};   // for each lane there, the lane here
  FloatsMask taken{};  // the lanes there that are replaced

  void add(int here, int there) { from[there] = here, taken[there] = -1; }

  // Replaces the values of the taken lanes; the others keep theirs.
  template <typename T>
  void move(T& there, const T& here, int number = 1) const {
    each(there, here, number,
         [this](Floats old, Floats moved) { return select<Floats>(taken, moved, old); });
  }
  // The same, and clears those of the others.
  template <typename T>
  void begin(T& there, const T& here, int number = 1) const {
    each(there, here, number, [this](Floats, Floats moved) { return keep<Floats>(taken, moved); });
  }
  // Clears the values of the taken lanes.
  template <typename T>
  void clear(T& there, const T& here, int number = 1) const {
    each(there, here, number, [this](Floats old, Floats) { return keep<Floats>(~taken, old); });
  }
  FloatsMask moved(FloatsMask here) const { return shuffled(here, from) & taken; }

 private:
  template <typename T, typename Function>
  void each(T& there, const T& here, int number, Function&& merged) const {
    auto* const target = reinterpret_cast<Floats*>(&there);
    const auto* const source = reinterpret_cast<const Floats*>(&here);
    const int total = number * static_cast<int>(sizeof(T) / sizeof(Floats));
    for (int i = 0; i < total; ++i) target[i] = merged(target[i], shuffled(source[i], from));
  }
};

class Unfinished {
 public:
  Unfinished(const Tables<float>& tables, void* memory) : t_(tables) { w_.place(t_, memory); }

  // Takes in the busy worlds of a group, which must stay where it is until they are back.
  void take(Work<Floats>& group, Progress<Floats>& progress) {
    list_open(Alone{}, group, progress.busy);
    while (kLanes - count(progress_.busy) < count(progress.busy)) go_on();
    hand_back();
    Passage in;
    int free = 0;
    for (const int lane : lanes_in<Floats>(progress.busy)) {
      while (progress_.busy[free] || in.taken[free]) ++free;
      in.add(lane, free);
      owners_[free] = {&group, lane};
    }
    if (!any(progress_.busy)) {
      // Lanes without a world of their own repeat one, so that all have values.
      for (int lane = 0; lane < kLanes; ++lane)
        if (!in.taken[lane]) in.from[lane] = in.from[0];
      const FloatsMask taken = in.taken;
      in.taken = FloatsMask{} == 0;
      move_rows(in, group);
      in.taken = taken;
      w_.num_live = 0;
    } else {
      move_rows(in, group);
    }
    move_contacts(in, group);
    progress_.busy |= in.taken;
    progress_.searched = (progress_.searched & ~in.taken) | in.moved(progress.searched);
    in.move(progress_.iterations, progress.iterations);
    progress_.is_softened |= progress.is_softened;
  }

  // Finishes all worlds and hands their results back.
  void finish() {
    while (any(progress_.busy)) go_on();
    hand_back();
    progress_ = Progress<Floats>{};
  }

 private:
  static constexpr int kLanes = RLGPU_PHYSICS_LANES;
  struct Owner {
    Work<Floats>* group;  // null of a lane that holds no world
    int lane;
  };

  void go_on() { iterate(Alone{}, t_, w_, progress_); }

  // What the solver reads beside the contacts.
  void move_rows(const Passage& in, const Work<Floats>& group) {
    in.move(*w_.qacc, *group.qacc, t_.nv);
    in.move(*w_.qfrc_smooth, *group.qfrc_smooth, t_.nv);
    in.move(*w_.m, *group.m, t_.num_m);
    in.move(*w_.limits, *group.limits, t_.num_limits);
    in.move(*w_.limit_axes, *group.limit_axes, t_.num_ball_limits);
    in.move(*w_.losses, *group.losses, t_.num_losses);
    in.move(*w_.rows, *group.rows, t_.num_rows);
    in.move(*w_.row_columns, *group.row_columns, t_.num_row_columns);
  }

  // Unites the lists of contacts, in the order of their slots. A contact of the worlds that are
  // here alone is nothing in those that come: what an older world left may not be finite.
  void move_contacts(const Passage& in, const Work<Floats>& group) {
    int* const old = w_.open;  // free between iterations
    int num_old = 0, num_live = 0;
    for (int i = 0; i < w_.num_live; ++i)
      if (any(w_.active[w_.live[i]] & progress_.busy)) old[num_old++] = w_.live[i];
    for (int i = 0, j = 0; i < num_old || j < group.num_open;) {
      const bool is_old = i < num_old && (j == group.num_open || old[i] <= group.open[j]);
      const bool is_new = j < group.num_open && (i == num_old || group.open[j] <= old[i]);
      const int slot = is_old ? old[i] : group.open[j];
      if (!is_new)
        move_contact(group, slot, [&in](auto&... values) { in.clear(values...); });
      else if (is_old)
        move_contact(group, slot, [&in](auto&... values) { in.move(values...); });
      else
        move_contact(group, slot, [&in](auto&... values) { in.begin(values...); });
      const FloatsMask others = is_old ? w_.active[slot] & ~in.taken : FloatsMask{};
      w_.active[slot] = is_new ? others | in.moved(group.active[slot]) : others;
      w_.live[num_live++] = slot;
      i += is_old, j += is_new;
    }
    w_.num_live = num_live;
    find_pattern(t_, w_);
  }

  template <typename Move>
  void move_contact(const Work<Floats>& group, int slot, Move&& move) {
    Contact<Floats>& there = w_.contacts[slot];
    const Contact<Floats>& here = group.contacts[slot];
    const int column = t_.slot_columns[slot], num_columns = t_.slot_num_columns[slot];
    move(there.weight, here.weight), move(there.softness, here.softness);
    move(there.shift, here.shift), move(there.friction, here.friction);
    move(there.residual, here.residual);
    move(w_.columns[column], group.columns[column], num_columns);
    const int wide = wide_of(t_, slot);
    if (wide < 0) return;
    move(w_.wides[wide], group.wides[wide]);
    if (const int first = t_.wide_columns[wide]; first >= 0)
      move(w_.turning_columns[first], group.turning_columns[first], num_columns);
  }

  void hand_back() {
    for (int lane = 0; lane < kLanes; ++lane) {
      if (owners_[lane].group == nullptr || progress_.busy[lane]) continue;
      Work<Floats>& group = *owners_[lane].group;
      Passage out;
      for (int other = lane; other < kLanes; ++other)
        if (owners_[other].group == &group && !progress_.busy[other]) {
          out.add(other, owners_[other].lane);
          owners_[other].group = nullptr;
        }
      return_to(group, out);
    }
  }

  // What the rest of a step reads of the solver.
  void return_to(Work<Floats>& group, const Passage& out) {
    out.move(*group.qacc, *w_.qacc, t_.nv);
    out.move(*group.limits, *w_.limits, t_.num_limits);
    out.move(*group.losses, *w_.losses, t_.num_losses);
    out.move(*group.rows, *w_.rows, t_.num_rows);
    for (int i = 0; i < group.num_open; ++i) {
      const int slot = group.open[i], wide = wide_of(t_, slot);
      Contact<Floats>& there = group.contacts[slot];
      const Contact<Floats>& here = w_.contacts[slot];
      out.move(there.weight, here.weight), out.move(there.softness, here.softness);
      out.move(there.shift, here.shift), out.move(there.residual, here.residual);
      if (wide >= 0) out.move(group.wides[wide], w_.wides[wide]);
    }
  }

  const Tables<float>& t_;
  Work<Floats> w_;
  Progress<Floats> progress_{};
  Owner owners_[kLanes]{};
};

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
