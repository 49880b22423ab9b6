// One piece of work and the thread it runs on.
// Owner: whoever started the job. `cancel()` and `cancelled()` may be called on any thread; the two `on…`
// functions are called on the job's native thread only, and not after the operation that was given the job
// has returned.
#pragma once

#include <atomic>

#include "types.h"

namespace nd {

class Job {
 public:
  Job() = default;
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  Job(Job&&) = delete;
  Job& operator=(Job&&) = delete;

  virtual void onProgress(const Progress& progress) = 0;
  virtual void onPreview(int step, Image image) = 0;
  virtual void onCompilation(const Compilation& /*compilation*/) {}

  // Different for every job of the process, never 0.
  uint64_t id() const noexcept { return id_; }

  // The engine has done something for this job; any thread. Whoever watches for a job that hangs looks at the
  // count.
  void touch() noexcept { activity_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t activity() const noexcept { return activity_.load(std::memory_order_relaxed); }

  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
  void throwIfCancelled() const {
    if (cancelled()) throw EngineError(ErrorCode::Aborted, "The job was cancelled.");
  }

 private:
  static uint64_t nextId() noexcept {
    static std::atomic<uint64_t> last{0};
    return ++last;
  }

  const uint64_t id_ = nextId();
  std::atomic<bool> cancelled_{false};
  std::atomic<uint64_t> activity_{0};
};

}  // namespace nd
