#include "cache.h"

#include <algorithm>
#include <chrono>

#include "disk_cache.h"
#include "ggml-impl.h"
#include "report.h"

#if defined(__linux__)
#include <unistd.h>
#endif

namespace nd::openvino {
namespace {

uint64_t defaultBound() {
#if defined(__linux__)
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 2;
#else
  return uint64_t{8} << 30;
#endif
}

Id structureOf(const Graph& graph, const Settings& settings) {
  Hasher hasher;
  hasher.value(graph.signature());
  const std::string key = settings.key();
  hasher.add(key.data(), key.size());
  return hasher.finish();
}

Id contentOf(const ggml_tensor* weight) {
  const ggml_tensor* root = rootOf(weight);
  const auto block = blockOf(root->buffer);
  // A tensor that shows kept bytes lies elsewhere.
  if (block && block->holds(weight->data, ggml_nbytes(weight)))
    return block->content(weight->data, ggml_nbytes(weight));
  Hasher hasher;  // memory of somebody else's, which may change unseen
  hasher.add(weight->data, ggml_nbytes(weight));
  return hasher.finish();
}

Id keyOf(const Id& structure, const Graph& graph) {
  Hasher hasher;
  hasher.value(structure);
  for (const ggml_tensor* weight : graph.weights()) hasher.value(contentOf(weight));
  return hasher.finish();
}

// Of a program with weights among its inputs, whose content is then no part of it.
Id adaptiveKeyOf(const Id& structure, const Graph& graph) {
  Hasher hasher;
  hasher.value(structure);
  for (const ggml_tensor* weight : graph.weights()) {
    const bool input = graph.canBeInput(weight);
    hasher.value(input);
    if (!input) hasher.value(contentOf(weight));
  }
  return hasher.finish();
}

// In other precisions and on other devices OpenVINO would convert or copy such weights in every evaluation.
bool canAdapt(const Graph& graph, const Settings& settings) {
  if (settings.device != "CPU" || settings.precision != "f32") return false;
  return std::any_of(graph.weights().begin(), graph.weights().end(),
                     [&](const ggml_tensor* weight) { return graph.canBeInput(weight); });
}

bool unchanged(const Program& program) {
  for (size_t i = 0; i < program.shared.size(); ++i) {
    const SharedWeight& weight = program.shared[i];
    if (weight.block->content(weight.data, weight.bytes) != program.sharedContent[i]) return false;
  }
  return true;
}

void logMade(const char* how, const Graph& graph, const Program& program, const Compilation& made) {
  GGML_LOG_INFO("openvino: %s %d nodes in %.0f ms, %.1f MiB: %s\n", how, graph.nodes(), made.ms,
                static_cast<double>(made.bytes) / (1024.0 * 1024.0), made.reason);
  if (program.uncovered == 0) return;
  GGML_LOG_WARN("openvino: %d of %d nodes are left to the CPU backend\n", program.uncovered,
                program.uncovered + program.covered);
  for (const auto& [why, nodes] : program.reasons) GGML_LOG_WARN("openvino: %d x %s\n", nodes, why.c_str());
}

}  // namespace

ProgramCache& ProgramCache::instance() {
  // Never destroyed: OpenVINO's own threads and libraries may be gone when the process's static objects are.
  static ProgramCache& cache = *std::make_unique<ProgramCache>().release();
  return cache;
}

std::shared_ptr<Program> ProgramCache::find(const Id& key) {
  const std::lock_guard lock(mutex_);
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (at->key != key) continue;
    if (!unchanged(*at->program)) {
      entries_.erase(at);
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, at);
    return entries_.front().program;
  }
  return nullptr;
}

const char* ProgramCache::reasonFor(const Id& key, const Id& structure) const {
  const std::lock_guard lock(mutex_);
  if (keys_.count(key) != 0) return "it had left the cache";
  return structures_.count(structure) != 0 ? "weights changed" : "new size or network";
}

uint64_t ProgramCache::total() const {
  uint64_t bytes = 0;
  for (const Entry& entry : entries_) bytes += entry.program->bytes;
  return bytes;
}

void ProgramCache::keep(Entry entry, uint64_t bound) {
  const std::lock_guard lock(mutex_);
  entries_.push_front(std::move(entry));
  while (entries_.size() > 1 && total() > bound) {
    entries_.pop_back();
    Report::instance().evictions.fetch_add(1);
  }
}

std::shared_ptr<Program> ProgramCache::get(const Graph& graph, const Settings& settings,
                                           const Watcher& watcher) {
  const Id structure = structureOf(graph, settings);
  const Id key = keyOf(structure, graph);
  const bool adapts = canAdapt(graph, settings);
  const Id adaptiveKey = adapts ? adaptiveKeyOf(structure, graph) : key;
  const auto known = [&] {
    std::shared_ptr<Program> program = find(key);
    return program || !adapts ? program : find(adaptiveKey);
  };
  if (auto program = known()) {
    Report::instance().hits.fetch_add(1);
    return program;
  }
  std::unique_lock one(compiling_, std::defer_lock);
  while (!one.try_lock_for(std::chrono::milliseconds(20))) watcher.check();
  if (auto program = known()) return program;
  watcher.check();
  Compilation made{reasonFor(key, structure), graph.nodes(), 0, 0};
  // Where nothing but factors of products has changed it was a LoRA, and another will follow.
  const bool adaptive = adapts && (settings.weightInputs || isVariation(key, adaptiveKey));
  const std::shared_ptr<Program> program =
      make(adaptive ? adaptiveKey : key, graph, settings, adaptive, made);
  remember(key, structure, adaptiveKey);
  keep({adaptive ? adaptiveKey : key, program},
       settings.cacheBytes > 0 ? settings.cacheBytes : defaultBound());
  if (watcher.compiled) watcher.compiled(made);
  watcher.check();
  return program;
}

bool ProgramCache::isVariation(const Id& key, const Id& adaptiveKey) const {
  const std::lock_guard lock(mutex_);
  return keys_.count(key) == 0 && bases_.count(adaptiveKey) != 0;
}

void ProgramCache::remember(const Id& key, const Id& structure, const Id& adaptiveKey) {
  const std::lock_guard lock(mutex_);
  constexpr size_t remembered = 10'000;
  if (keys_.size() > remembered) keys_.clear();
  if (structures_.size() > remembered) structures_.clear();
  if (bases_.size() > remembered) bases_.clear();
  keys_.insert(key);
  structures_.insert(structure);
  bases_.insert(adaptiveKey);
}

// Read from the disk, or compiled and written there.
std::shared_ptr<Program> ProgramCache::make(const Id& key, const Graph& graph, const Settings& settings,
                                            bool adaptive, Compilation& made) {
  const auto start = std::chrono::steady_clock::now();
  const auto measure = [&](const Program& program) {
    made.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    made.bytes = program.bytes;
  };
  if (auto program = readProgram(key, graph, settings)) {
    made.reason = "it was in the disk cache";
    measure(*program);
    logMade("read", graph, *program, made);
    return program;
  }
  GGML_LOG_INFO("openvino: compiling %d nodes: %s\n", made.nodes, made.reason);
  std::shared_ptr<Program> program = compile(graph, settings, adaptive);
  measure(*program);
  Report::instance().compiled(made.ms, made.reason);
  logMade("compiled", graph, *program, made);
  writeProgram(key, *program, settings);
  return program;
}

void ProgramCache::forget(const Block* block) {
  std::list<Entry> gone;  // freed outside the lock
  const std::lock_guard lock(mutex_);
  for (auto at = entries_.begin(); at != entries_.end();) {
    const bool reads = at->program->blocks.count(block) != 0;
    const auto next = std::next(at);
    if (reads) gone.splice(gone.begin(), entries_, at);
    at = next;
  }
}

uint64_t ProgramCache::bytesOf(Block& block) const {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = block.unpackedBytes();
  for (const Entry& entry : entries_)
    if (entry.program->blocks.count(&block) != 0) bytes += entry.program->bytes;
  return bytes;
}

void ProgramCache::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

}  // namespace nd::openvino
