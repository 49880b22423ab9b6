// Log lines of many threads at once: whole, of the wanted level, and the error tail of each thread is its
// own.
#include "log.h"

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "stable-diffusion.h"

void nd_log_printf(sd_log_level_t level, const char* file, int line, const char* format, ...);

namespace {

void linesStayWhole() {
  std::mutex mutex;
  std::vector<std::string> lines;
  nd::setLogSink(nd::LogLevel::Info, [&](nd::LogLevel, const std::string& text, uint64_t) {
    const std::lock_guard lock(mutex);
    lines.push_back(text);
  });
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int id = 0; id < 8; ++id) {
    threads.emplace_back([id] {
      const std::string filling(static_cast<size_t>(id) * 1000 + 10, static_cast<char>('a' + id));
      for (int i = 0; i < 200; ++i) {
        nd_log_printf(SD_LOG_DEBUG, __FILE__, __LINE__, "not wanted");
        nd_log_printf(SD_LOG_INFO, __FILE__, __LINE__, "%s\n", filling.c_str());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  nd::setLogSink(nd::LogLevel::Info, {});
  nd_log_printf(SD_LOG_INFO, __FILE__, __LINE__, "after the end");
  bool whole = lines.size() == 1600;
  for (const std::string& line : lines) {
    const auto expected = static_cast<size_t>(line.front() - 'a') * 1000 + 10;
    whole = whole && line == std::string(expected, line.front());
  }
  CHECK(whole);
}

void errorsBelongToTheirThread() {
  nd::takeErrorLines();
  nd_log_printf(SD_LOG_ERROR, __FILE__, __LINE__, "first %d", 1);
  std::thread([] {
    nd_log_printf(SD_LOG_ERROR, __FILE__, __LINE__, "other");
    CHECK(nd::takeErrorLines() == "other");
  }).join();
  nd_log_printf(SD_LOG_ERROR, __FILE__, __LINE__, "second");
  CHECK(nd::takeErrorLines() == "first 1; second");
  CHECK(nd::takeErrorLines().empty());
}

}  // namespace

int main() {
  linesStayWhole();
  errorsBelongToTheirThread();
  return nd::test::report();
}
