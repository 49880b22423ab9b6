#include "read_ahead.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <utility>

#include "disk_cache.h"
#include "ggml-impl.h"
#include "graph_list.h"
#include "report.h"

namespace nd::openvino {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNetworks = 16;
// What a graph takes while it is read, in sizes of its file: the file itself and packed weights.
constexpr uint64_t kFactor = 3;

uint64_t availableBytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string name; file >> name;) {
    uint64_t kilobytes = 0;
    if (name == "MemAvailable:" && file >> kilobytes) return kilobytes << 10;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::numeric_limits<uint64_t>::max();
}

bool applies(const Settings& settings) { return !settings.model.empty() && !settings.diskCache.empty(); }

fs::path listOf(const Settings& settings) {
  return graphList(settings.diskCache, settings.model, makerOf(settings));
}

// Threads have ended before OpenVINO's own static objects go: this is made after them.
struct StopAtExit {
  ~StopAtExit() { ReadAhead::instance().stop(); }
};

}  // namespace

ReadAhead& ReadAhead::instance() {
  // Never destroyed, as the cache of programs.
  static ReadAhead& ahead = *std::make_unique<ReadAhead>().release();
  return ahead;
}

std::shared_ptr<ReadAhead::Model> ReadAhead::find(const Settings& settings) {
  const auto found = models_.find(settings.model);
  return found == models_.end() ? nullptr : found->second;
}

void ReadAhead::open(const Settings& settings) {
  if (!applies(settings)) return;
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Model>& model = models_[settings.model];
  if (!model) model = std::make_shared<Model>();
  ++model->backends;
}

void ReadAhead::close(const Settings& settings) noexcept {
  if (!applies(settings)) return;
  std::shared_ptr<Model> gone;
  {
    const std::lock_guard lock(mutex_);
    const std::shared_ptr<Model> model = find(settings);
    if (!model || --model->backends > 0) return;
    gone = model;
    models_.erase(settings.model);
  }
  gone->thread = std::jthread();  // stops and joins
}

void ReadAhead::begin(const Settings& settings) noexcept {
  if (!applies(settings)) return;
  try {
    const Id maker = makerOf(settings);
    static const StopAtExit stopAtExit;
    const fs::path list = listOf(settings);
    const std::vector<Id> keys = readGraphList(list);
    std::list<Reading> readings;
    const uint64_t bound = settings.cacheBytes > 0 ? settings.cacheBytes : availableBytes();
    uint64_t left = std::min(bound, availableBytes() / 4) / kFactor;
    for (const Id& key : keys) {
      std::error_code error;
      const uint64_t bytes = fs::file_size(graphFile(key, maker, settings), error);
      if (error || bytes > left) continue;
      left -= bytes;
      readings.push_back({key, State::Waiting, nullptr});
    }
    std::error_code ignored;
    fs::last_write_time(list, fs::file_time_type::clock::now(), ignored);
    const std::lock_guard lock(mutex_);
    const std::shared_ptr<Model> model = find(settings);
    if (!model || !model->listed.empty()) return;
    model->listed = keys;
    if (readings.empty()) return;
    model->readings = std::move(readings);
    model->thread = std::jthread([this, model = std::weak_ptr(model), settings](const std::stop_token& stop) {
      if (const auto held = model.lock()) read(stop, held, settings);
    });
  } catch (const std::exception& error) {
    GGML_LOG_WARN("openvino: nothing is read ahead: %s\n", error.what());
  }
}

void ReadAhead::read(const std::stop_token& stop, const std::shared_ptr<Model>& model,
                     const Settings& settings) {
  for (;;) {
    std::unique_lock lock(mutex_);
    const auto next = std::find_if(model->readings.begin(), model->readings.end(),
                                   [](const Reading& one) { return one.state == State::Waiting; });
    if (next == model->readings.end() || stop.stop_requested()) return;
    next->state = State::Reading;
    lock.unlock();
    std::shared_ptr<Program> program;
    try {
      const Running running;
      program = importProgram(next->key, settings, false);
    } catch (const std::exception& error) {
      GGML_LOG_WARN("openvino: a graph was not read ahead: %s\n", error.what());
    }
    lock.lock();
    next->program = std::move(program);
    next->state = State::Done;
    lock.unlock();
    changed_.notify_all();
  }
}

std::list<ReadAhead::Reading> ReadAhead::dropStale(Model& model, std::chrono::seconds after) {
  std::list<Reading> gone;
  const auto now = std::chrono::steady_clock::now();
  if (model.asked == std::chrono::steady_clock::time_point()) model.asked = now;
  if (now - model.asked < after) return gone;
  for (auto at = model.readings.begin(); at != model.readings.end();) {
    const auto next = std::next(at);
    if (at->state != State::Reading) gone.splice(gone.end(), model.readings, at);
    at = next;
  }
  return gone;
}

std::shared_ptr<Program> ReadAhead::take(const Settings& settings, const Id& key,
                                         const std::function<void()>& check) {
  if (!applies(settings)) return nullptr;
  const std::chrono::seconds after(settings.aheadSeconds);
  std::list<Reading> gone;  // freed outside the lock
  std::unique_lock lock(mutex_);
  const std::shared_ptr<Model> model = find(settings);
  if (!model) return nullptr;
  const auto found = std::find_if(model->readings.begin(), model->readings.end(),
                                  [&](const Reading& one) { return one.key == key; });
  if (found == model->readings.end()) {
    gone = dropStale(*model, after);
    lock.unlock();
    return nullptr;
  }
  // One thread at a time takes (the cache's), and the other leaves what it reads in its place.
  while (found->state == State::Reading) {
    changed_.wait_for(lock, std::chrono::milliseconds(20));
    lock.unlock();
    check();
    lock.lock();
  }
  gone.splice(gone.end(), model->readings, found);
  const std::shared_ptr<Program> program = std::move(gone.front().program);
  gone.splice(gone.end(), dropStale(*model, after));
  lock.unlock();
  if (!program) return nullptr;
  Report::instance().readAhead.fetch_add(1);
  program->ahead = true;
  return program;
}

void ReadAhead::used(const Settings& settings, const Id& network, const Id& key) {
  if (!applies(settings)) return;
  std::vector<Id> keys;
  {
    const std::lock_guard lock(mutex_);
    const std::shared_ptr<Model> model = find(settings);
    if (!model) return;
    auto& networks = model->networks;
    const auto found =
        std::find_if(networks.begin(), networks.end(), [&](const auto& one) { return one.first == network; });
    if (found == networks.end() && networks.size() == kNetworks) return;
    if (found == networks.end())
      networks.emplace_back(network, key);
    else if (found->second == key)
      return;
    else
      found->second = key;
    for (const auto& [ignored, graph] : networks)
      if (std::find(keys.begin(), keys.end(), graph) == keys.end()) keys.push_back(graph);
    std::vector<Id>& listed = model->listed;
    if (keys.size() <= listed.size() && std::equal(keys.begin(), keys.end(), listed.begin())) return;
    listed = keys;
  }
  std::error_code ignored;
  fs::create_directories(settings.diskCache, ignored);
  if (!writeGraphList(listOf(settings), keys))
    GGML_LOG_WARN("openvino: which graphs a model used was not written to the disk cache\n");
}

void ReadAhead::stop() noexcept {
  std::vector<std::jthread> threads;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, model] : models_) threads.push_back(std::move(model->thread));
  }
}

}  // namespace nd::openvino
