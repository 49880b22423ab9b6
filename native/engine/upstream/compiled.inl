// What backends keep compiled of a model's weights.

namespace nd {

namespace upstream {

inline std::set<ggml_backend_buffer_t> buffersOf(const std::map<std::string, ggml_tensor*>& weights) {
  std::set<ggml_backend_buffer_t> buffers;
  for (const auto& [name, weight] : weights)
    if (weight != nullptr && weight->buffer != nullptr) buffers.insert(weight->buffer);
  return buffers;
}

// A network of the model, the backend that computes it, and where its weights are.
struct Network {
  const char* component;
  ggml_backend_t backend;
  std::set<ggml_backend_buffer_t> buffers;
};

inline std::vector<Network> networksOf(StableDiffusionGGML& sd) {
  std::map<std::string, ggml_tensor*> text;
  std::map<std::string, ggml_tensor*> diffusion;
  std::map<std::string, ggml_tensor*> vae;
  sd.cond_stage_model->get_param_tensors(text);
  sd.diffusion_model->get_param_tensors(diffusion);
  sd.first_stage_model->get_param_tensors(vae, "vae");
  std::vector<Network> networks = {{"textEncoder", sd.clip_backend, buffersOf(text)},
                                   {"diffusionModel", sd.backend, buffersOf(diffusion)},
                                   {"vae", sd.vae_backend, buffersOf(vae)}};
  if (sd.preview_vae) {
    std::map<std::string, ggml_tensor*> preview;
    sd.preview_vae->get_param_tensors(preview, "preview");
    networks.push_back({"vae", sd.vae_backend, buffersOf(preview)});
  }
  if (sd.control_net) {
    std::map<std::string, ggml_tensor*> control;
    sd.control_net->control_net.get_param_tensors(control);
    networks.push_back({"controlNet", sd.control_net->get_runtime_backend(), buffersOf(control)});
  }
  return networks;
}

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
  for (const upstream::Network& network : upstream::networksOf(impl_->sd))
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
  for (const upstream::Network& network : upstream::networksOf(impl_->sd)) {
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
