// Log lines of the engine. The sink is process-wide (part of the runtime, see runtime.h); lines are formatted
// on the calling thread in memory of its own, so any number of models may log at once.
#pragma once

#include <functional>
#include <string>

namespace nd {

enum class LogLevel { Debug, Info, Warn, Error };

// `sink` may be called on any thread, also on the engine's reader threads. An empty function turns logging
// off.
void setLogSink(LogLevel minimum, std::function<void(LogLevel, const std::string&)> sink);

// While it lives, lines of this thread go nowhere but into takeErrorLines().
class MutedLog {
 public:
  MutedLog();
  ~MutedLog();
  MutedLog(const MutedLog&) = delete;
  MutedLog& operator=(const MutedLog&) = delete;
};

// Error lines that this thread's engine calls wrote since the last call; used to say why the engine failed.
std::string takeErrorLines();

}  // namespace nd
