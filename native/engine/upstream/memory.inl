// Memory of graphs and weights. The engine allocates through the few functions of ggml below; in upstream.cpp
// macros send them here. A job that measures has every size taken and nothing allocated or computed: the
// engine goes its whole way over tensors without data, so the sizes are its own. A job with a budget is
// refused before the allocation that would exceed it.

namespace nd::upstream {

// A buffer without bytes: what the engine gets where nothing was allocated. It frees it as it frees others.
inline ggml_backend_buffer_t emptyBuffer(ggml_backend_t backend) {
  return ggml_backend_alloc_buffer(backend, 0);
}

inline std::string mebibytes(uint64_t bytes) {
  constexpr double mebibyte = 1024.0 * 1024.0;
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f MiB", static_cast<double>(bytes) / mebibyte);
  return text;
}

// True when the job may have this many bytes more. Where the engine asserts that a graph succeeds, a refusal
// is thrown through it; elsewhere it copes with a failed allocation, and the caller finds the refusal
// afterwards.
inline bool grant(uint64_t bytes) {
  MemoryMeter& meter = active->memory;
  if (meter.dry || meter.budget == 0 || meter.live + bytes <= meter.budget) return true;
  meter.refusal = "A buffer of " + mebibytes(bytes) +
                  " would exceed the job's memory budget: " + mebibytes(meter.live) + " of " +
                  mebibytes(meter.budget) + " are in use";
  if (active->abortGraphs) return false;
  throw EngineError(ErrorCode::OutOfMemory, meter.refusal + ".");
}

inline size_t graphBytes(ggml_gallocr_t allocator, ggml_cgraph* graph) {
  size_t bytes = 0;
  ggml_gallocr_reserve_n_size(allocator, graph, nullptr, nullptr, &bytes);
  return bytes;
}

inline bool metered() { return active != nullptr && (active->memory.dry || active->memory.budget > 0); }

inline bool reserveGraph(ggml_gallocr_t allocator, ggml_cgraph* graph) {
  if (!metered()) return ggml_gallocr_reserve(allocator, graph);
  const size_t bytes = graphBytes(allocator, graph);
  active->memory.set(allocator, 0);
  if (!grant(bytes)) return false;
  active->memory.set(allocator, bytes);
  return active->memory.dry || ggml_gallocr_reserve(allocator, graph);
}

// The engine reserves for its first graph and leaves it to this function to grow for a larger one.
inline bool allocGraph(ggml_gallocr_t allocator, ggml_cgraph* graph) {
  if (metered() && active->memory.dry) {
    if (!reserveGraph(allocator, graph)) return false;
    const int nodes = ggml_graph_n_nodes(graph);
    for (int i = 0; i < nodes; ++i) {
      ggml_tensor* node = ggml_graph_node(graph, i);
      if (node->buffer == nullptr) node->buffer = active->memory.placeholder;
    }
    return true;
  }
  // Measuring gives a buffer that is too small back; one that a refused graph left behind has none.
  if (metered()) graphBytes(allocator, graph);
  if (ggml_gallocr_get_buffer_size(allocator, 0) == 0 && !reserveGraph(allocator, graph)) return false;
  return ggml_gallocr_alloc_graph(allocator, graph);
}

inline void freeGraph(ggml_gallocr_t allocator) {
  if (active != nullptr) active->memory.set(allocator, 0);
  ggml_gallocr_free(allocator);
}

// The engine does not look whether weights got their memory; who loads them finds the refusal.
inline void refuseAllocation(ggml_context* context, ggml_backend_t backend) {
  const size_t bytes =
      ggml_backend_alloc_ctx_tensors_from_buft_size(context, ggml_backend_get_default_buffer_type(backend));
  if (bytes == 0) return;
  active->memory.refusal =
      std::string("The device ") + ggml_backend_name(backend) + " has no " + mebibytes(bytes) + " left";
}

inline ggml_backend_buffer_t allocTensors(ggml_context* context, ggml_backend_t backend) {
  if (active == nullptr || (!active->memory.dry && !active->memory.deferred)) {
    if (active != nullptr && active->memory.budget > 0) {
      const size_t bytes = ggml_backend_alloc_ctx_tensors_from_buft_size(
          context, ggml_backend_get_default_buffer_type(backend));
      if (!grant(bytes)) return nullptr;
      active->memory.add(bytes);
    }
    ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors(context, backend);
    if (buffer == nullptr && active != nullptr) refuseAllocation(context, backend);
    return buffer;
  }
  active->memory.weights +=
      ggml_backend_alloc_ctx_tensors_from_buft_size(context, ggml_backend_get_default_buffer_type(backend));
  ggml_backend_buffer_t empty = emptyBuffer(backend);
  if (active->memory.dry) {
    for (ggml_tensor* t = ggml_get_first_tensor(context); t != nullptr;
         t = ggml_get_next_tensor(context, t)) {
      if (t->data == nullptr) t->buffer = empty;
    }
  }
  return empty;
}

inline bool measuring() { return active != nullptr && active->memory.dry; }

inline void readTensor(const ggml_tensor* tensor, void* data, size_t offset, size_t size) {
  if (measuring())
    std::memset(data, 0, size);
  else
    ggml_backend_tensor_get(tensor, data, offset, size);
}

inline void writeTensor(ggml_tensor* tensor, const void* data, size_t offset, size_t size) {
  if (!measuring()) ggml_backend_tensor_set(tensor, data, offset, size);
}

inline void copyTensor(ggml_tensor* from, ggml_tensor* to) {
  if (!measuring()) ggml_backend_tensor_copy(from, to);
}

}  // namespace nd::upstream
