// What backends keep compiled of a model's weights.

namespace nd {

namespace upstream {

inline uint64_t compiledBytes(const Network& network) {
  using Bytes = uint64_t (*)(ggml_backend_buffer_t);
  const auto bytesOf = procedureOf<Bytes>(network.backend, "ggml_backend_openvino_buffer_bytes");
  uint64_t bytes = 0;
  for (ggml_backend_buffer_t buffer : network.buffers) bytes += bytesOf == nullptr ? 0 : bytesOf(buffer);
  return bytes;
}

}  // namespace upstream

lora::WeightsMemory Model::weightsMemory() {
  lora::WeightsMemory memory = upstream::weightsOf(impl_->sd, impl_->sources, impl_->weights).memory();
  if (impl_->runtimeLoras) {
    memory.loraFiles += impl_->runtimeLoras->bytes;
    for (const auto& [id, file] : impl_->runtimeLoras->files) memory.loraFiles += file->bytes();
  }
  memory.compiled = {{"textEncoder", 0}, {"diffusionModel", 0}, {"vae", 0}, {"controlNet", 0}};
  for (const upstream::Network& network : impl_->networks)
    memory.compiled[network.component] += upstream::compiledBytes(network);
  return memory;
}

std::vector<KeptGraph> Model::releaseCompiled(const ReleaseParams& params) {
  using Listener = void (*)(void*, uint64_t, uint64_t, uint64_t);
  using Release = void (*)(ggml_backend_t, const ggml_backend_buffer_t*, size_t, const uint64_t*, size_t,
                           uint64_t, Listener, void*);
  // One device of a model compiles; what its networks keep is one list.
  ggml_backend_t backend = nullptr;
  Release release = nullptr;
  std::vector<ggml_backend_buffer_t> buffers;
  for (const upstream::Network& network : impl_->networks) {
    const auto found = upstream::procedureOf<Release>(network.backend, "ggml_backend_openvino_release");
    if (found == nullptr) continue;
    release = found;
    backend = network.backend;
    buffers.insert(buffers.end(), network.buffers.begin(), network.buffers.end());
  }
  std::vector<KeptGraph> left;
  if (release == nullptr) return left;
  const auto add = [](void* list, uint64_t graph, uint64_t signature, uint64_t size) {
    static_cast<std::vector<KeptGraph>*>(list)->push_back({graph, signature, size});
  };
  release(backend, buffers.data(), buffers.size(), params.keep.data(), params.keep.size(), params.bytes, add,
          &left);
  if (params.bytes > 0) trimHeap();
  return left;
}

}  // namespace nd
