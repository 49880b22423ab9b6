#include "device.h"

#include <algorithm>
#include <memory>
#include <set>
#include <thread>

#include "cache.h"
#include "device_check.h"
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

struct FreeBackend {
  void operator()(ggml_backend_t backend) const noexcept { ggml_backend_free(backend); }
};

// Told of each compilation of a backend, on the thread that computes.
using CompileListener = void (*)(void* data, const char* reason, int nodes, double ms, uint64_t bytes,
                                 uint64_t graph, uint64_t signature);
// Told of each graph that is kept.
using GraphListener = void (*)(void* data, uint64_t graph, uint64_t signature, uint64_t bytes);

// A backend of the engine's: its settings, and ggml's CPU backend for what OpenVINO does not compute. One
// thread.
struct Context {
  Settings settings;
  std::unique_ptr<ggml_backend, FreeBackend> cpu;
  ggml_abort_callback abort = nullptr;
  void* abortData = nullptr;
  CompileListener listener = nullptr;
  void* listenerData = nullptr;
};

Context& contextOf(ggml_backend_t backend) { return *static_cast<Context*>(backend->context); }

const char* backendName(ggml_backend_t /*backend*/) { return "OpenVINO"; }

void freeBackend(ggml_backend_t backend) {
  const std::unique_ptr<ggml_backend> own(backend);
  const std::unique_ptr<Context> context(&contextOf(backend));
  ReadAhead::instance().close(context->settings);
}

template <typename Function>
Function procedure(ggml_backend_t backend, const char* name) {
  ggml_backend_reg_t owner = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend));
  return reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(owner, name));
}

// ggml takes four threads where nobody says how many.
int processors() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

ggml_status computeOnCpu(Context& context, ggml_cgraph* graph) {
  if (!context.cpu) context.cpu.reset(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
  if (!context.cpu) {
    GGML_LOG_ERROR("openvino: ggml's CPU backend, which computes what OpenVINO does not, is not loaded\n");
    return GGML_STATUS_FAILED;
  }
  ggml_backend_t cpu = context.cpu.get();
  if (const auto threads = procedure<ggml_backend_set_n_threads_t>(cpu, "ggml_backend_set_n_threads");
      threads != nullptr)
    threads(cpu, context.settings.threads > 0 ? context.settings.threads : processors());
  if (const auto abort = procedure<ggml_backend_set_abort_callback_t>(cpu, "ggml_backend_set_abort_callback"))
    abort(cpu, context.abort, context.abortData);
  return ggml_backend_graph_compute(cpu, graph);
}

ggml_status compute(ggml_backend_t backend, ggml_cgraph* given) {
  Context& context = contextOf(backend);
  const CpuNodes cpu{[&](ggml_cgraph* part) { return computeOnCpu(context, part); },
                     [&] { return context.abort != nullptr && context.abort(context.abortData); }};
  try {
    if (ggml_graph_n_nodes(given) == 0) return GGML_STATUS_SUCCESS;
    const Running running;
    const Graph graph(given);
    const Watcher watcher{cpu.aborted, [&](const Compilation& made) {
                            if (context.listener != nullptr)
                              context.listener(context.listenerData, made.reason, made.nodes, made.ms,
                                               made.bytes, made.graph, made.signature);
                          }};
    const std::shared_ptr<Program> program = ProgramCache::instance().get(graph, context.settings, watcher);
    const ggml_status status = program->run(graph, cpu);
    Report& report = Report::instance();
    report.runs.fetch_add(1);
    report.coveredNodes.fetch_add(static_cast<uint64_t>(program->covered));
    report.uncoveredNodes.fetch_add(static_cast<uint64_t>(program->uncovered));
    return status;
  } catch (const Aborted&) {
    return GGML_STATUS_ABORTED;
  } catch (const std::bad_alloc&) {
    GGML_LOG_ERROR("openvino: failed to allocate memory for a graph\n");
    return GGML_STATUS_ALLOC_FAILED;
  } catch (const std::exception& error) {
    GGML_LOG_ERROR("openvino: a graph could not be computed: %s\n", error.what());
    return GGML_STATUS_FAILED;
  }
}

ggml_guid_t guid() {
  static ggml_guid id = {0x6f, 0x70, 0x65, 0x6e, 0x76, 0x69, 0x6e, 0x6f,
                         0x4e, 0x44, 0x8a, 0x51, 0x3c, 0x17, 0xe2, 0x09};
  return &id;
}

void setThreads(ggml_backend_t backend, int threads) { contextOf(backend).settings.threads = threads; }

void setAbort(ggml_backend_t backend, ggml_abort_callback callback, void* data) {
  contextOf(backend).abort = callback;
  contextOf(backend).abortData = data;
}

void setListener(ggml_backend_t backend, CompileListener listener, void* data) {
  contextOf(backend).listener = listener;
  contextOf(backend).listenerData = data;
}

const char* deviceName(ggml_backend_dev_t /*device*/) { return "OpenVINO"; }

const char* deviceDescription(ggml_backend_dev_t /*device*/) {
  static const std::string text = std::string("OpenVINO ") + ov::get_openvino_version().buildNumber;
  return text.c_str();
}

void deviceMemory(ggml_backend_dev_t /*device*/, size_t* free, size_t* total) {
  *free = 0;
  *total = 0;
#if defined(__linux__)
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  *free = static_cast<size_t>(sysconf(_SC_AVPHYS_PAGES)) * page;
  *total = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page;
#endif
}

enum ggml_backend_dev_type deviceType(ggml_backend_dev_t /*device*/) {
  return GGML_BACKEND_DEVICE_TYPE_ACCEL;
}

void deviceProps(ggml_backend_dev_t dev, ggml_backend_dev_props* props) {
  props->name = deviceName(dev);
  props->description = deviceDescription(dev);
  props->type = deviceType(dev);
  deviceMemory(dev, &props->memory_free, &props->memory_total);
  props->caps = {false, false, false, false};
}

ggml_backend_t initBackend(ggml_backend_dev_t dev, const char* params) {
  constexpr ggml_backend_i interface {
    backendName, freeBackend, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, compute,
        nullptr, nullptr, nullptr
  };
  try {
    auto context = std::make_unique<Context>();
    context->settings = Settings::parse(params);
    checkDevice(context->settings);
    if (!context->settings.diskCache.empty() && !diskCacheWorks()) {
      GGML_LOG_WARN(
          "openvino: the disk cache is off: this module was linked without a build id, so its files could "
          "not "
          "be told from those of another version\n");
      context->settings.diskCache.clear();
    }
    auto backend = std::make_unique<ggml_backend>(ggml_backend{guid(), interface, dev, context.get()});
    ReadAhead::instance().open(context->settings);
    static_cast<void>(context.release());  // the backend owns it
    return backend.release();
  } catch (const std::exception& error) {
    GGML_LOG_ERROR("openvino: %s\n", error.what());
    return nullptr;
  }
}

ggml_backend_buffer_type_t deviceBufferType(ggml_backend_dev_t /*device*/) { return bufferType(); }

// Whatever has no rule is computed by ggml's CPU backend.
bool supportsOp(ggml_backend_dev_t /*device*/, const ggml_tensor* /*op*/) { return true; }

bool supportsBuffer(ggml_backend_dev_t /*device*/, ggml_backend_buffer_type_t type) {
  return type == bufferType() || ggml_backend_buft_is_host(type);
}

const char* reportJson() {
  thread_local std::string text;
  text = Report::instance().json();
  return text.c_str();
}

const char* describeJson() {
  thread_local std::string text;
  try {
    text = describeRuntime();
  } catch (const std::exception& error) {
    GGML_LOG_ERROR("openvino: %s\n", error.what());
    text = "{}";
  }
  return text.c_str();
}

// Its model's weights are about to be read.
void readAhead(ggml_backend_t backend) { ReadAhead::instance().begin(contextOf(backend).settings); }

void stopReadingAhead() { ReadAhead::instance().stop(); }

// Of what was compiled from weights in this buffer.
uint64_t bufferBytes(ggml_backend_buffer_t buffer) {
  const std::shared_ptr<Block> block = blockOf(buffer);
  return block ? ProgramCache::instance().bytesOf(*block) : 0;
}

// Lets go of graphs of the model whose backend and weights these are until so many bytes are free, and tells
// of those that stay, most recently used first. What was read ahead and nobody has asked for goes last, and
// is told of as graph 0. While the model computes nothing.
void release(ggml_backend_t backend, const ggml_backend_buffer_t* buffers, size_t count, const uint64_t* keep,
             size_t kept, uint64_t bytes, GraphListener listener, void* data) {
  try {
    std::set<Block*> blocks;
    for (size_t i = 0; i < count; ++i)
      if (const auto block = blockOf(buffers[i])) blocks.insert(block.get());
    ProgramCache& cache = ProgramCache::instance();
    ReadAhead& ahead = ReadAhead::instance();
    const Settings& settings = contextOf(backend).settings;
    if (bytes > 0 && cache.release(blocks, {keep, keep + kept}, bytes) < bytes) ahead.drop(settings);
    for (const KeptGraph& graph : cache.graphsOf(blocks))
      listener(data, graph.number, graph.signature, graph.bytes);
    if (const uint64_t read = ahead.bytesOf(settings)) listener(data, 0, 0, read);
  } catch (const std::exception& error) {
    GGML_LOG_ERROR("openvino: %s\n", error.what());
  }
}

void clearCache() { ProgramCache::instance().clear(); }

const char* registryName(ggml_backend_reg_t /*registry*/) { return "OpenVINO"; }
size_t deviceCount(ggml_backend_reg_t /*registry*/) { return 1; }
ggml_backend_dev_t deviceAt(ggml_backend_reg_t /*registry*/, size_t /*index*/) { return device(); }

void* procAddress(ggml_backend_reg_t /*registry*/, const char* name) {
  const std::string wanted = name;
  if (wanted == "ggml_backend_set_n_threads") return reinterpret_cast<void*>(setThreads);
  if (wanted == "ggml_backend_set_abort_callback") return reinterpret_cast<void*>(setAbort);
  if (wanted == "ggml_backend_openvino_set_listener") return reinterpret_cast<void*>(setListener);
  if (wanted == "ggml_backend_openvino_read_ahead") return reinterpret_cast<void*>(readAhead);
  if (wanted == "ggml_backend_openvino_stop") return reinterpret_cast<void*>(stopReadingAhead);
  if (wanted == "ggml_backend_openvino_report") return reinterpret_cast<void*>(reportJson);
  if (wanted == "ggml_backend_openvino_describe") return reinterpret_cast<void*>(describeJson);
  if (wanted == "ggml_backend_openvino_compile_estimate") return reinterpret_cast<void*>(compiledBytesOf);
  if (wanted == "ggml_backend_openvino_buffer_bytes") return reinterpret_cast<void*>(bufferBytes);
  if (wanted == "ggml_backend_openvino_release") return reinterpret_cast<void*>(release);
  if (wanted == "ggml_backend_openvino_clear") return reinterpret_cast<void*>(clearCache);
  return nullptr;
}

}  // namespace

ggml_backend_reg_t registry() {
  static ggml_backend_reg instance{
      GGML_BACKEND_API_VERSION, {registryName, deviceCount, deviceAt, procAddress}, nullptr};
  return &instance;
}

ggml_backend_dev_t device() {
  static ggml_backend_device instance{
      {deviceName, deviceDescription, deviceMemory, deviceType, deviceProps, initBackend, deviceBufferType,
       nullptr, nullptr, supportsOp, supportsBuffer, nullptr, nullptr, nullptr, nullptr},
      registry(),
      nullptr};
  return &instance;
}

}  // namespace nd::openvino
