// The few lines of test framework that these tests need: CHECK counts on any thread, main returns the result
// of report().
#pragma once

#include <atomic>
#include <cstdio>
#include <exception>

namespace nd::test {

struct Counts {
  std::atomic<int> passed{0};
  std::atomic<int> failed{0};
};

inline Counts& counts() {
  static Counts instance;
  return instance;
}

inline void check(bool holds, const char* what, const char* file, int line) {
  if (holds) {
    ++counts().passed;
    return;
  }
  ++counts().failed;
  std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
}

// Exit code of a test program: 0 only when something was checked and all of it held.
inline int report() {
  std::printf("%d checks held, %d failed\n", counts().passed.load(), counts().failed.load());
  return counts().failed == 0 && counts().passed > 0 ? 0 : 1;
}

template <typename Exception, typename Function>
bool throws(Function&& function) {
  try {
    function();
  } catch (const Exception&) {
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "another exception: %s\n", error.what());
  }
  return false;
}

}  // namespace nd::test

#define CHECK(condition) ::nd::test::check((condition), #condition, __FILE__, __LINE__)
