// Force-included into the engine's model.cpp (native/cmake/NdEngine.cmake). That file waits 200 ms between
// looks at its reader threads, which rounds every load up, and prints a line break to standard output, which
// a library must not. A macro does not expand inside its own expansion, so the calls below still reach the
// real functions.
#pragma once

#include <chrono>
#include <cstdio>
#include <thread>

namespace nd::shim {

inline constexpr std::chrono::milliseconds loaderPoll{2};

template <typename... Args>
constexpr int quiet(Args&&...) {
  return 0;
}

}  // namespace nd::shim

#define sleep_for(duration) sleep_for((static_cast<void>(duration), ::nd::shim::loaderPoll))
#define printf(...) ::nd::shim::quiet(__VA_ARGS__)
