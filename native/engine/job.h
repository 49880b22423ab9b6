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

  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
  void throwIfCancelled() const {
    if (cancelled()) throw EngineError(ErrorCode::Aborted, "The job was cancelled.");
  }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace nd
