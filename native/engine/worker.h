// The native thread and queue of one loaded model (design decision 7). Tasks run in the order they were
// posted. Owner: the addon's wrap object and, while the process ends, the environment's cleanup hook. `post`
// and `stop` may be called on any thread but the worker's own; `stop` runs what is queued (tasks look at
// their job's cancel flag), then joins. The destructor stops.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace nd {

class Worker {
 public:
  Worker();
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // False once stop() was called: the task will not run.
  bool post(std::function<void()> task);
  void stop();
  bool stopped();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::once_flag joined_;
  std::thread thread_;  // last: starts when everything above is ready
};

}  // namespace nd
