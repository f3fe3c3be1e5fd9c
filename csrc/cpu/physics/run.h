// Steps all worlds on the CPU: groups of as many worlds as a vector has lanes, spread over threads.
#pragma once

#include "../../kernels/physics/worlds.h"
#include "standard.h"
#if defined(RLGPU_PHYSICS_LANES)
#include "unfinished.h"
#endif

namespace rlgpu::physics {

// Implementations, one per instruction set; results do not depend on the number of threads.
void run_avx512(const Call& call, int num_threads);
void run_avx2(const Call& call, int num_threads);
void run_baseline(const Call& call, int num_threads);
void run_double(const Call& call, int num_threads);

inline namespace RLGPU_PHYSICS_BUILD {

// Groups that one thread steps in turns, and the dofs from which on this pays: with fewer, worlds
// are solved as fast as they are moved.
constexpr int kMostInTurns = 4, kLeastDofs = 16;

// A thread's memory for some groups. It is kept for the next call: the system would clear it again,
// page by page.
template <typename V>
class Scratch {
 public:
  Scratch(const Tables<Real<V>>& tables, int count)
      : bytes_((Work<V>().place(tables, nullptr) + 63) / 64 * 64) {
    thread_local Memory kept;
    start_ = kept.of(bytes_ * static_cast<size_t>(count));
  }

  void* of(int group) const { return start_ + bytes_ * static_cast<size_t>(group); }

 private:
  class Memory {
   public:
    Memory() = default;
    ~Memory() { release(); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    char* of(size_t bytes) {
      if (bytes <= size_) return start_;
      release();
      start_ = static_cast<char*>(::operator new(bytes, kAlign));
      size_ = bytes;
      return start_;
    }

   private:
    static constexpr std::align_val_t kAlign{64};

    void release() {
      ::operator delete(start_, kAlign);
      start_ = nullptr, size_ = 0;
    }

    char* start_ = nullptr;
    size_t size_ = 0;
  };

  size_t bytes_;
  char* start_;
};

template <typename V>
Group<V, Alone> group_at(const Call& call, int64_t number) {
  constexpr int kWidth = Lanes<V>::kWidth;
  const int64_t first = number * kWidth, left = call.num_worlds - first;
  return {first, static_cast<int>(left < kWidth ? left : kWidth), {}};
}

#if defined(RLGPU_PHYSICS_LANES)
// Steps some groups in turns; their solvers share the worlds that take long.
class Turns {
 public:
  Turns(const Call& call, const Tables<float>& tables, int most)
      : call_(call), t_(tables), memory_(tables, most + 1), unfinished_(tables, memory_.of(most)) {
    for (int i = 0; i < most; ++i) works_[i].place(t_, memory_.of(i));
  }

  void run(int64_t first, int count) {
    for (int i = 0; i < count; ++i)
      parameters_[i] = load_group(call_, t_, works_[i], group_at<Floats>(call_, first + i));
    for (int step = 0; step < call_.num_steps; ++step) {
      for (int i = 0; i < count; ++i) begin(i);
      unfinished_.finish();
      for (int i = 0; i < count; ++i) end_step(Alone{}, t_, works_[i]);
    }
    for (int i = 0; i < count; ++i)
      store_group(call_, t_, works_[i], group_at<Floats>(call_, first + i));
  }

 private:
  // A group's step up to where at most half of its worlds are left to solve.
  void begin(int i) {
    Work<Floats>& w = works_[i];
    begin_step(Alone{}, t_, parameters_[i], w);
    Progress<Floats> progress = begin_solving(Alone{}, t_, w);
    do iterate(Alone{}, t_, w, progress);
    while (2 * physics::count(progress.busy) > RLGPU_PHYSICS_LANES);
    if (any(progress.busy)) unfinished_.take(w, progress);
  }

  const Call& call_;
  const Tables<float>& t_;
  Scratch<Floats> memory_;
  Work<Floats> works_[kMostInTurns];
  Parameters<Floats> parameters_[kMostInTurns];
  Unfinished unfinished_;
};

inline void run_in_turns(const Call& call, const Tables<float>& t, int64_t num_groups, int most,
                         int num_threads) {
  const int64_t num_turns = (num_groups + most - 1) / most;
#pragma omp parallel num_threads(num_threads) if (num_threads > 1)
  {
    Turns turns(call, t, most);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < num_turns; ++i) {
      const int64_t left = num_groups - i * most;
      turns.run(i * most, static_cast<int>(left < most ? left : most));
    }
  }
}
#endif

// One group after another.
template <typename V>
void run_alone(const Call& call, const Tables<Real<V>>& t, int64_t num_groups, int num_threads) {
#pragma omp parallel num_threads(num_threads) if (num_threads > 1 && num_groups > 1)
  {
    const Scratch<V> memory(t, 1);
    Work<V> w;
    w.place(t, memory.of(0));
#pragma omp for schedule(static)
    for (int64_t i = 0; i < num_groups; ++i) run_group(call, t, w, group_at<V>(call, i));
  }
}

template <typename V>
void run(const Call& call, int num_threads) {
  constexpr int kWidth = Lanes<V>::kWidth;
  const Tables<Real<V>> t(call.header, call.ints, static_cast<const Real<V>*>(call.constants));
  const int64_t num_groups = (call.num_worlds + kWidth - 1) / kWidth;
  const int64_t share = (num_groups + num_threads - 1) / num_threads;
  const bool is_small = kWidth == 1 || share == 1 || t.nv < kLeastDofs;
  if (is_small || call.num_steps == 0) return run_alone<V>(call, t, num_groups, num_threads);
  // As few turns as that many groups allow, and all of them alike.
  const int64_t turns = (share + kMostInTurns - 1) / kMostInTurns;
  if constexpr (kWidth > 1)
    run_in_turns(call, t, num_groups, static_cast<int>((share + turns - 1) / turns), num_threads);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
