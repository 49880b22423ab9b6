// Figures of the process for tests, doctor and benchmarks, reached through ggml's get_proc_address.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace nd::openvino {

struct Report {
  static Report& instance();
  void compiled(double ms, const char* reason);
  // A JSON object of the figures below.
  std::string json();

  // Not in the object: graphs that are made or computed now, and that ever were.
  std::atomic<int> running{0};
  std::atomic<uint64_t> begun{0};
  std::atomic<uint64_t> hits{0};
  std::atomic<uint64_t> evictions{0};
  std::atomic<uint64_t> diskHits{0};
  std::atomic<uint64_t> readAhead{0};   // of these, what a thread had read or was reading
  std::atomic<uint64_t> aheadEnded{0};  // readings of such threads, whatever came of them
  std::atomic<uint64_t> diskWrites{0};
  std::atomic<uint64_t> diskFailures{0};
  std::atomic<uint64_t> runs{0};
  std::atomic<uint64_t> coveredNodes{0};    // computed by OpenVINO, over all runs
  std::atomic<uint64_t> uncoveredNodes{0};  // computed by ggml's CPU backend

 private:
  std::mutex mutex_;
  uint64_t compilations_ = 0;
  double compileMs_ = 0;
  std::string lastReason_;
};

// Counts the graphs of all jobs that are made or computed now, while it lives.
class Running {
 public:
  Running() {
    Report::instance().begun.fetch_add(1);
    Report::instance().running.fetch_add(1);
  }
  ~Running() { Report::instance().running.fetch_sub(1); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
};

// Version, devices and their precisions, as JSON.
std::string describeRuntime();

}  // namespace nd::openvino
