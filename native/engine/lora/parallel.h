// Work in equal pieces on a few threads, the calling one among them.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace nd::lora {

// Calls work(i) for 0 <= i < count, in order of i but on several threads, until one throws; that is thrown
// on. The calling thread calls `between` after each of its own pieces.
inline void parallel(size_t count, int threads, const std::function<void(size_t)>& work,
                     const std::function<void()>& between) {
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  std::mutex mutex;
  const auto run = [&](bool caller) {
    try {
      for (size_t i = next.fetch_add(1); i < count && !failed.load(); i = next.fetch_add(1)) {
        work(i);
        if (caller) between();
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!failed.exchange(true)) error = std::current_exception();
    }
  };
  std::vector<std::thread> helpers;
  const size_t wanted = std::min<size_t>(count, static_cast<size_t>(std::max(1, threads)));
  for (size_t i = 1; i < wanted; ++i) {
    try {
      helpers.emplace_back(run, false);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: fewer do the work
    }
  }
  run(true);
  for (std::thread& helper : helpers) helper.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace nd::lora
