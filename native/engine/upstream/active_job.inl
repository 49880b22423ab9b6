// The job that this thread is working on. The engine's callbacks are process-wide and carry no owner, but it
// calls them on the thread that started the work, so a thread-local says whose they are.

namespace nd::upstream {

// Outermost first.
inline std::vector<int64_t> shapeOf(const ggml_tensor* tensor) {
  std::vector<int64_t> shape;
  for (int axis = ggml_n_dims(tensor) - 1; axis >= 0; --axis) shape.push_back(tensor->ne[axis]);
  return shape;
}

// Where the weights of a model were read from.
struct Sources {
  std::vector<std::string> files;
  std::deque<SourceFile> opened;  // the same, once weights are read again
  std::map<std::string, TensorStorage> tensors;
  std::map<std::string, TensorHeader> leftOut;  // of parts that were not read
};

// What a job allocates in ggml: see memory.inl.
struct MemoryMeter {
  bool dry = false;       // sizes are taken; nothing is allocated or computed
  bool deferred = false;  // weights get no memory until all of them are known
  uint64_t budget = 0;    // 0: none
  uint64_t live = 0;
  uint64_t peak = 0;
  uint64_t work = 0;     // largest work buffer of a CPU graph, which the backend keeps
  uint64_t weights = 0;  // of what was deferred
  // Graphs that a backend would compile for it, and keep all of: bytes by signature.
  std::map<uint64_t, uint64_t> compiled;
  std::map<const void*, uint64_t> graphs;  // live buffers by their allocator
  ggml_backend_buffer_t placeholder = nullptr;
  std::string refusal;

  void add(uint64_t bytes) {
    live += bytes;
    peak = std::max(peak, live);
  }
  void set(const void* allocator, uint64_t bytes) {
    uint64_t& known = graphs[allocator];
    live -= known;
    known = bytes;
    add(bytes);
    if (bytes == 0) graphs.erase(allocator);
  }
};

struct Handover;  // see handover.inl

struct ActiveJob {
  ActiveJob(Job& theJob, Phase thePhase, std::string theDevice = {}, std::string theOptions = {})
      : job(theJob), phase(thePhase), device(std::move(theDevice)), deviceOptions(std::move(theOptions)) {}

  Job& job;
  Phase phase;
  std::string device;  // for jobBackend()
  std::string deviceOptions;
  bool abortGraphs = false;  // a CPU graph may stop between nodes: the caller checks for the empty result
  bool tiled = false;
  bool encodesImages = false;  // of Phase::Encode
  // By the buffers of their weights: networks beside the diffusion model, of Phase::Sample.
  std::map<ggml_backend_buffer_t, const char*> companions;
  uint64_t bytesTotal = 0;
  std::atomic<uint64_t> bytes{0};
  preview_t previewMode = PREVIEW_NONE;
  int previewInterval = 1;
  int step = 0;                  // last reported
  Handover* handover = nullptr;  // of a run that stops early, or goes on
  int stepsBefore = 0;           // of a run that goes on: done by another
  int stepsHere = 0;             // of a part of a run; 0: it is whole
  MemoryMeter memory;
  DeviceFailure deviceFailure;            // of a graph
  std::function<void()> checkCompanions;  // of a load: files that the engine reads after the model's weights
  // All weights of a load are known by name, none has memory yet.
  std::function<bool(const String2TensorStorage&)> onWeightsKnown;
  LeftOut leftOut;
  bool wideConvolutions =
      false;  // of the model's weights, which are read first; a ControlNet's have memory by then
  uint64_t readBuffers = 0;  // of the reader threads of a load
  uint64_t mapped = 0;       // file bytes that a load maps
  std::string loadError;     // set by JobLoader, thrown after the engine has cleaned up
  ErrorCode loadErrorCode = ErrorCode::ModelCorrupt;
  int64_t lastReport = 0;
  std::shared_ptr<Sources> sources;          // set by JobLoader
  std::map<std::string, Container> checked;  // model files that are sound
};

inline thread_local ActiveJob* active = nullptr;

class ActiveJobScope {
 public:
  explicit ActiveJobScope(ActiveJob& job) : previous_(active) {
    active = &job;
    takeErrorLines();
  }
  ~ActiveJobScope() { active = previous_; }
  ActiveJobScope(const ActiveJobScope&) = delete;
  ActiveJobScope& operator=(const ActiveJobScope&) = delete;

 private:
  ActiveJob* previous_;
};

// Lets CPU graphs of this thread's job stop in the middle while it lives.
class AbortableGraphs {
 public:
  AbortableGraphs() : previous_(active != nullptr && active->abortGraphs) {
    if (active != nullptr) active->abortGraphs = true;
  }
  ~AbortableGraphs() {
    if (active != nullptr) active->abortGraphs = previous_;
  }
  AbortableGraphs(const AbortableGraphs&) = delete;
  AbortableGraphs& operator=(const AbortableGraphs&) = delete;

 private:
  bool previous_;
};

// An assertion of a conditioner that does not hold: its text encoder's graph was stopped, or failed.
[[noreturn]] inline void conditionerFailed(const char* assertion) {
  if (active != nullptr) active->job.throwIfCancelled();
  const std::string logged = takeErrorLines();
  if (logged.find("alloc") != std::string::npos) throw std::bad_alloc();
  throw std::runtime_error(logged.empty() ? assertion : logged);
}

// Called between two nodes of a CPU graph, and between the parts of one that OpenVINO compiled.
inline bool shouldAbort(void* given) {
  auto& job = *static_cast<ActiveJob*>(given);
  job.job.touch();
  return job.abortGraphs && job.job.cancelled();
}

template <typename Function>
Function procedureOf(ggml_backend_t backend, const char* name) {
  ggml_backend_dev_t device = ggml_backend_get_device(backend);
  if (device == nullptr) return nullptr;
  return reinterpret_cast<Function>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), name));
}

// Of the networks beside the diffusion model the one whose weights the graph reads; null: none.
inline const char* companionOf(const ActiveJob& job, ggml_cgraph* graph) {
  const int nodes = job.companions.empty() ? 0 : ggml_graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i)
    for (const ggml_tensor* source : ggml_graph_node(graph, i)->src) {
      if (source == nullptr) continue;
      const auto found = job.companions.find(source->buffer);
      if (found != job.companions.end()) return found->second;
    }
  return nullptr;
}

// Between two steps of a run its previews are decoded, and a ControlNet works before each evaluation.
inline const char* componentOf(const ActiveJob& job, ggml_cgraph* graph) {
  if (job.phase == Phase::Sample) {
    const char* companion = companionOf(job, graph);
    return companion != nullptr ? companion : "diffusionModel";
  }
  if (job.phase == Phase::Upscale) return "upscaler";
  return job.phase == Phase::Encode && !job.encodesImages ? "textEncoder" : "vae";
}

// Touches a job while a backend compiles or evaluates a whole graph, which may take long and tells nothing.
// It does so as long as the process computes: one that waits for itself has stopped.
class Heartbeat {
 public:
  Heartbeat(Job& job, bool wanted) {
    if (wanted) thread_ = std::jthread([&job](const std::stop_token& stop) { beat(job, stop); });
  }

 private:
  static void beat(Job& job, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    std::clock_t before = std::clock();
    while (
        !wake.wait_for(lock, stop, std::chrono::milliseconds(250), [&] { return stop.stop_requested(); })) {
      const std::clock_t now = std::clock();
      if (now - before > CLOCKS_PER_SEC / 100) job.touch();
      before = now;
    }
  }
  std::jthread thread_;
};

// Tells the job of the compilation of a graph while it lives.
class CompileListening {
 public:
  CompileListening(ggml_backend_t backend, ggml_cgraph* graph)
      : backend_(backend),
        set_(procedureOf<Set>(backend, "ggml_backend_openvino_set_listener")),
        job_(*active),
        graph_(graph) {
    if (set_ != nullptr) set_(backend_, onCompiled, this);
  }
  ~CompileListening() {
    if (set_ != nullptr) set_(backend_, nullptr, nullptr);
  }
  CompileListening(const CompileListening&) = delete;
  CompileListening& operator=(const CompileListening&) = delete;
  bool listens() const { return set_ != nullptr; }

 private:
  using Listener = void (*)(void*, const char*, int, double, uint64_t, uint64_t, uint64_t);
  using Set = void (*)(ggml_backend_t, Listener, void*);
  // Called by a backend that compiles graphs (native/openvino/device.cpp).
  static void onCompiled(void* given, const char* reason, int nodes, double ms, uint64_t bytes,
                         uint64_t graph, uint64_t signature) {
    const auto& own = *static_cast<CompileListening*>(given);
    own.job_.job.touch();
    own.job_.job.onCompilation(
        {componentOf(own.job_, own.graph_), reason, nodes, ms, bytes, graph, signature});
  }
  ggml_backend_t backend_;
  Set set_;
  ActiveJob& job_;
  ggml_cgraph* graph_;
};

// Of a graph that is measured: what compiling it would take, and keep.
inline void meterCompiling(ggml_backend_t backend, const ggml_cgraph* graph) {
  using Bytes = uint64_t (*)(const ggml_cgraph*, uint64_t*);
  const auto estimate = procedureOf<Bytes>(backend, "ggml_backend_openvino_compile_estimate");
  if (estimate == nullptr) return;
  uint64_t signature = 0;
  const uint64_t bytes = estimate(graph, &signature);
  active->memory.compiled[signature] = bytes;
}
inline TakeDeviceFailure failureSource(ggml_backend_dev_t device);
inline ggml_status computeGuarded(ggml_backend_t backend, ggml_backend_dev_t device, ggml_cgraph* graph);

inline ggml_status computeGraph(ggml_backend_t backend, ggml_cgraph* graph) {
  if (active != nullptr && active->memory.dry) {
    active->memory.work = std::max<uint64_t>(active->memory.work, workBytes(backend, graph));
    meterCompiling(backend, graph);
    return GGML_STATUS_SUCCESS;
  }
  ggml_backend_dev_t device = ggml_backend_get_device(backend);
  if (active == nullptr) return ggml_backend_graph_compute(backend, graph);
  active->job.touch();
  if (device == nullptr) return ggml_backend_graph_compute(backend, graph);
  if (failureSource(device) != nullptr) return computeGuarded(backend, device, graph);
  const auto setAbort = reinterpret_cast<ggml_backend_set_abort_callback_t>(ggml_backend_reg_get_proc_address(
      ggml_backend_dev_backend_reg(device), "ggml_backend_set_abort_callback"));
  if (setAbort == nullptr) return ggml_backend_graph_compute(backend, graph);
  if (active->abortGraphs && active->job.cancelled()) return GGML_STATUS_ABORTED;
  const CompileListening listening(backend, graph);
  const Heartbeat heartbeat(active->job, listening.listens());
  setAbort(backend, shouldAbort, active);
  const ggml_status status = ggml_backend_graph_compute(backend, graph);
  setAbort(backend, nullptr, nullptr);
  return status;
}

inline ggml_backend_t jobBackend() {
  if (active == nullptr || active->device.empty()) return sd_get_default_backend();
  const char* options = active->deviceOptions.empty() ? nullptr : active->deviceOptions.c_str();
  ggml_backend_t backend = ggml_backend_init_by_name(active->device.c_str(), options);
  // What the model used last is read from OpenVINO's disk cache while its weights are.
  if (backend == nullptr || active->phase != Phase::Load || active->memory.dry) return backend;
  const auto readAhead = procedureOf<void (*)(ggml_backend_t)>(backend, "ggml_backend_openvino_read_ahead");
  if (readAhead != nullptr) readAhead(backend);
  return backend;
}

// Called by the engine for sampling steps, VAE and upscaler tiles, and while it reads tensors.
inline void onEngineProgress(int step, int steps, float seconds, void* /*data*/) {
  if (active == nullptr || active->memory.dry) return;
  active->job.touch();
  Progress progress;
  progress.phase = active->phase;
  progress.step = step;
  progress.total = steps;
  progress.secondsPerStep = seconds;
  if (active->phase == Phase::Load) {
    constexpr int64_t everyMs = 33;
    const int64_t now = ggml_time_ms();
    if (step < steps && now - active->lastReport < everyMs) return;
    active->lastReport = now;
    progress.secondsPerStep = 0;
    progress.bytes = active->bytes.load(std::memory_order_relaxed);
    progress.totalBytes = active->bytesTotal;
  } else if (active->tiled) {
    progress.phase = Phase::Tile;
  } else if (active->stepsHere > 0) {
    progress.step = step = std::max(0, step - active->stepsBefore);
    progress.total = active->stepsHere;
  }
  active->step = step;
  active->job.onProgress(progress);
}

inline Image copyImage(const sd_image_t& source) {
  Image image = allocateImage(source.width, source.height, source.channel);
  if (!image) throw EngineError(ErrorCode::OutOfMemory, "No memory for an image.");
  std::memcpy(image.data.get(), source.data, image.bytes());
  return image;
}

inline void onEnginePreview(int step, int frames, sd_image_t* images, bool /*noisy*/, void* /*data*/) {
  if (active != nullptr && !active->memory.dry && frames > 0 && images != nullptr)
    active->job.onPreview(std::abs(step) - active->stepsBefore, copyImage(images[0]));
}

inline sd_preview_cb_t previewCallback() {
  return active != nullptr && active->previewMode != PREVIEW_NONE ? onEnginePreview : nullptr;
}
inline void* previewData() { return nullptr; }
inline preview_t previewMode() { return active == nullptr ? PREVIEW_NONE : active->previewMode; }
// Asked before the step is reported, hence + 1.
inline bool shouldPreview() { return active != nullptr && (active->step + 1) % active->previewInterval == 0; }

}  // namespace nd::upstream
