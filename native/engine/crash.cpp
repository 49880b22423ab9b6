#include "crash.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>

#include "ggml.h"
#include "log.h"

#if defined(__linux__)
#include <sys/prctl.h>
#endif
#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace nd {
namespace {

std::atomic<bool> reported{false};

void report(const char* why) {
  if (reported.exchange(true)) return;  // abort() raises SIGABRT after its reason was written
  writeToStderr("node-diffusion: the engine stopped: ");
  writeToStderr(why);
  writeToStderr("\n");
  writeLastLines();
}

#if !defined(_WIN32)

struct Fault {
  int signal;
  const char* why;
  struct sigaction before;
};

// Filled once, before any of them can be used by a handler.
std::array<Fault, 5> faults{{{SIGSEGV, "memory fault (SIGSEGV)", {}},
                             {SIGBUS, "memory fault (SIGBUS)", {}},
                             {SIGFPE, "arithmetic fault (SIGFPE)", {}},
                             {SIGILL, "illegal instruction (SIGILL)", {}},
                             {SIGABRT, "abort (SIGABRT)", {}}}};

// Uses only what a signal handler may: write, sigaction, raise.
void onFault(int signal) {
  for (const Fault& fault : faults) {
    if (fault.signal != signal) continue;
    report(fault.why);
    // Who was here before decides, as a rule the system: the fault comes again once this handler returns.
    sigaction(signal, &fault.before, nullptr);
    raise(signal);
  }
}

// A stack that ran full is a fault too, so the handler has one of its own. It serves the thread that calls
// this; other threads run the handler on what is left of theirs.
void useOwnStack() {
  static std::array<char, 65536> memory;
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  sigaltstack(&stack, nullptr);
}

#endif

}  // namespace

void reportAborts() {
  ggml_set_abort_callback([](const char* message) { report(message); });
}

void guardEngineProcess() {
  static std::atomic<bool> done{false};
  if (done.exchange(true)) return;
#if defined(__linux__)
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
#if !defined(_WIN32)
  useOwnStack();
  for (Fault& fault : faults) {
    struct sigaction action {};
    action.sa_handler = onFault;
    action.sa_flags = SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(fault.signal, &action, &fault.before);
  }
#endif
}

}  // namespace nd
