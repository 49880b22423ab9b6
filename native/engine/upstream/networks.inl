// The networks of a model, and where their weights are.

namespace nd {

namespace upstream {

inline std::set<ggml_backend_buffer_t> buffersOf(const std::map<std::string, ggml_tensor*>& weights) {
  std::set<ggml_backend_buffer_t> buffers;
  for (const auto& [name, weight] : weights)
    if (weight->buffer != nullptr) buffers.insert(weight->buffer);
  return buffers;
}

// A network of the model, the backend that computes it, and where its weights are.
struct Network {
  const char* component;
  ggml_backend_t backend;
  std::set<ggml_backend_buffer_t> buffers;
};

// Of a model that was just loaded: when a graph has been built, the engine's lists of some networks have
// holes, as those of FLUX, and cannot be gone through.
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

}  // namespace upstream

}  // namespace nd
