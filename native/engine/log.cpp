#include "log.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include "stable-diffusion.h"

// The engine's own function, in its util.cpp.
void log_printf(sd_log_level_t level, const char* file, int line, const char* format, ...);

namespace nd {
namespace {

using Sink = std::function<void(LogLevel, const std::string&)>;

struct LogState {
  std::mutex mutex;
  std::shared_ptr<const Sink> sink;
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
  if (static_cast<int>(level) < state().minimum.load(std::memory_order_relaxed)) return;
  std::shared_ptr<const Sink> sink;
  {
    const std::lock_guard lock(state().mutex);
    sink = state().sink;
  }
  if (sink) (*sink)(level, text);
}

}  // namespace

void setLogSink(LogLevel minimum, std::function<void(LogLevel, const std::string&)> sink) {
  const std::lock_guard lock(state().mutex);
  state().ours = true;
  state().minimum = sink ? static_cast<int>(minimum) : static_cast<int>(LogLevel::Error) + 1;
  state().sink = sink ? std::make_shared<const Sink>(std::move(sink)) : nullptr;
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
