#include "disk_cache.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iomanip>
#include <sstream>

#include "build_id.h"
#include "cache_file.h"
#include "compiler.h"
#include "ggml-impl.h"
#include "graph_list.h"
#include "read_ahead.h"
#include "report.h"

namespace nd::openvino {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".graph";

// Numbers in the order of the fields, lists after their length.
std::string describe(const Program& program, const std::vector<uint64_t>& blobs) {
  std::ostringstream text;
  text << program.adaptive << ' ' << program.covered << ' ' << program.uncovered << ' ' << program.bytes
       << ' ' << program.parts.size();
  size_t next = 0;
  for (const Part& part : program.parts) {
    text << ' ' << part.begin << ' ' << part.end << ' ' << part.compiled << ' '
         << (part.model ? blobs[next++] : 0);
    text << ' ' << part.inputs.size() << ' ' << part.outputs.size() << ' ' << part.copies.size();
    for (const int id : part.inputs) text << ' ' << id;
    for (const int id : part.outputs) text << ' ' << id;
    for (const Copy& copy : part.copies) text << ' ' << copy.from << ' ' << copy.to;
  }
  text << ' ' << program.reasons.size();
  for (const auto& [why, nodes] : program.reasons) text << ' ' << nodes << ' ' << std::quoted(why);
  return text.str();
}

// Its numbers mean something in this graph: nothing looks at them again.
void checkPart(const Part& part, const Graph& graph, bool adaptive) {
  const auto known = [&](int id) { return id >= 0 && id < graph.tensors(); };
  bool valid = part.begin >= 0 && part.begin <= part.end && part.end <= graph.nodes();
  for (const std::vector<int>* ids : {&part.inputs, &part.outputs})
    for (const int id : *ids) valid = valid && known(id);
  for (const Copy& copy : part.copies) valid = valid && known(copy.from) && known(copy.to);
  for (const int id : part.inputs) {
    if (!valid || !isWeight(graph.tensor(id))) continue;
    valid = adaptive && graph.canBeInput(graph.tensor(id));
  }
  if (part.model)
    valid = valid && part.model.inputs().size() == part.inputs.size() &&
            part.model.outputs().size() == part.outputs.size();
  if (!valid) throw CacheFileError("it is of another graph");
}

void checkParts(const Program& program, const Graph& graph) {
  for (const Part& part : program.parts) checkPart(part, graph, program.adaptive);
}

std::shared_ptr<Program> build(const CacheFile& file, const Settings& settings,
                               const std::function<void()>& check) {
  auto program = std::make_shared<Program>();
  std::istringstream text(file.description);
  size_t parts = 0;
  text >> program->adaptive >> program->covered >> program->uncovered >> program->bytes >> parts;
  size_t offset = 0;
  for (size_t i = 0; i < parts && text; ++i) {
    Part part;
    size_t blob = 0;
    size_t counts[3] = {};
    text >> part.begin >> part.end >> part.compiled >> blob >> counts[0] >> counts[1] >> counts[2];
    // Each number has a digit and a space.
    for (const size_t count : counts)
      if (!text || count > file.description.size()) throw CacheFileError("its description is damaged");
    part.inputs.resize(counts[0]);
    part.outputs.resize(counts[1]);
    part.copies.resize(counts[2]);
    for (int& id : part.inputs) text >> id;
    for (int& id : part.outputs) text >> id;
    for (Copy& copy : part.copies) text >> copy.from >> copy.to;
    if (blob > file.blobs.get_byte_size() - offset) throw CacheFileError("its description is damaged");
    if (blob > 0) {
      check();
      const ov::Tensor bytes(file.blobs, ov::Coordinate{offset}, ov::Coordinate{offset + blob});
      part.model = core().import_model(bytes, settings.device, configuration(settings));
      part.request = part.model.create_infer_request();
      offset += blob;
    }
    program->parts.push_back(std::move(part));
  }
  size_t reasons = 0;
  text >> reasons;
  for (size_t i = 0; i < reasons && text; ++i) {
    int nodes = 0;
    std::string why;
    text >> nodes >> std::quoted(why);
    program->reasons[why] = nodes;
  }
  if (!text) throw CacheFileError("its description is damaged");
  return program;
}

void dropFile(const fs::path& path, const char* why) {
  Report::instance().diskFailures.fetch_add(1);
  GGML_LOG_WARN("openvino: %s of the disk cache is not used: %s\n", path.filename().c_str(), why);
  std::error_code ignored;
  fs::remove(path, ignored);
}

struct Kept {
  fs::path path;
  uint64_t bytes;
  fs::file_time_type used;
};

bool isKept(const fs::path& path) { return path.extension() == kExtension || isGraphList(path); }

// Models' lists are small, so the bound alone would keep those of every model that ever was.
bool isOutdated(const fs::path& path, fs::file_time_type used) {
  return isGraphList(path) && fs::file_time_type::clock::now() - used > std::chrono::hours(24 * 90);
}

// Least recently used first to go. What is being written counts and stays. Another process may remove the
// same files.
void trim(const Settings& settings) {
  std::vector<Kept> files;
  uint64_t total = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(settings.diskCache, error)) {
    std::error_code ignored;
    const bool temporary = isTemporary(entry.path());
    if (temporary ? removeLeftBehind(entry.path()) : !isKept(entry.path())) continue;
    const uint64_t bytes = entry.file_size(ignored);
    if (ignored) continue;
    const fs::file_time_type used = entry.last_write_time(ignored);
    if (!ignored && isOutdated(entry.path(), used) && fs::remove(entry.path(), ignored)) continue;
    total += bytes;
    if (!temporary) files.push_back({entry.path(), bytes, used});
  }
  std::sort(files.begin(), files.end(), [](const Kept& a, const Kept& b) { return a.used < b.used; });
  for (const Kept& file : files) {
    if (total <= settings.diskCacheBytes) break;
    std::error_code ignored;
    fs::remove(file.path, ignored);
    total -= file.bytes;
  }
}

}  // namespace

bool diskCacheWorks() { return ownBuild().has_value(); }

Id makerOf(const Settings& settings) {
  std::string text = ov::get_openvino_version().buildNumber;
  try {
    text += '\n' + core().get_property(settings.device, ov::device::full_name);
    for (const std::string& capability : core().get_property(settings.device, ov::device::capabilities))
      text += '\n' + capability;
  } catch (const std::exception&) {
    text += "\na device that describes itself by its name alone";
  }
#if defined(__x86_64__) && defined(__GNUC__)
  // A virtual machine may hide some of what its processor's name promises.
  for (const bool has :
       {__builtin_cpu_supports("sse4.2"), __builtin_cpu_supports("avx"), __builtin_cpu_supports("avx2"),
        __builtin_cpu_supports("fma"), __builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512bw"),
        __builtin_cpu_supports("avx512vl"), __builtin_cpu_supports("avx512dq"),
        __builtin_cpu_supports("avx512vnni")})
    text += has ? '1' : '0';
#endif
  Hasher hasher;
  hasher.value(ownBuild().value_or(Id()));
  hasher.add(text.data(), text.size());
  return hasher.finish();
}

// Makers have files of their own, so that versions that take turns do not remove each other's.
fs::path graphFile(const Id& key, const Id& maker, const Settings& settings) {
  char name[64];
  std::snprintf(name, sizeof(name), "%016llx%016llx-%016llx", static_cast<unsigned long long>(key.high),
                static_cast<unsigned long long>(key.low), static_cast<unsigned long long>(maker.high));
  return fs::path(settings.diskCache) / (name + std::string(kExtension));
}

std::shared_ptr<Program> importProgram(const Id& key, const Settings& settings, bool alone,
                                       const std::function<void()>& check) {
  const Id maker = makerOf(settings);
  const fs::path path = graphFile(key, maker, settings);
  std::error_code error;
  if (!fs::exists(path, error) && !error) return nullptr;
  try {
    const ResidentGrowth growth;
    const CacheFile file = readCacheFile(path, key, maker, check);
    std::shared_ptr<Program> program = build(file, settings, check);
    // What it took when it was compiled, and what was read: OpenVINO keeps the constants where they are.
    const uint64_t least = program->bytes + file.blobs.get_byte_size();
    program->bytes = alone ? growth.bytes(least) : least;
    return program;
  } catch (const std::bad_alloc&) {  // the file may be sound
    GGML_LOG_WARN("openvino: there is no memory to read %s of the disk cache\n", path.filename().c_str());
  } catch (const std::exception& failure) {
    dropFile(path, failure.what());
  }
  return nullptr;
}

std::shared_ptr<Program> readProgram(const Id& key, const Graph& graph, const Settings& settings,
                                     const std::function<void()>& check) {
  if (settings.diskCache.empty()) return nullptr;
  std::shared_ptr<Program> program = ReadAhead::instance().take(settings, key, check);
  if (!program) program = importProgram(key, settings, true, check);
  if (!program) return nullptr;
  const fs::path path = graphFile(key, makerOf(settings), settings);
  try {
    checkParts(*program, graph);
    program->bindWeights(graph);
    program->tieTo(graph);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& failure) {
    dropFile(path, failure.what());
    return nullptr;
  }
  std::error_code ignored;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
  Report::instance().diskHits.fetch_add(1);
  if (program->ahead) Report::instance().readAhead.fetch_add(1);
  return program;
}

void writeProgram(const Id& key, Program& program, const Settings& settings,
                  const std::function<void()>& check) {
  if (settings.diskCache.empty()) return;
  if (program.stored > settings.diskCacheBytes) {
    GGML_LOG_INFO("openvino: a graph with %.1f MiB of weights has no room in the disk cache\n",
                  static_cast<double>(program.stored) / (1024.0 * 1024.0));
    return;
  }
  try {
    std::error_code error;
    fs::create_directories(settings.diskCache, error);
    if (error) throw CacheFileError(settings.diskCache + " cannot be made: " + error.message());
    const Id maker = makerOf(settings);
    CacheWriter writer(graphFile(key, maker, settings), key, maker);
    std::vector<uint64_t> blobs;
    for (Part& part : program.parts) {
      if (!part.model) continue;
      check();
      blobs.push_back(writer.blob([&](std::ostream& stream) { program.write(part, stream); }));
    }
    writer.commit(describe(program, blobs), check);
    trim(settings);
    Report::instance().diskWrites.fetch_add(1);
  } catch (const std::exception& failure) {
    Report::instance().diskFailures.fetch_add(1);
    GGML_LOG_WARN("openvino: a graph was not written to the disk cache: %s\n", failure.what());
  }
}

}  // namespace nd::openvino
