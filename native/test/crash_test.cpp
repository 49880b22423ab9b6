// What a process leaves on standard error when the engine takes it down, seen from the process that started
// it.
#include "crash.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "ggml.h"
#include "log.h"
#include "stable-diffusion.h"

void nd_log_printf(sd_log_level_t level, const char* file, int line, const char* format, ...);

namespace {

struct End {
  int signal = 0;
  std::string text;

  bool says(const std::string& part) const { return text.find(part) != std::string::npos; }
  size_t count(const std::string& part) const {
    size_t found = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  }
};

// Runs `work` in a process of its own.
End endOf(const std::function<void()>& work) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    work();
    _exit(0);
  }
  close(ends[1]);
  End end;
  std::array<char, 4096> part{};
  for (ssize_t length = 0; (length = read(ends[0], part.data(), part.size())) > 0;) {
    end.text.append(part.data(), static_cast<size_t>(length));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

void logLines(int count) {
  for (int i = 0; i < count; ++i) nd_log_printf(SD_LOG_DEBUG, __FILE__, __LINE__, "line %d.", i);
}

void assertsAreTold() {
  const End end = endOf([] {
    nd::setLogSink(nd::LogLevel::Error, {});  // nobody listens
    nd::reportAborts();
    logLines(500);
    nd_log_printf(SD_LOG_INFO, __FILE__, __LINE__, "%s", std::string(5000, 'x').c_str());
    const int tensors = 3;
    GGML_ASSERT(tensors == 4);
  });
  CHECK(end.signal == SIGABRT);
  CHECK(end.says("node-diffusion: the engine stopped: "));
  CHECK(end.says("GGML_ASSERT(tensors == 4) failed"));
  CHECK(end.says("debug: line 499."));
  CHECK(end.says("info: xxx"));
  CHECK(!end.says("debug: line 100."));  // the last ones only
  CHECK(end.text.size() < 16384);        // a pipe takes it whole while nobody reads
}

void faultsAreTold(int signal, const std::string& name) {
  const End end = endOf([signal] {
    nd::setLogSink(nd::LogLevel::Error, {});
    nd::guardEngineProcess();
    logLines(3);
    raise(signal);
  });
  CHECK(end.signal == signal);
  CHECK(end.says(name));
  CHECK(end.says("debug: line 2."));
}

void realFaultsAreToldOnce() {
  const End end = endOf([] {
    nd::setLogSink(nd::LogLevel::Error, {});
    nd::reportAborts();
    nd::guardEngineProcess();
    logLines(1);
    volatile int* nowhere = nullptr;
    *nowhere = 1;  // NOLINT: on purpose
  });
  CHECK(end.signal == SIGSEGV);
  CHECK(end.count("the engine stopped") == 1);
}

void assertsAreToldOnce() {
  const End end = endOf([] {
    nd::setLogSink(nd::LogLevel::Error, {});
    nd::reportAborts();
    nd::guardEngineProcess();
    GGML_ABORT("fell over %d", 7);
  });
  CHECK(end.signal == SIGABRT);
  CHECK(end.says("fell over 7"));
  CHECK(end.count("the engine stopped") == 1);
}

void logLinesKnowTheirJob() {
  std::string seen;
  nd::setLogSink(nd::LogLevel::Info, [&](nd::LogLevel, const std::string& text, uint64_t job) {
    seen += text + std::to_string(job) + " ";
  });
  {
    const nd::LogOwner outer(5);
    nd_log_printf(SD_LOG_INFO, __FILE__, __LINE__, "a");
    {
      const nd::LogOwner inner(6);
      nd_log_printf(SD_LOG_INFO, __FILE__, __LINE__, "b");
    }
    nd_log_printf(SD_LOG_INFO, __FILE__, __LINE__, "c");
  }
  nd_log_printf(SD_LOG_INFO, __FILE__, __LINE__, "d");
  nd::setLogSink(nd::LogLevel::Info, {});
  CHECK(seen == "a5 b6 c5 d0 ");
}

}  // namespace

int main() {
  logLinesKnowTheirJob();
  assertsAreTold();
  faultsAreTold(SIGSEGV, "SIGSEGV");
  faultsAreTold(SIGFPE, "SIGFPE");
  faultsAreTold(SIGABRT, "SIGABRT");
  realFaultsAreToldOnce();
  assertsAreToldOnce();
  return nd::test::report();
}
