#include "read_ahead.h"

#include <algorithm>
#include <utility>

#include "compiler.h"
#include "disk_cache.h"
#include "ggml-impl.h"
#include "report.h"

namespace nd::openvino {
namespace {

namespace fs = std::filesystem;

struct Stopped {};

constexpr size_t kNetworks = 16;
// What a graph takes while it is read, in sizes of its file: the file itself and packed weights.
constexpr uint64_t kFactor = 3;
// Sizes may take turns in every evaluation.
constexpr std::chrono::seconds kBetweenWrites{10};

bool applies(const Settings& settings) { return !settings.model.empty() && !settings.diskCache.empty(); }

// The settings are part of every graph's key.
fs::path listOf(const Settings& settings) {
  Hasher hasher;
  hasher.value(makerOf(settings));
  const std::string key = settings.key();
  hasher.add(key.data(), key.size());
  return graphList(settings.diskCache, settings.model, hasher.finish());
}

std::string nameOf(const Settings& settings) {
  return settings.model + '\n' + settings.diskCache + '\n' + settings.key();
}

void writeList(const Settings& settings, const std::vector<Listed>& listed) {
  std::error_code ignored;
  fs::create_directories(settings.diskCache, ignored);
  if (!writeGraphList(listOf(settings), listed))
    GGML_LOG_INFO("openvino: which graphs a model used was not written to the disk cache\n");
}

// Largest first: it takes longest, and the smaller ones of the text encoders, which are asked for before it,
// are soon read by who asks.
std::vector<Id> fitting(const std::vector<Listed>& listed, const Settings& settings) {
  const Id maker = makerOf(settings);
  std::map<Id, uint64_t> sizes;
  for (const Listed& one : listed) {
    std::error_code error;
    const uint64_t bytes = fs::file_size(graphFile(one.graph, maker, settings), error);
    if (!error) sizes[one.graph] = bytes;
  }
  std::vector<std::pair<uint64_t, Id>> files;
  files.reserve(sizes.size());
  for (const auto& [key, bytes] : sizes) files.emplace_back(bytes, key);
  std::sort(files.rbegin(), files.rend());
  const uint64_t bound = settings.cacheBytes > 0 ? settings.cacheBytes : settings.aheadBytes;
  uint64_t left = std::min(bound, settings.aheadBytes) / kFactor;
  std::vector<Id> keys;
  for (const auto& [bytes, key] : files) {
    if (bytes > left) {
      GGML_LOG_INFO("openvino: a graph of %.1f MiB is not read ahead, which would take too much memory\n",
                    static_cast<double>(bytes) / (1024.0 * 1024.0));
      continue;
    }
    left -= bytes;
    keys.push_back(key);
  }
  return keys;
}

// For programs that end in other ways than Node, which stops the threads before.
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
  const auto found = models_.find(nameOf(settings));
  return found == models_.end() ? nullptr : found->second;
}

void ReadAhead::open(const Settings& settings) {
  if (!applies(settings)) return;
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Model>& model = models_[nameOf(settings)];
  if (!model) {
    model = std::make_shared<Model>();
    model->settings = settings;
  }
  ++model->backends;
}

void ReadAhead::close(const Settings& settings) noexcept {
  if (!applies(settings)) return;
  try {
    std::shared_ptr<Model> gone;
    {
      const std::lock_guard lock(mutex_);
      const std::shared_ptr<Model> model = find(settings);
      if (!model || --model->backends > 0) return;
      gone = model;
      models_.erase(nameOf(settings));
    }
    gone->thread = std::jthread();  // stops and joins
    if (gone->unwritten) writeList(settings, gone->listed);
  } catch (const std::exception& error) {
    GGML_LOG_WARN("openvino: %s\n", error.what());
  }
}

void ReadAhead::begin(const Settings& settings) noexcept {
  if (!applies(settings)) return;
  try {
    core();  // made before the next static object, so that it goes after it
    static const StopAtExit stopAtExit;
    const fs::path list = listOf(settings);
    std::vector<Listed> listed = readGraphList(list);
    const std::vector<Id> keys = fitting(listed, settings);
    std::error_code ignored;
    fs::last_write_time(list, fs::file_time_type::clock::now(), ignored);
    const std::lock_guard lock(mutex_);
    const std::shared_ptr<Model> model = find(settings);
    if (!model || model->begun) return;
    model->begun = true;
    model->listed = std::move(listed);
    if (keys.empty()) return;
    for (const Id& key : keys) model->readings.push_back({key, State::Waiting, nullptr});
    model->thread = std::jthread([this, model](const std::stop_token& stop) { read(stop, *model); });
  } catch (const std::exception& error) {
    GGML_LOG_WARN("openvino: nothing is read ahead: %s\n", error.what());
  }
}

// False when nothing is left to read.
bool ReadAhead::readNext(const std::stop_token& stop, Model& model) {
  std::unique_lock lock(mutex_);
  const auto next = std::find_if(model.readings.begin(), model.readings.end(),
                                 [](const Reading& one) { return one.state == State::Waiting; });
  if (next == model.readings.end() || stop.stop_requested()) return false;
  next->state = State::Reading;
  lock.unlock();
  std::shared_ptr<Program> program;
  try {
    const Running running;
    GGML_LOG_INFO("openvino: reading a graph ahead\n");
    program = importProgram(next->key, model.settings, false, [&] {
      if (stop.stop_requested()) throw Stopped();
    });
  } catch (const Stopped&) {
  } catch (const std::exception& error) {
    GGML_LOG_WARN("openvino: a graph was not read ahead: %s\n", error.what());
  }
  lock.lock();
  next->program = std::move(program);
  next->state = State::Done;
  lock.unlock();
  Report::instance().aheadEnded.fetch_add(1);
  changed_.notify_all();
  return true;
}

void ReadAhead::read(const std::stop_token& stop, Model& model) {
  while (readNext(stop, model)) continue;
  std::list<Reading> gone;  // freed outside the lock
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, std::chrono::seconds(model.settings.aheadSeconds),
                    [&] { return model.readings.empty(); });
  gone.swap(model.readings);
}

std::shared_ptr<Program> ReadAhead::take(const Settings& settings, const Id& key,
                                         const std::function<void()>& check) {
  if (!applies(settings)) return nullptr;
  std::list<Reading> taken;
  {
    std::unique_lock lock(mutex_);
    const std::shared_ptr<Model> model = find(settings);
    if (!model) return nullptr;
    for (;;) {
      const auto found = std::find_if(model->readings.begin(), model->readings.end(),
                                      [&](const Reading& one) { return one.key == key; });
      if (found == model->readings.end()) return nullptr;
      if (found->state != State::Reading) {
        taken.splice(taken.end(), model->readings, found);
        break;
      }
      changed_.wait_for(lock, std::chrono::milliseconds(20));
      lock.unlock();
      check();
      lock.lock();
    }
  }
  changed_.notify_all();
  std::shared_ptr<Program> program = std::move(taken.front().program);
  if (program) program->ahead = true;
  return program;
}

uint64_t ReadAhead::bytesOf(const Settings& settings) noexcept {
  if (!applies(settings)) return 0;
  try {
    const std::lock_guard lock(mutex_);
    const std::shared_ptr<Model> model = find(settings);
    uint64_t bytes = 0;
    for (const Reading& one : model ? model->readings : std::list<Reading>())
      bytes += one.program ? one.program->bytes : 0;
    return bytes;
  } catch (const std::exception& error) {
    GGML_LOG_WARN("openvino: %s\n", error.what());
    return 0;
  }
}

void ReadAhead::drop(const Settings& settings) noexcept {
  if (!applies(settings)) return;
  try {
    std::list<Reading> gone;  // freed outside the lock
    const std::lock_guard lock(mutex_);
    const std::shared_ptr<Model> model = find(settings);
    if (!model) return;
    for (auto at = model->readings.begin(); at != model->readings.end();) {
      const auto next = std::next(at);
      if (at->state != State::Reading) gone.splice(gone.end(), model->readings, at);
      at = next;
    }
    if (!gone.empty()) GGML_LOG_INFO("openvino: what was read ahead goes: its memory is needed\n");
  } catch (const std::exception& error) {
    GGML_LOG_WARN("openvino: %s\n", error.what());
  }
  changed_.notify_all();
}

void ReadAhead::used(const Settings& settings, const Graph& graph, const Id& key) noexcept {
  if (!applies(settings)) return;
  try {
    const Id network = graph.network();
    std::vector<Listed> listed;
    {
      const std::lock_guard lock(mutex_);
      const std::shared_ptr<Model> model = find(settings);
      if (!model) return;
      const auto found = std::find_if(model->listed.begin(), model->listed.end(),
                                      [&](const Listed& one) { return one.network == network; });
      const bool fresh = found == model->listed.end();
      if (fresh && model->listed.size() >= kNetworks) model->listed.erase(model->listed.begin());
      if (fresh) model->listed.push_back({network, key});
      if (!fresh && found->graph != key) {
        found->graph = key;
        model->unwritten = true;
      }
      const auto now = Clock::now();
      if (!fresh && (!model->unwritten || now - model->written < kBetweenWrites)) return;
      model->unwritten = false;
      model->written = now;
      listed = model->listed;
    }
    writeList(settings, listed);
  } catch (const std::exception& error) {
    GGML_LOG_WARN("openvino: %s\n", error.what());
  }
}

void ReadAhead::stop() noexcept {
  try {
    std::vector<std::pair<Settings, std::vector<Listed>>> lists;
    std::list<std::jthread> threads;  // joined outside the lock, after all were told
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [name, model] : models_) {
        model->thread.request_stop();
        threads.push_back(std::move(model->thread));
        if (std::exchange(model->unwritten, false)) lists.emplace_back(model->settings, model->listed);
      }
    }
    threads.clear();
    for (const auto& [settings, listed] : lists) writeList(settings, listed);
  } catch (const std::exception& error) {
    GGML_LOG_WARN("openvino: %s\n", error.what());
  }
}

}  // namespace nd::openvino
