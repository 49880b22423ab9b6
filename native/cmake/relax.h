/*
 * Before everything else of ggml's threads (ggml-cpu.c). They wait for each other by spinning, which is
 * fastest where each has a CPU. Where others work too, the one that all wait for may have none, while those
 * that wait use theirs up. So now and then one that spins offers its CPU to the others. On Linux only, where
 * it was measured (scripts/busy.mjs).
 */
#if defined(__linux__) && !defined(__cplusplus)
#include <sched.h>

static inline void nd_relax_of_ggml(void);

static inline void nd_relax(void) {
  /* Of a thread's life, so a short wait seldom meets one. Some 50 microseconds of x86's `pause`; `yield` of
   * arm takes far less. */
#if defined(__x86_64__)
  enum { spins = 1024 };
#else
  enum { spins = 16384 };
#endif
  static _Thread_local unsigned spun = 0;
  nd_relax_of_ggml();
  if (++spun % spins == 0) sched_yield();
}

/* Calls have no argument, and ggml's own definition, which stays, has `void`. */
#define ND_RELAX_ nd_relax()
#define ND_RELAX_void nd_relax_of_ggml(void)
#define ggml_thread_cpu_relax(argument) ND_RELAX_##argument
#endif
