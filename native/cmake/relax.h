/*
 * Before everything else of ggml's threads (ggml-cpu.c). They wait for each other by spinning, which is fastest where each has
 * a CPU. Where others work too, the one that all wait for may have none, while those that wait use theirs up: steps then take
 * tens of times longer. So whoever has spun for a while offers its CPU to the others.
 */
#if (defined(__GNUC__) || defined(__clang__)) && !defined(_WIN32) && !defined(__cplusplus)
#include <sched.h>

static inline void nd_relax(void) {
  /* Some 50 microseconds, more than most waits. */
  enum { spins = 1024 };
  static _Thread_local unsigned spun = 0;
#if defined(__aarch64__)
  __asm__ volatile("yield" ::: "memory");
#elif defined(__x86_64__)
  __builtin_ia32_pause();
#endif
  if (++spun % spins == 0) sched_yield();
}

/* Calls have no argument, and ggml's own definition has `void`. */
#define ND_RELAX_ nd_relax()
#define ND_RELAX_void nd_relax_of_ggml(void)
#define ggml_thread_cpu_relax(argument) ND_RELAX_##argument
#endif
