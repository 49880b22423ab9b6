// Sampling: one latent from noise, with a decorator of the diffusion model that stops between evaluations.

namespace nd {
namespace upstream {

// The engine's sample() takes the diffusion model as an argument. An empty result makes every sampler return
// at once.
class CancellableModel : public DiffusionModel {
 public:
  CancellableModel(std::shared_ptr<DiffusionModel> model, const Job& job)
      : model_(std::move(model)), job_(job) {}
  virtual ~CancellableModel() = default;  // the engine's base class has none

  sd::Tensor<float> compute(int threads, const DiffusionParams& params) override {
    if (job_.cancelled()) return {};
    return model_->compute(threads, params);
  }
  std::string get_desc() override { return model_->get_desc(); }
  void alloc_params_buffer() override { model_->alloc_params_buffer(); }
  void free_params_buffer() override { model_->free_params_buffer(); }
  void free_compute_buffer() override { model_->free_compute_buffer(); }
  void get_param_tensors(std::map<std::string, ggml_tensor*>& tensors) override {
    model_->get_param_tensors(tensors);
  }
  size_t get_params_buffer_size() override { return model_->get_params_buffer_size(); }
  void set_weight_adapter(const std::shared_ptr<WeightAdapter>& adapter) override {
    model_->set_weight_adapter(adapter);
  }
  int64_t get_adm_in_channels() override { return model_->get_adm_in_channels(); }
  void set_flash_attention_enabled(bool enabled) override { model_->set_flash_attention_enabled(enabled); }
  void set_max_graph_vram_bytes(size_t bytes) override { model_->set_max_graph_vram_bytes(bytes); }
  void set_circular_axes(bool x, bool y) override { model_->set_circular_axes(x, y); }

 private:
  std::shared_ptr<DiffusionModel> model_;
  const Job& job_;
};

inline sd_cache_mode_t cacheModeFromName(const std::string& name) {
  static const std::map<std::string, sd_cache_mode_t> modes = {
      {"", SD_CACHE_DISABLED},           {"none", SD_CACHE_DISABLED},    {"easycache", SD_CACHE_EASYCACHE},
      {"ucache", SD_CACHE_UCACHE},       {"dbcache", SD_CACHE_DBCACHE},  {"taylorseer", SD_CACHE_TAYLORSEER},
      {"cache-dit", SD_CACHE_CACHE_DIT}, {"spectrum", SD_CACHE_SPECTRUM}};
  const auto found = modes.find(name);
  if (found == modes.end())
    throw EngineError(ErrorCode::InvalidOption, "Unknown step cache \"" + name + "\".");
  return found->second;
}

inline sd_cache_params_t cacheParams(const SampleParams& params) {
  sd_cache_params_t cache;
  sd_cache_params_init(&cache);
  cache.mode = cacheModeFromName(params.cacheMode);
  if (!std::isnan(params.cacheThreshold)) cache.reuse_threshold = params.cacheThreshold;
  if (!std::isnan(params.cacheStart)) cache.start_percent = params.cacheStart;
  if (!std::isnan(params.cacheEnd)) cache.end_percent = params.cacheEnd;
  return cache;
}

// The engine shows its preview VAE (a TAESD) for both decoder modes; without it, the mode `vae` shows the
// full VAE.
class HiddenPreviewVae {
 public:
  HiddenPreviewVae(StableDiffusionGGML& sd, bool hide) : sd_(sd) {
    if (hide) kept_.swap(sd.preview_vae);
  }
  ~HiddenPreviewVae() {
    if (kept_) sd_.preview_vae = std::move(kept_);
  }
  HiddenPreviewVae(const HiddenPreviewVae&) = delete;
  HiddenPreviewVae& operator=(const HiddenPreviewVae&) = delete;

 private:
  StableDiffusionGGML& sd_;
  std::shared_ptr<VAE> kept_;
};

// A refusal that is thrown through the sampler skips the engine's own clean-up.
class GraphScope {
 public:
  explicit GraphScope(StableDiffusionGGML& sd) : sd_(sd) {}
  ~GraphScope() {
    sd_.diffusion_model->free_compute_buffer();
    if (sd_.control_net) sd_.control_net->free_control_ctx();
    if (sd_.control_net) sd_.control_net->free_compute_buffer();
  }
  GraphScope(const GraphScope&) = delete;
  GraphScope& operator=(const GraphScope&) = delete;

 private:
  StableDiffusionGGML& sd_;
};

// Conditional, unconditional and image-only conditioning as the engine's generate_image() puts them together.
struct Guidance {
  sd_guidance_params_t params{};
  SDCondition cond, uncond, imageCond;
};

inline Guidance guidanceOf(StableDiffusionGGML& sd, const SampleParams& request, std::vector<int>& layers) {
  Guidance guidance;
  guidance.params.txt_cfg = request.cfgScale;
  const bool usesImageCfg =
      sd_version_is_inpaint_or_unet_edit(sd.version) && !std::isnan(request.imageCfgScale);
  guidance.params.img_cfg = usesImageCfg ? request.imageCfgScale : request.cfgScale;
  guidance.params.distilled_guidance = request.guidance;
  guidance.params.slg = {layers.data(), layers.size(), request.slgStart, request.slgEnd, request.slgScale};
  guidance.cond = request.cond->impl().value;
  if (guidance.cond.c_concat.empty()) guidance.cond.c_concat = toEngine(request.concat);
  if (!request.uncond) return guidance;
  guidance.uncond = request.uncond->impl().value;
  if (guidance.uncond.c_concat.empty()) guidance.uncond.c_concat = toEngine(request.uncondConcat);
  if (guidance.params.img_cfg != guidance.params.txt_cfg) {
    guidance.imageCond =
        SDCondition(guidance.uncond.c_crossattn, guidance.uncond.c_vector, guidance.cond.c_concat);
  }
  return guidance;
}

// Tensors of batch 1, one below the other.
inline Tensor stacked(const std::vector<sd::Tensor<float>>& parts) {
  Tensor all = fromEngine(parts.at(0));
  for (size_t i = 1; i < parts.size(); ++i)
    all.data.insert(all.data.end(), parts[i].values().begin(), parts[i].values().end());
  all.shape[0] = static_cast<int64_t>(parts.size());
  return all;
}

inline std::vector<sd::Tensor<float>> unstacked(const std::optional<Tensor>& all) {
  std::vector<sd::Tensor<float>> parts;
  if (!all) return parts;
  Tensor one;
  one.shape = all->shape;
  one.shape[0] = 1;
  const size_t size = all->data.size() / static_cast<size_t>(all->shape[0]);
  for (size_t at = 0; at + size <= all->data.size(); at += size) {
    const auto begin = all->data.begin() + static_cast<std::ptrdiff_t>(at);
    one.data.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
    parts.push_back(toEngine(one));
  }
  return parts;
}

}  // namespace upstream

Tensor Model::noise(const NoiseParams& params) {
  Tensor like;
  like.shape = params.shape;
  size_t count = 1;
  for (const int64_t size : params.shape) count *= static_cast<size_t>(size);
  like.data.resize(count);
  impl_->sd.rng->manual_seed(static_cast<uint64_t>(params.seed));
  return upstream::fromEngine(sd::randn_like<float>(upstream::toEngine(like), impl_->sd.rng));
}

Tensor Model::sample(const SampleParams& params, Job& job) {
  upstream::ActiveJob active{job, Phase::Sample};
  active.memory.budget = params.memoryBudget;
  return upstream::runOperation(active, "sample", [&] { return runSampler(params); });
}

namespace upstream {

// Where the weights of whatever works beside the diffusion model lie.
inline std::map<ggml_backend_buffer_t, const char*> companionsOf(const StableDiffusionGGML& sd) {
  std::map<std::string, ggml_tensor*> decoders;
  std::map<std::string, ggml_tensor*> control;
  sd.first_stage_model->get_param_tensors(decoders, "vae");
  if (sd.preview_vae) sd.preview_vae->get_param_tensors(decoders, "preview");
  if (sd.control_net) sd.control_net->control_net.get_param_tensors(control);
  std::map<ggml_backend_buffer_t, const char*> companions;
  for (const auto& [name, weight] : decoders)
    if (weight->buffer != nullptr) companions[weight->buffer] = "vae";
  for (const auto& [name, weight] : control)
    if (weight->buffer != nullptr) companions[weight->buffer] = "controlNet";
  return companions;
}

}  // namespace upstream

Tensor Model::runSampler(const SampleParams& params) {
  StableDiffusionGGML& sd = impl_->sd;
  upstream::ActiveJob& active = *upstream::active;
  const Job& job = active.job;
  const sample_method_t sampler = resolve_sample_method(
      &impl_->context,
      upstream::fromName("sampler", params.sampler, str_to_sample_method, SAMPLE_METHOD_COUNT));
  active.previewMode = params.preview.empty()
                           ? PREVIEW_NONE
                           : upstream::fromName("preview", params.preview, str_to_preview, PREVIEW_COUNT);
  if (active.previewMode == PREVIEW_TAE || active.previewMode == PREVIEW_VAE) {
    upstream::requirePart(impl_->leftOut.vae, "VAE");
  }
  active.companions = upstream::companionsOf(sd);
  active.previewInterval = std::max(1, params.previewInterval);
  const upstream::GraphScope graphs(sd);
  std::vector<int> layers = params.slgLayers;
  const upstream::Guidance guidance = upstream::guidanceOf(sd, params, layers);
  const sd_cache_params_t cache = upstream::cacheParams(params);
  std::vector<sd::Tensor<float>> references;
  for (const Tensor& reference : params.refLatents) references.push_back(upstream::toEngine(reference));
  const sd::Tensor<float> control =
      params.controlImage ? upstream::toEngine(*params.controlImage) : sd::Tensor<float>();
  const sd::Tensor<float> latent = upstream::toEngine(params.latent);

  sd.vae_tiling_params = upstream::toEngine(params.previewTiling);
  sd.set_flow_shift(std::isnan(params.flowShift) ? INFINITY : params.flowShift);
  sd.rng->manual_seed(static_cast<uint64_t>(params.seed));
  sd.sampler_rng->manual_seed(static_cast<uint64_t>(params.seed));
  // Drawn in any case, so that a sampler that draws from the same generator goes on behind it.
  sd::Tensor<float> noise = sd::randn_like<float>(latent, sd.rng);
  if (params.noise) noise = upstream::toEngine(*params.noise);
  const float eta = resolve_eta(&impl_->context, std::isnan(params.eta) ? INFINITY : params.eta, sampler);
  const upstream::HiddenPreviewVae previewVae(sd, active.previewMode == PREVIEW_VAE);
  const auto model = std::make_shared<upstream::CancellableModel>(sd.diffusion_model, job);
  // For the graphs of previews and control nets too: the engine goes on without those, to the next
  // evaluation.
  const upstream::AbortableGraphs abortable;
  upstream::Handover handover{params.stopAfter, upstream::unstacked(params.predictions), {}};
  if (params.stopAfter > 0 || params.predictions) active.handover = &handover;
  const sd::Tensor<float> result =
      sd.sample(model, true, latent, std::move(noise), guidance.cond, guidance.uncond, guidance.imageCond, {},
                control, params.controlStrength, guidance.params, eta, params.shiftedTimestep, sampler,
                sd.is_flow_denoiser(), params.sigmas, -1, references, params.increaseRefIndex,
                upstream::toEngine(params.mask), {}, 1.0F, &cache);
  active.handover = nullptr;
  if (result.empty() || job.cancelled()) upstream::throwEmpty(job, "sample");
  if (params.stopAfter > 0) return upstream::stacked(handover.made);
  return upstream::fromEngine(result);
}

}  // namespace nd
