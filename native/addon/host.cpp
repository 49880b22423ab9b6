#include "host.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace nd::addon {
namespace {

struct HostList {
  std::mutex mutex;
  std::vector<std::pair<std::weak_ptr<Host>, const void*>> hosts;
  std::once_flag exitHandler;
};

HostList& list() {
  static HostList& instance = *std::make_unique<HostList>().release();  // outlives every thread
  return instance;
}

}  // namespace

Host::~Host() { shutdown(); }

bool Host::post(const std::shared_ptr<Job>& job, std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(jobs_, [](const auto& known) { return known.expired(); });
    jobs_.push_back(job);
  }
  return worker_.post(std::move(task));
}

void Host::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& known : jobs_) {
      if (const auto job = known.lock()) job->cancel();
    }
  }
  worker_.stop();
}

void registerHost(const std::shared_ptr<Host>& host, const void* environment) {
  HostList& all = list();
  // Registered after ggml's own static objects were made (backends are loaded before models), so it runs
  // before theirs go.
  std::call_once(all.exitHandler, [] { std::atexit([] { static_cast<void>(shutdownHosts(nullptr)); }); });
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.hosts, [](const auto& known) { return known.first.expired(); });
  all.hosts.emplace_back(host, environment);
}

bool shutdownHosts(const void* environment) {
  std::vector<std::shared_ptr<Host>> hosts;
  {
    HostList& all = list();
    const std::lock_guard lock(all.mutex);
    for (const auto& [known, owner] : all.hosts) {
      if (environment != nullptr && owner != environment) continue;
      if (auto host = known.lock()) hosts.push_back(std::move(host));
    }
  }
  for (const auto& host : hosts) host->shutdown();
  return !hosts.empty();
}

}  // namespace nd::addon
