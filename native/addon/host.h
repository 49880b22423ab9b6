// What a loaded model, an upscaler or a single inspection runs on: one native thread and the jobs that were
// given to it. Owner: shared by the JavaScript wrap object and the JavaScript side of each running job. Also
// known, weakly, to a process-wide list, because a process can end without freeing its environments
// (process.exit), and threads must be stopped before static objects of ggml are destroyed. Threads:
// everything is called on the environment's JS thread, `shutdown` also while the process exits.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "job.h"
#include "worker.h"

namespace nd::addon {

class Host {
 public:
  Host() = default;
  virtual ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // False after stop or shutdown. The task must keep `job` alive and must not keep the host alive.
  bool post(const std::shared_ptr<Job>& job, std::function<void()> task);
  // Ends the idle thread; waits for what runs.
  void stop() { worker_.stop(); }
  bool stopped() { return worker_.stopped(); }
  // Cancels every job, then stops.
  void shutdown();

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<Job>> jobs_;
  Worker worker_;
};

// Adds the host to the process-wide list. `environment` names the owner for shutdownHosts.
void registerHost(const std::shared_ptr<Host>& host, const void* environment);
// Shuts down the hosts of one environment, or of all (nullptr).
// False where there were none.
bool shutdownHosts(const void* environment);

}  // namespace nd::addon
