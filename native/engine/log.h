// Log lines of the engine. The sink is process-wide (part of the runtime, see runtime.h); lines are formatted
// on the calling thread in memory of its own, so any number of models may log at once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace nd {

enum class LogLevel { Debug, Info, Warn, Error };

// Gets the level, the line without its line break, and the id of the job (job.h) that this thread works on, 0
// for none.
using LogSink = std::function<void(LogLevel, const std::string&, uint64_t)>;

// `sink` may be called on any thread, also on the engine's reader threads. An empty function turns logging
// off.
void setLogSink(LogLevel minimum, LogSink sink);

// Lines of this thread belong to the job while it lives.
class LogOwner {
 public:
  explicit LogOwner(uint64_t job);
  ~LogOwner();
  LogOwner(const LogOwner&) = delete;
  LogOwner& operator=(const LogOwner&) = delete;

 private:
  uint64_t previous_;
};

// The last lines of all levels, whoever listens, to descriptor 2. Takes no lock and no memory: for a process
// that is about to die, from a signal handler too. A line that is being written at that moment may be torn.
void writeLastLines();
void writeToStderr(const char* text);

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
