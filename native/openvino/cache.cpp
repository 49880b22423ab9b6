#include "cache.h"

#include <chrono>

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
  if (const auto block = blockOf(root->buffer)) return block->content(weight->data, ggml_nbytes(weight));
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

bool unchanged(const Program& program) {
  for (size_t i = 0; i < program.shared.size(); ++i) {
    const SharedWeight& weight = program.shared[i];
    if (weight.block->content(weight.data, weight.bytes) != program.sharedContent[i]) return false;
  }
  return true;
}

void logCompilation(const Graph& graph, const Program& program, const char* reason, double ms) {
  GGML_LOG_INFO("openvino: compiled %d nodes in %.0f ms, %.1f MiB: %s\n", graph.nodes(), ms,
                static_cast<double>(program.bytes) / (1024.0 * 1024.0), reason);
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

void ProgramCache::keep(const Id& key, const std::shared_ptr<Program>& program, uint64_t bound) {
  const std::lock_guard lock(mutex_);
  entries_.push_front({key, program});
  constexpr size_t remembered = 10'000;
  if (keys_.size() > remembered) keys_.clear();
  if (structures_.size() > remembered) structures_.clear();
  keys_.insert(key);
  while (entries_.size() > 1 && total() > bound) {
    entries_.pop_back();
    Report::instance().evictions.fetch_add(1);
  }
}

std::shared_ptr<Program> ProgramCache::get(const Graph& graph, const Settings& settings) {
  const Id structure = structureOf(graph, settings);
  const Id key = keyOf(structure, graph);
  if (auto known = find(key)) {
    Report::instance().hits.fetch_add(1);
    return known;
  }
  const std::lock_guard one(compiling_);
  if (auto known = find(key)) return known;
  const char* reason = reasonFor(key, structure);
  const auto start = std::chrono::steady_clock::now();
  const std::shared_ptr<Program> program = compile(graph, settings);
  const double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  {
    const std::lock_guard lock(mutex_);
    structures_.insert(structure);
  }
  keep(key, program, settings.cacheBytes > 0 ? settings.cacheBytes : defaultBound());
  Report::instance().compiled(ms, reason);
  logCompilation(graph, *program, reason, ms);
  return program;
}

void ProgramCache::forget(const Block* block) {
  std::list<Entry> gone;  // freed outside the lock
  const std::lock_guard lock(mutex_);
  for (auto at = entries_.begin(); at != entries_.end();) {
    bool reads = false;
    for (const SharedWeight& weight : at->program->shared) reads = reads || weight.block.get() == block;
    const auto next = std::next(at);
    if (reads) gone.splice(gone.begin(), entries_, at);
    at = next;
  }
}

void ProgramCache::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

}  // namespace nd::openvino
