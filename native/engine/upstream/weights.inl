// Memory of a model's weights: counted when all parts are known and before any of them has memory.

namespace nd::upstream {

inline Component component(const char* name, size_t bytes, size_t tensors, ggml_backend_t backend) {
  return {name, bytes, tensors, backend == nullptr ? "" : ggml_backend_name(backend)};
}

// Bytes of the parts of a model that is being loaded. In a load that measures or defers, giving a part its
// memory only counts it.
inline LoadMemory weightsOf(StableDiffusionGGML& sd, ActiveJob& job) {
  LoadMemory result;
  const auto count = [&](const char* name, auto& part, ggml_backend_t backend, bool leftOut = false) {
    part.free_params_buffer();
    job.memory.weights = 0;
    part.alloc_params_buffer();
    result.components.push_back(component(name, leftOut ? 0 : job.memory.weights, 0, backend));
  };
  count("textEncoder", *sd.cond_stage_model, sd.clip_backend, job.leftOut.textEncoder);
  if (sd.clip_vision) count("textEncoder", *sd.clip_vision, sd.backend);
  count("diffusionModel", *sd.diffusion_model, sd.backend);
  if (sd.high_noise_diffusion_model) count("diffusionModel", *sd.high_noise_diffusion_model, sd.backend);
  count("vae", *sd.first_stage_model, sd.vae_backend, job.leftOut.vae);
  if (sd.preview_vae) count("previewVae", *sd.preview_vae, sd.vae_backend, job.leftOut.vae);
  if (sd.control_net) count("controlNet", *sd.control_net, sd.control_net->get_runtime_backend());
  result.readBuffers = job.readBuffers;
  result.mapped = job.mapped;
  return result;
}

// A part gets its memory, or tensors without data, as those of a load that measures.
inline void allocWeights(StableDiffusionGGML& sd, ActiveJob& job) {
  const auto alloc = [&](auto& part, bool leftOut = false) {
    part.free_params_buffer();
    const bool dry = std::exchange(job.memory.dry, job.memory.dry || leftOut);
    part.alloc_params_buffer();
    job.memory.dry = dry;
  };
  alloc(*sd.cond_stage_model, job.leftOut.textEncoder);
  if (sd.clip_vision) alloc(*sd.clip_vision);
  alloc(*sd.diffusion_model);
  if (sd.high_noise_diffusion_model) alloc(*sd.high_noise_diffusion_model);
  alloc(*sd.first_stage_model, job.leftOut.vae);
  if (sd.preview_vae) alloc(*sd.preview_vae, job.leftOut.vae);
  if (sd.control_net) sd.control_net->free_params_buffer();  // gives itself memory when its file is read
}

// All weights are known, none has memory: refuses the load, or gives each part its memory.
inline bool placeWeights(StableDiffusionGGML& sd, ActiveJob& job, uint64_t budget) {
  const LoadMemory need = weightsOf(sd, job);
  uint64_t bytes = need.readBuffers;
  for (const Component& part : need.components) bytes += part.bytes;
  if (budget > 0 && bytes > budget) {
    job.loadErrorCode = ErrorCode::OutOfMemory;
    job.loadError =
        "Loading the model needs " + mebibytes(bytes) + ", its memory budget is " + mebibytes(budget) + ".";
    return false;
  }
  job.memory.deferred = false;
  allocWeights(sd, job);
  if (job.memory.refusal.empty()) return true;
  job.loadErrorCode = ErrorCode::OutOfMemory;
  job.loadError = job.memory.refusal + " for the weights.";
  return false;
}

}  // namespace nd::upstream
