// The library's whole interface: plain C functions on raw pointers. It knows neither Python
// nor torch; threads come from the OpenMP runtime that torch has already loaded.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "entry.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(PLIE_X86)
#include <cpuid.h>
#endif

#if defined(_WIN32)
#define PLIE_API extern "C" __declspec(dllexport)
#else
#define PLIE_API extern "C" __attribute__((visibility("default")))
#endif

namespace plie {
namespace {

const Path* paths(int i) {
#if defined(PLIE_X86)
  __builtin_cpu_init();
  if (i == 0 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    return &kAvx512;
  unsigned a, b, c = 0, d;
  const bool halves = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
  if (i <= 1 && halves && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kAvx2;
#elif defined(PLIE_NEON)
  if (i <= 1) return &kNeon;
#endif
  (void)i;
  return &kPlain;
}

const Path* active = paths(0);

// --- threads -----------------------------------------------------------------------------

using Parallel = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);
Parallel parallel = nullptr;
int (*thread_number)() = nullptr;
int (*team_size)() = nullptr;

constexpr int64_t kGrain = 1 << 15;            // elements worth a thread
constexpr int64_t kStream = 1 << 23;           // bytes written from which the cache is passed by
constexpr int64_t kHuge = 1 << 21;             // a huge page

struct Job {
  int64_t n, step;
  int threads;
  void (*body)(const Job&, int64_t begin, int64_t count);
  const void *table, *x, *grad;
  void* out;
  bool flag, stream;
  mutable std::atomic<bool> open{false};
  Kernel kernel;
};

// The team may be smaller than asked for (OMP_THREAD_LIMIT, a parallel region around it).
void thread(void* data) {
  const Job& job = *static_cast<Job*>(data);
  const int64_t stride = job.step * team_size();
  for (int64_t begin = job.step * thread_number(); begin < job.n; begin += stride)
    job.body(job, begin, std::min(job.n - begin, job.step));
}

void spread(Job& job, int64_t out_bytes, int threads) {
  job.stream = out_bytes >= kStream;
  const int64_t useful = job.n / kGrain;
  job.threads = parallel ? static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(threads, useful))) : 1;
  if (job.threads == 1) {
    job.body(job, 0, job.n);
    return;
  }
  constexpr int64_t block = 1024;  // elements: no line is shared by two threads
  job.step = (job.n + job.threads * block - 1) / (job.threads * block) * block;
  parallel(thread, &job, static_cast<unsigned>(job.threads), 0);
}

}  // namespace
}  // namespace plie

using namespace plie;

// Bytes of a table with that many wide segments; also tells that both sides agree on the layout.
PLIE_API int64_t plie_table_bytes(int64_t wide) {
  return static_cast<int64_t>(sizeof(Table) + (wide - 1) * sizeof(WideSegment));
}

PLIE_API int plie_format() { return kFormat; }

PLIE_API const char* plie_path() { return active->name; }

// The path of that name if this processor has it, else the best; returns the one chosen.
PLIE_API const char* plie_set_path(const char* name) {
  active = paths(0);
  for (int i = 0; i < 3; ++i)
    if (std::strcmp(paths(i)->name, name) == 0) active = paths(i);
  return active->name;
}

// The functions GOMP_parallel, omp_get_thread_num and omp_get_num_threads of the runtime in use.
PLIE_API void plie_set_threads(void* run, void* number, void* team) {
  parallel = reinterpret_cast<Parallel>(run);
  thread_number = reinterpret_cast<int (*)()>(number);
  team_size = reinterpret_cast<int (*)()>(team);
}

// out = f(x), or out = grad * f(x) where grad is given. Returns 0; 1 for an unknown
// table; 2 if some results are missing (NaN where x is not).
PLIE_API int plie_run(const void* table, const float* x, const float* grad, float* out, int64_t n,
                      int threads) {
  const Table& t = *static_cast<const Table*>(table);
  Job job{};
  job.kernel = active->choose(t, grad != nullptr);
  if (!job.kernel) return 1;
  job.n = n, job.table = table, job.x = x, job.grad = grad, job.out = out;
  job.body = [](const Job& j, int64_t begin, int64_t count) {
    const auto* grad = static_cast<const float*>(j.grad);
    const bool open = j.kernel(*static_cast<const Table*>(j.table), static_cast<const float*>(j.x) + begin,
             grad ? grad + begin : nullptr, static_cast<float*>(j.out) + begin,
                             static_cast<size_t>(count), j.stream);
    if (open) j.open = true;
  };
  spread(job, n * 4, threads);
  return job.open ? 2 : 0;
}

// out = f(x) on this thread.
PLIE_API int plie_few(const void* table, const float* x, float* out, int64_t n) {
  const Table& t = *static_cast<const Table*>(table);
  const Kernel kernel = active->choose(t, false);
  if (!kernel) return 1;
  return kernel(t, x, nullptr, out, static_cast<size_t>(n), false) ? 2 : 0;
}

// The places of what `plie_run` has left missing, in order, if there is `room` for them; returns how
// many there are.
PLIE_API int64_t plie_missing(const float* x, const float* out, int64_t n, int64_t* at, int64_t room,
                              int threads) {
  struct Part {
    int64_t found = 0;
    std::vector<int64_t> at;
  };
  struct Parts {
    int64_t room;
    mutable std::vector<Part> of;
  } parts{room, std::vector<Part>(static_cast<size_t>(std::max(threads, 1)))};
  Job job{};
  job.n = n, job.table = &parts, job.x = x, job.out = const_cast<float*>(out);
  job.body = [](const Job& j, int64_t begin, int64_t count) {
    const auto& parts = *static_cast<const Parts*>(j.table);
    Part& part = parts.of[j.step ? static_cast<size_t>(begin / j.step) : 0];
    const auto *in = static_cast<const float*>(j.x), *to = static_cast<const float*>(j.out);
    constexpr int64_t block = 256;  // few have any
    for (int64_t from = begin; from < begin + count; from += block) {
      const int64_t end = std::min(from + block, begin + count);
      int any = 0;
      for (int64_t i = from; i < end; ++i) any |= to[i] != to[i];
      for (int64_t i = from; any && i < end; ++i)
        if (to[i] != to[i] && in[i] == in[i] && ++part.found <= parts.room) part.at.push_back(i);
    }
  };
  spread(job, 0, threads);
  int64_t found = 0;
  for (const Part& part : parts.of) found += part.found;
  if (found <= room)
    for (const Part& part : parts.of) at = std::copy(part.at.begin(), part.at.end(), at);
  return found;
}

// 16-bit floats by their table of 65,536 results (and two bytes more, which are read, not used).
PLIE_API void plie_gather(const uint16_t* table, const uint16_t* x, uint16_t* out, int64_t n,
                          int threads) {
  Job job{};
  job.n = n, job.table = table, job.x = x, job.out = out;
  job.body = [](const Job& j, int64_t begin, int64_t count) {
    active->gather(static_cast<const uint16_t*>(j.table), static_cast<const uint16_t*>(j.x) + begin,
                   static_cast<uint16_t*>(j.out) + begin, static_cast<size_t>(count), j.stream);
  };
  spread(job, n * 2, threads);
}

// out = grad * slopes[x], for float16 (half) or bfloat16.
PLIE_API void plie_gather_backward(const float* slopes, const uint16_t* x, const uint16_t* grad,
                                   uint16_t* out, int64_t n, int half, int threads) {
  Job job{};
  job.n = n, job.table = slopes, job.x = x, job.grad = grad, job.out = out, job.flag = half;
  job.body = [](const Job& j, int64_t begin, int64_t count) {
    active->gather_backward(static_cast<const float*>(j.table),
                            static_cast<const uint16_t*>(j.x) + begin,
                            static_cast<const uint16_t*>(j.grad) + begin,
                            static_cast<uint16_t*>(j.out) + begin, static_cast<size_t>(count),
                            j.flag, j.stream);
  };
  spread(job, n * 2, threads);
}

// To see that both sides agree.
PLIE_API int64_t plie_family_bytes() { return sizeof(Family); }
PLIE_API int64_t plie_block() { return kBlock; }

// A family on rows of equal length, row r with the numbers of channel r % channels. Where grad is
// given, out is the gradient by x, and sums receives the parts of those by the numbers, channel by
// channel; parts is room for as many numbers for each block.
PLIE_API int plie_family(const Family* family, const float* x, const float* grad, float* out,
                         double* sums, double* parts, int64_t rows, int64_t length, int threads) {
  const int64_t width = 3 * family->terms + 2, blocks = (length + kBlock - 1) / kBlock;
  struct Work {
    const Family* family;
    int64_t length, width, blocks;
    double* parts;
  } work{family, length, width, blocks, parts};
  Job job{};
  job.n = rows * blocks * kBlock, job.table = &work, job.x = x, job.grad = grad, job.out = out;
  job.body = [](const Job& j, int64_t begin, int64_t count) {
    const Work& w = *static_cast<const Work*>(j.table);
    for (int64_t b = begin / kBlock; b < (begin + count) / kBlock; ++b) {
      const int64_t row = b / w.blocks, at = b % w.blocks * kBlock, first = row * w.length + at;
      const int n = static_cast<int>(std::min(kBlock, w.length - at));
      const double* numbers = w.family->numbers + row % w.family->channels * w.width;
      const float* in = static_cast<const float*>(j.x) + first;
      const float* flow = static_cast<const float*>(j.grad);
      float* to = static_cast<float*>(j.out) + first;
      const bool open = flow ? active->family_backward(*w.family, numbers, in, flow + first, to,
                                                       w.parts + b * w.width, n)
                             : active->family(*w.family, numbers, in, to, n);
      if (open) j.open = true;
    }
  };
  spread(job, 0, threads);
  if (grad)
    // In the order of the blocks, whoever has computed them.
    for (int64_t b = 0; b < rows * blocks; ++b)
      for (int64_t k = 0; k < width; ++k)
        sums[b / blocks % family->channels * width + k] += parts[b * width + k];
  return job.open ? 2 : 0;
}

// To see that both sides agree.
PLIE_API int64_t plie_course_bytes() { return sizeof(Course); }
PLIE_API int64_t plie_operations() { return kOperations; }

// Train all members for their epochs, each on one thread.
PLIE_API void plie_train(const Course* course, int threads) {
  struct Team {
    const Course* course;
    std::atomic<int64_t> next{0};
  } team{course, {}};
  const auto work = [](void* data) {
    Team& team = *static_cast<Team*>(data);
    const Course& course = *team.course;
    constexpr size_t line = 64;
    std::vector<float> room(static_cast<size_t>(course.room) + line / sizeof(float));
    std::vector<double> wide(static_cast<size_t>(course.wide));
    void* start = room.data();
    size_t left = room.size() * sizeof(float);
    auto* aligned = static_cast<float*>(std::align(line, sizeof(float), start, left));
    for (int64_t member; (member = team.next++) < course.members;)
      active->train(course, member, aligned, wide.data());
  };
  const int64_t useful = std::min<int64_t>(threads, course->members);
  if (parallel && useful > 1)
    parallel(work, &team, static_cast<unsigned>(useful), 0);
  else
    work(&team);
}

// Before the first write to large fresh memory: ask for huge pages, which fault 512 times less.
PLIE_API void plie_fresh(void* out, int64_t bytes) {
#if defined(__linux__)
  const auto begin = (reinterpret_cast<uintptr_t>(out) + kHuge - 1) / kHuge * kHuge;
  const auto end = (reinterpret_cast<uintptr_t>(out) + bytes) / kHuge * kHuge;
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)out, (void)bytes;
#endif
}
