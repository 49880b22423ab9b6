#include "log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "stable-diffusion.h"

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

// The engine's own function, in its util.cpp.
void log_printf(sd_log_level_t level, const char* file, int line, const char* format, ...);

namespace nd {
namespace {

// The last lines, in memory that exists before the process is in trouble. A reader takes no lock: every line
// ends in a zero that is never overwritten.
struct Ring {
  static constexpr size_t kLines = 48;
  static constexpr size_t kWidth = 240;
  std::array<std::array<char, kWidth + 1>, kLines> lines{};
  std::atomic<uint64_t> count{0};
};

struct LogState {
  std::mutex mutex;
  std::shared_ptr<const LogSink> sink;
  std::mutex ringMutex;
  Ring ring;
  std::atomic<int> minimum{static_cast<int>(LogLevel::Error) + 1};
  std::atomic<bool> ours{false};
};

LogState& state() {
  static LogState& instance = *std::make_unique<LogState>().release();  // outlives every thread
  return instance;
}

constexpr size_t maxErrorTail = 2000;
thread_local std::string errorLines;
thread_local int muted = 0;
thread_local uint64_t owner = 0;

constexpr std::array<const char*, 4> levelMarks{"debug", "info", "warn", "error"};

void remember(LogLevel level, const std::string& text) {
  LogState& log = state();
  const std::lock_guard lock(log.ringMutex);
  Ring& ring = log.ring;
  auto& line = ring.lines.at(ring.count.load(std::memory_order_relaxed) % Ring::kLines);
  // Cut where it is too long.
  std::snprintf(line.data(), Ring::kWidth, "  %s: %s", levelMarks.at(static_cast<size_t>(level)),
                text.c_str());
  ring.count.fetch_add(1, std::memory_order_release);
}

std::string formatLine(const char* format, va_list arguments) {
  va_list copy;
  va_copy(copy, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, copy);
  va_end(copy);
  if (length <= 0) return {};
  std::string text(static_cast<size_t>(length), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

void write(LogLevel level, const std::string& text) {
  if (level == LogLevel::Error && errorLines.size() < maxErrorTail) {
    if (!errorLines.empty()) errorLines += "; ";
    errorLines += text;
  }
  if (muted > 0) return;
  remember(level, text);
  if (static_cast<int>(level) < state().minimum.load(std::memory_order_relaxed)) return;
  std::shared_ptr<const LogSink> sink;
  {
    const std::lock_guard lock(state().mutex);
    sink = state().sink;
  }
  if (sink) (*sink)(level, text, owner);
}

}  // namespace

void setLogSink(LogLevel minimum, LogSink sink) {
  const std::lock_guard lock(state().mutex);
  state().ours = true;
  state().minimum = sink ? static_cast<int>(minimum) : static_cast<int>(LogLevel::Error) + 1;
  state().sink = sink ? std::make_shared<const LogSink>(std::move(sink)) : nullptr;
}

LogOwner::LogOwner(uint64_t job) : previous_(std::exchange(owner, job)) {}
LogOwner::~LogOwner() { owner = previous_; }

void writeToStderr(const char* text) {
  size_t left = std::strlen(text);
  while (left > 0) {
#if defined(_WIN32)
    const auto written = _write(2, text, static_cast<unsigned>(left));
#else
    const auto written = ::write(2, text, left);
#endif
    if (written <= 0) return;
    text += written;
    left -= static_cast<size_t>(written);
  }
}

void writeLastLines() {
  const Ring& ring = state().ring;
  const uint64_t count = ring.count.load(std::memory_order_acquire);
  if (count > 0) writeToStderr("node-diffusion: last lines of the engine's log:\n");
  for (uint64_t i = count - std::min<uint64_t>(count, Ring::kLines); i < count; ++i) {
    writeToStderr(ring.lines.at(i % Ring::kLines).data());
    writeToStderr("\n");
  }
}

MutedLog::MutedLog() { ++muted; }
MutedLog::~MutedLog() { --muted; }

std::string takeErrorLines() { return std::exchange(errorLines, {}); }

}  // namespace nd

// Takes the place of the engine's log_printf (engine_shim.h).
void nd_log_printf(sd_log_level_t level, const char* file, int line, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const std::string text = nd::formatLine(format, arguments);
  va_end(arguments);
  if (nd::state().ours.load(std::memory_order_relaxed)) {
    nd::write(static_cast<nd::LogLevel>(level), text);
  } else {  // sd-cli, which prints through the engine's own callback
    const std::lock_guard lock(nd::state().mutex);
    log_printf(level, file, line, "%s", text.c_str());
  }
}
