#include "cache.h"

#include <algorithm>
#include <chrono>

#include "disk_cache.h"
#include "estimate.h"
#include "ggml-impl.h"
#include "read_ahead.h"
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

Id contentOf(const ggml_tensor* weight) {
  if (const auto block = blockThatHolds(weight)) return block->content(weight->data, ggml_nbytes(weight));
  Hasher hasher;  // memory of somebody else's, which may change unseen
  hasher.add(weight->data, ggml_nbytes(weight));
  return hasher.finish();
}

uint64_t unpackedBytes(const Graph& graph) {
  std::set<std::shared_ptr<Block>> blocks;
  for (const ggml_tensor* weight : graph.weights()) blocks.insert(blockOf(rootOf(weight)->buffer));
  uint64_t bytes = 0;
  for (const auto& block : blocks) bytes += block ? block->unpackedBytes() : 0;
  return bytes;
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

ProgramCache::ProgramCache()
    : lastNumber_(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                            std::chrono::system_clock::now().time_since_epoch())
                                            .count())) {}

ProgramCache& ProgramCache::instance() {
  // Never destroyed: OpenVINO's own threads and libraries may be gone when the process's static objects are.
  static ProgramCache& cache = *std::make_unique<ProgramCache>().release();
  return cache;
}

ProgramCache::Keys ProgramCache::keysOf(const Graph& graph, const Settings& settings) {
  Keys keys;
  Hasher hasher;
  hasher.value(graph.signature());
  const std::string key = settings.key();
  hasher.add(key.data(), key.size());
  keys.structure = hasher.finish();
  // In other precisions and on other devices OpenVINO would convert or copy such weights in every evaluation.
  const bool adapts = settings.device == "CPU" && settings.precision == "f32";
  keys.owner = ownerOfWeights(graph);
  Hasher exact = hasher;
  Hasher adaptive = hasher;
  Hasher exactMemory;
  Hasher adaptiveMemory;
  Hasher factors;
  Hasher places;
  for (const ggml_tensor* weight : graph.weights()) {
    const Id content = contentOf(weight);
    const Block* block = blockThatHolds(weight).get();
    const void* memory = block == nullptr ? nullptr : weight->data;
    const bool input = adapts && graph.canBeInput(weight);
    exact.value(content);
    exactMemory.value(memory);
    adaptive.value(input ? Id() : content);
    if (!input) adaptiveMemory.value(memory);
    if (!input) continue;
    keys.canAdapt = true;
    factors.value(content);
    if (block == keys.owner) places.value(memory);
  }
  keys.exact = {exact.finish(), exactMemory.finish()};
  keys.adaptive = {adaptive.finish(), adaptiveMemory.finish()};
  keys.factors = factors.finish();
  keys.place = places.finish();
  return keys;
}

std::shared_ptr<Program> ProgramCache::find(const Keys& keys) {
  std::shared_ptr<Program> program = find(keys.exact);
  return program || !keys.canAdapt ? program : find(keys.adaptive);
}

std::shared_ptr<Program> ProgramCache::find(const Key& key) {
  const std::lock_guard lock(mutex_);
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (at->key != key) continue;
    if (at->program->expired() || !at->program->unchanged()) {
      entries_.erase(at);
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, at);
    return entries_.front().program;
  }
  return nullptr;
}

const char* ProgramCache::reasonFor(const Keys& keys) const {
  const std::lock_guard lock(mutex_);
  const auto past = pasts_.find(keys.owner);
  if (past == pasts_.end()) return "new size or network";
  if (past->second.exact.count(keys.exact.content) != 0) return "it had left the cache";
  return past->second.structures.count(keys.structure) != 0 ? "weights changed" : "new size or network";
}

// Programs of one bound, and the weights that their inputs share.
uint64_t ProgramCache::total(uint64_t bound) const {
  uint64_t bytes = 0;
  std::set<Block*> blocks;
  for (const Entry& entry : entries_) {
    if (entry.bound != bound) continue;
    bytes += entry.program->bytes;
    if (entry.program->adaptive) blocks.insert(entry.program->blocks.begin(), entry.program->blocks.end());
  }
  for (Block* block : blocks) bytes += block->unpackedBytes();
  return bytes;
}

void ProgramCache::keep(Entry entry) {
  const std::lock_guard lock(mutex_);
  const uint64_t bound = entry.bound;
  entry.program->number = ++lastNumber_;
  entries_.push_front(std::move(entry));
  while (total(bound) > bound) {
    const auto last = std::find_if(entries_.rbegin(), std::prev(entries_.rend()),
                                   [&](const Entry& old) { return old.bound == bound; });
    if (last == std::prev(entries_.rend())) return;  // the last one stays
    entries_.erase(std::prev(last.base()));
    Report::instance().evictions.fetch_add(1);
  }
}

std::shared_ptr<Program> ProgramCache::get(const Graph& graph, const Settings& settings,
                                           const Watcher& watcher) {
  const Keys keys = keysOf(graph, settings);
  std::shared_ptr<Program> program = find(keys);
  if (program) Report::instance().hits.fetch_add(1);
  if (!program) program = obtain(keys, graph, settings, watcher);
  // With LoRAs merged a process that starts anew asks for other graphs first, unless weights are inputs.
  if (!program->refused && (!program->adaptive || settings.weightInputs))
    ReadAhead::instance().used(settings, graph, (program->adaptive ? keys.adaptive : keys.exact).content);
  return program;
}

std::shared_ptr<Program> ProgramCache::obtain(const Keys& keys, const Graph& graph, const Settings& settings,
                                              const Watcher& watcher) {
  std::unique_lock one(compiling_, std::defer_lock);
  while (!one.try_lock_for(std::chrono::milliseconds(20))) watcher.check();
  if (auto program = find(keys)) return program;
  watcher.check();
  Compilation made{reasonFor(keys), graph.nodes(), 0, 0, false, 0, signatureOf(graph.source())};
  const bool adaptive = keys.canAdapt && (settings.weightInputs || varies(keys));
  const Key& key = adaptive ? keys.adaptive : keys.exact;
  std::shared_ptr<Program> program = make(key.content, graph, settings, adaptive, watcher, made);
  program->signature = made.signature;
  remember(keys, adaptive);
  keep({key, program, settings.cacheBytes > 0 ? settings.cacheBytes : defaultBound()});
  made.graph = program->number;
  one.unlock();
  if (watcher.compiled) watcher.compiled(made);
  watcher.check();
  if (!made.fromDisk && !program->refused) {
    writeProgram(key.content, *program, settings, [&] { watcher.check(); });
    watcher.check();
  }
  return program;
}

// Where nothing but factors of products has changed it was a LoRA, and another will follow. Once that was so,
// sets of LoRAs are no constants at other sizes either.
bool ProgramCache::varies(const Keys& keys) const {
  const std::lock_guard lock(mutex_);
  const auto found = pasts_.find(keys.owner);
  if (found == pasts_.end()) return false;
  const Past& past = found->second;
  if (past.constant.count(keys.exact.content) != 0) return false;
  if (past.bases.count(keys.adaptive.content) != 0) return true;
  const auto history = past.histories.find(keys.place);
  return history != past.histories.end() && history->second.varied && history->second.factors != keys.factors;
}

void ProgramCache::remember(const Keys& keys, bool adaptive) {
  const std::lock_guard lock(mutex_);
  Past& past = pasts_[keys.owner];
  constexpr size_t remembered = 10'000;
  for (std::set<Id>* ids : {&past.structures, &past.exact, &past.constant, &past.bases})
    if (ids->size() > remembered) ids->clear();
  past.structures.insert(keys.structure);
  past.exact.insert(keys.exact.content);
  if (!adaptive) past.constant.insert(keys.exact.content);
  past.bases.insert(keys.adaptive.content);
  if (!keys.canAdapt) return;
  History& history = past.histories.try_emplace(keys.place, History{keys.factors, false}).first->second;
  history.varied = history.varied || (adaptive && history.factors != keys.factors);
}

// Read from the disk, or compiled.
std::shared_ptr<Program> ProgramCache::make(const Id& key, const Graph& graph, const Settings& settings,
                                            bool adaptive, const Watcher& watcher, Compilation& made) {
  const auto start = std::chrono::steady_clock::now();
  const uint64_t before = unpackedBytes(graph);
  const auto measure = [&](const Program& program) {
    made.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    made.bytes = program.bytes + unpackedBytes(graph) - before;
  };
  if (auto program = readProgram(key, graph, settings, [&] { watcher.check(); })) {
    made.reason = program->ahead ? "it was read ahead from the disk cache" : "it was in the disk cache";
    made.fromDisk = true;
    measure(*program);
    logMade("read", graph, *program, made);
    return program;
  }
  GGML_LOG_INFO("openvino: compiling %d nodes: %s\n", made.nodes, made.reason);
  std::shared_ptr<Program> program = compile(graph, settings, adaptive);
  program->bindWeights(graph);
  measure(*program);
  Report::instance().compiled(made.ms, made.reason);
  logMade("compiled", graph, *program, made);
  return program;
}

void ProgramCache::forget(Block* block) {
  std::list<Entry> gone;  // freed outside the lock
  std::vector<std::shared_ptr<Program>> left;
  {
    const std::lock_guard lock(mutex_);
    pasts_.erase(block);
    for (auto at = entries_.begin(); at != entries_.end();) {
      const auto next = std::next(at);
      if (at->program->blocks.count(block) != 0)
        gone.splice(gone.begin(), entries_, at);
      else if (at->program->adaptive)
        left.push_back(at->program);
      at = next;
    }
  }
  for (const auto& program : left) program->unbind(block);
}

uint64_t ProgramCache::bytesOf(Block& block) const {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = block.unpackedBytes();
  for (const Entry& entry : entries_)
    if (entry.program->blocks.count(&block) != 0) bytes += entry.program->bytes;
  return bytes;
}

std::vector<KeptGraph> ProgramCache::graphsOf(const std::set<Block*>& blocks) const {
  const std::lock_guard lock(mutex_);
  std::vector<KeptGraph> graphs;
  for (const Entry& entry : entries_)
    if (entry.program->isOf(blocks))
      graphs.push_back({entry.program->number, entry.program->signature, entry.program->bytes});
  return graphs;
}

uint64_t ProgramCache::release(const std::set<Block*>& blocks, const std::set<uint64_t>& keep,
                               uint64_t bytes) {
  std::list<Entry> gone;  // freed outside the lock
  uint64_t freed = 0;
  const std::lock_guard lock(mutex_);
  for (auto at = entries_.end(); freed < bytes && at != entries_.begin();) {
    const auto entry = std::prev(at);
    const Program& program = *entry->program;
    const bool goes =
        program.isOf(blocks) && keep.count(program.number) == 0 && entry->program.use_count() == 1;
    if (!goes) {
      at = entry;
      continue;
    }
    freed += program.bytes;
    gone.splice(gone.begin(), entries_, entry);
    Report::instance().evictions.fetch_add(1);
  }
  if (freed > 0)
    GGML_LOG_INFO("openvino: let go of %zu compiled graphs, %.1f MiB: their memory is needed\n", gone.size(),
                  static_cast<double>(freed) / (1024.0 * 1024.0));
  return freed;
}

void ProgramCache::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

}  // namespace nd::openvino
